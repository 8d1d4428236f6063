"""The whole app on a disk that can be made to fail: while the file FAILURE is there, no file can be written.

python -m tests.benchmarks.labelling.failing_disk_app FAILURE PORT

FAILURE holds the name of an error as in Python's ``errno``: ENOSPC (full) or EROFS (read-only). Tests run as root too,
whom no permission stops, so the failure is put where the product asks for a temporary file.
"""

import errno
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from streamlit.web import cli

from core import atomic

FAILURE = Path(sys.argv[1])
_make = tempfile.mkstemp


def _failing(*arguments: Any, **options: Any) -> tuple[int, str]:
    if FAILURE.exists():
        number = getattr(errno, FAILURE.read_text().strip())
        raise OSError(number, os.strerror(number))
    return _make(*arguments, **options)


if __name__ == "__main__":
    atomic.tempfile.mkstemp = _failing  # type: ignore[assignment]
    sys.argv = ["streamlit", "run", "app.py", "--server.port", sys.argv[2], "--server.headless", "true"]
    sys.exit(cli.main())
