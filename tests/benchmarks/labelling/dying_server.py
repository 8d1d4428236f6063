"""The label server, made to kill itself (-9) at an exact moment: random kills seldom hit the milliseconds that matter.

python -m tests.benchmarks.labelling.dying_server WORKSPACE PORT MOMENT WRITE

``MOMENT`` is one of ``MOMENTS``; ``WRITE`` counts the operations that write a raster, from 1.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core import atomic
from core.labels import raster as raster_file
from tests.benchmarks.labelling import label_server

MOMENTS = ("half of the temporary", "before the file", "after the file", "after the commit")


class _Death:
    """Dies at one moment of the write of that number."""

    def __init__(self, moment: str, write: int) -> None:
        self.moment, self.left = moment, write

    def count(self) -> None:
        """Another write begins."""
        self.left -= 1

    def at(self, moment: str) -> None:
        """Die, if it is now."""
        if self.left == 0 and moment == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(death: _Death) -> None:
    """Put the moments into what saves a raster and commits it."""
    save, write_bytes, commit = raster_file.save, raster_file.write_bytes, Session.commit

    def saving(*arguments: Any, **options: Any) -> Any:
        death.count()
        death.at("before the file")
        stored = save(*arguments, **options)
        death.at("after the file")
        return stored

    def writing(path: Path, content: bytes) -> None:
        if death.left == 0 and death.moment == "half of the temporary":
            with atomic.atomic_file(path) as stream:
                stream.write(content[: len(content) // 2])
                stream.flush()
                death.at(death.moment)
        write_bytes(path, content)

    def committing(session: Session) -> None:
        commit(session)
        death.at("after the commit")

    patches: list[tuple[object, str, Callable[..., None]]] = [
        (raster_file, "save", saving),
        (raster_file, "write_bytes", writing),
        (Session, "commit", committing),
    ]
    for owner, name, patched in patches:
        setattr(owner, name, patched)


if __name__ == "__main__":
    arm(_Death(sys.argv[3], int(sys.argv[4])))
    label_server.main()
