"""Whole-file writes that are either there or not: a temporary file beside the target, then a rename."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from core.errors import NotSavedError


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary binary file that becomes ``path`` when the block ends well.

    Readers see the old file or the new one, never a half. A failure leaves the old file as it was and no
    temporary behind. A full disk or a folder that cannot be written raises ``NotSavedError``; what the block raises
    about another file passes through.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise _write_error(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, name):
            raise  # the block's own: it opened another file
        raise _write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` atomically, as UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` to ``path`` atomically, as indented JSON."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def _write_error(path: Path, error: OSError) -> NotSavedError:
    return NotSavedError(
        f"Could not write {path}: {error.strerror or error}; nothing was changed there. "
        "Free some disk space or choose another folder, then try again."
    )
