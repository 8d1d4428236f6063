"""Processes as jobs see them: known by pid and start time, stopped as whole groups, started behind a gate.

A pid alone may be reused, after a restart of the machine even soon. With the start time it names one process.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

START_TOLERANCE_SECONDS = 2.0
"""Start times are reckoned from the boot time, which moves a little when the clock is set."""

# The shell waits for a line before it becomes the job. End of file instead of a line (the parent died before
# it had written down the pid) ends it with nothing done; so no job ever runs that the database does not know.
_GATE = 'read -r _ && exec "$@" </dev/null'


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process on this machine: its pid and its start time (seconds since 1970)."""

    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class GatedProcess:
    """A started process that does nothing before ``open_gate``. The leader of its own session and group."""

    handle: subprocess.Popen[bytes]
    identity: ProcessIdentity

    def open_gate(self) -> None:
        """Let it go on. A process that was stopped in the meantime is no error."""
        assert self.handle.stdin is not None  # noqa: S101
        try:
            self.handle.stdin.write(b"go\n")
            self.handle.stdin.close()
        except BrokenPipeError:
            pass

    def keep_shut(self) -> None:
        """End it before it has done anything."""
        assert self.handle.stdin is not None  # noqa: S101
        self.handle.stdin.close()
        self.handle.wait()

    def exit_status(self) -> int:
        """Wait for its end; 0 and above as it said, below 0 the signal that killed it."""
        return self.handle.wait()


def identify(pid: int) -> ProcessIdentity:
    """The identity of a process that runs now. Raises ``psutil.NoSuchProcess`` when there is none."""
    return ProcessIdentity(pid, psutil.Process(pid).create_time())


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still runs; one that ended and was not yet waited for does not."""
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.started) <= START_TOLERANCE_SECONDS
        return same and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def memory_used(identity: ProcessIdentity) -> int | None:
    """The resident memory of a process and its children, in bytes; None when it is gone."""
    if not is_alive(identity):
        return None
    total = 0
    try:
        leader = psutil.Process(identity.pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    for process in family:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


def signal_group(identity: ProcessIdentity, number: signal.Signals) -> None:
    """Send a signal to the group that this process leads or led, and to no other.

    The group may outlive its leader; its number is then not given to another process. Where another process
    has the pid today, the group is gone too and nothing is sent.
    """
    try:
        leader = psutil.Process(identity.pid)
        if abs(leader.create_time() - identity.started) > START_TOLERANCE_SECONDS:
            return
    except psutil.NoSuchProcess:
        pass
    try:
        os.killpg(identity.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def start_gated(
    command: Sequence[str], *, stdout: Path, stderr: Path, cwd: Path, environment: Mapping[str, str]
) -> GatedProcess:
    """Start ``command`` in its own session, writing to files (to the end of ``stderr``), waiting for ``open_gate``.

    Files instead of pipes: the process can go on writing when its parent is gone. Raises ``OSError`` when it
    cannot be started.
    """
    with stdout.open("wb") as out, stderr.open("ab") as log:
        handle = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=log,
            cwd=cwd,
            env=dict(environment),
            start_new_session=True,
            bufsize=0,
        )
    return GatedProcess(handle, identify(handle.pid))


def start_detached(command: Sequence[str], *, output: Path, cwd: Path) -> subprocess.Popen[bytes]:
    """Start ``command`` in its own session with no input, appending all it says to ``output``.

    It outlives this process. Raises ``OSError`` when it cannot be started.
    """
    with output.open("ab") as stream:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=True,
        )
