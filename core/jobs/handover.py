"""Handing a secret to a job: through a named pipe, so that it is in no file, no command line, no log and no database.

Who submits the job offers the secret on a pipe in the workspace's folder of jobs and names the pipe on the job's
command line. The bytes go from process to process once, and the pipe is gone.
"""

import errno
import json
import os
import secrets
import select
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from core.errors import InputError
from core.workspace import Workspace

TAKE_SECONDS = 20.0
_LOOK_SECONDS = 0.2
_MOST_BYTES = 4096  # what a pipe takes in one write, by POSIX


def new_pipe(workspace: Workspace) -> Path:
    """A named pipe that only this user may open. Raises ``InputError`` when it cannot be made."""
    path = workspace.jobs / f"handover-{secrets.token_hex(8)}"
    try:
        workspace.jobs.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path, 0o600)
    except OSError as error:
        raise InputError(
            f"No pipe could be made in {workspace.jobs} ({error.strerror}); mend its permissions."
        ) from error
    return path


def offer(pipe: Path, secret: Mapping[str, str], *, wanted: Callable[[], bool]) -> threading.Thread:
    """Hold ``secret`` in memory until a job takes it from ``pipe``, or until ``wanted`` says that none will.

    Returns the thread that does so; it removes the pipe when it ends.
    """
    content = json.dumps(dict(secret)).encode()
    if len(content) > _MOST_BYTES:
        raise ValueError("a secret is at most 4096 bytes")
    thread = threading.Thread(target=_hold, args=(pipe, content, wanted), name="handover", daemon=True)
    thread.start()
    return thread


def take(pipe: Path, seconds: float = TAKE_SECONDS) -> dict[str, str]:
    """Take the secret that is offered on ``pipe``.

    Raises ``InputError`` when nobody offers it: it was taken before, or whoever did is gone.
    """
    gone = "What was typed for this job is handed over only once and is gone; start it from the Start page again."
    try:
        handle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(gone) from error
    try:
        ready, _, _ = select.select([handle], [], [], seconds)
        content = os.read(handle, _MOST_BYTES) if ready else b""
    finally:
        os.close(handle)
    if not content:
        raise InputError(gone)
    return {str(key): str(value) for key, value in json.loads(content).items()}


def _hold(pipe: Path, content: bytes, wanted: Callable[[], bool]) -> None:
    try:
        while wanted():
            try:
                handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nobody reads yet
                    return
                time.sleep(_LOOK_SECONDS)
                continue
            try:
                os.write(handle, content)
            finally:
                os.close(handle)
            return
    finally:
        pipe.unlink(missing_ok=True)
