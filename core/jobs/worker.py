"""The worker: one process a device that runs the queued jobs of a workspace, as many at once as it has slots.

It is started when there is work, by whoever submits or looks, and goes when there is none for a few seconds. It
belongs to nobody: server and terminal may come and go. Only one can live on a device, because it holds a lock
on a file as long as it lives (the system lets go of it however the worker ends). If a worker dies, its jobs go
on; the next worker finds them in the database, and they keep their slots until they end.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from core.errors import InputError, NotSavedError
from core.jobs import queue
from core.jobs.log import begin_attempt, log_path, result_path
from core.jobs.outcome import JobState, Outcome
from core.jobs.process import (
    GatedProcess,
    ProcessIdentity,
    identify,
    is_alive,
    signal_group,
    start_detached,
    start_gated,
)
from core.jobs.slots import slots
from core.tables import now
from core.workspace import CACHE_VARIABLE, WORKSPACE_VARIABLE, Workspace

PROJECT = Path(__file__).resolve().parents[2]
CORE_COMMAND = (sys.executable, "-m", "core")

IDLE_SECONDS = 5.0
_POLL_SECONDS = 0.2
_DISK_FULL_SECONDS = 5.0

# The workers that this process started: one that is still loading its modules has no lock yet.
_STARTED: dict[tuple[Path, str], subprocess.Popen[bytes]] = {}


def keep_going(workspace: Workspace, *, command: Sequence[str] = CORE_COMMAND) -> None:
    """Put the queue right: settle jobs whose process died, and start the workers that are missing.

    Cheap when all is well; a page calls it whenever it shows jobs, so that the queue of a stopped server or of a
    killed worker goes on as soon as anybody looks.
    """
    busy = queue.busy_devices(workspace)
    watched = frozenset(device for device in busy if live_worker(workspace, device))
    queue.reconcile(workspace, watched=watched)
    for device in busy:
        if device not in watched:
            ensure_running(workspace, device, command=command)


def ensure_running(workspace: Workspace, device: str, *, command: Sequence[str] = CORE_COMMAND) -> None:
    """Start a detached worker for ``device`` unless one is alive.

    ``command`` is the command line's beginning, before ``work``. Raises ``InputError`` when the workspace's
    folder of jobs cannot be written or no process can be started.
    """
    queue.check_device(device)
    if live_worker(workspace, device) or _still_loading(workspace, device):
        return
    try:
        workspace.jobs.mkdir(parents=True, exist_ok=True)
        _STARTED[workspace.root, device] = start_detached(
            [*command, "work", "--workspace", str(workspace.root), "--device", device],
            output=workspace.jobs / f"worker-{device}.log",
            cwd=PROJECT,
        )
    except OSError as error:
        raise InputError(
            f"The worker that runs jobs could not be started in {workspace.jobs} ({error.strerror}); "
            "free some disk space or memory, then try again."
        ) from error


def live_worker(workspace: Workspace, device: str) -> ProcessIdentity | None:
    """The worker that lives on a device and takes jobs, if one does."""
    holder = _read_holder(workspace, device)
    return holder.identity if holder and not holder.retired and is_alive(holder.identity) else None


def run_worker(
    workspace: Workspace,
    device: str,
    *,
    command: Sequence[str] = CORE_COMMAND,
    grace: float | None = None,
    idle: float = IDLE_SECONDS,
    most_at_once: int | None = None,
) -> None:
    """Run the jobs of one device until none has waited for ``idle`` seconds; return at once if a worker lives.

    ``command`` is the beginning of every job's command line; ``grace`` is how many seconds a job has that is asked
    to stop, by default as many as its kind has; ``most_at_once`` overrides the device's slots.
    """
    queue.check_device(device)
    if threading.current_thread() is threading.main_thread():
        # A worker has nothing to finish: its job goes on without it. So it ends at once when it is told to.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    workspace.jobs.mkdir(parents=True, exist_ok=True)
    with _sole_worker(_lock_path(workspace, device)) as lock:
        if lock is None:
            return
        watched = [_Watched(left.id, left.process) for left in queue.running_jobs(workspace, device)]
        for left in watched:
            _say(f"job {left.job_id} was left running by another worker")
        idle_since = time.monotonic()
        while True:
            try:
                watched = [one for one in watched if not _is_over(workspace, one, grace)]
                while len(watched) < (most_at_once or slots(workspace, device).count):
                    begun = _begin_next(workspace, device, command)
                    if begun is None:
                        break
                    watched.append(begun)
            except NotSavedError as error:
                _say(f"{error} Trying again in a while.")
                time.sleep(_DISK_FULL_SECONDS)
                continue
            if watched:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since >= idle and _retire(workspace, device, lock):
                return
            time.sleep(min(_POLL_SECONDS, idle))


@dataclass(frozen=True, slots=True)
class _Watched:
    """A running job and its process; ``gated`` is None where another worker, that is gone, had started it."""

    job_id: int
    identity: ProcessIdentity | None
    gated: GatedProcess | None = None


def _is_over(workspace: Workspace, one: _Watched, grace: float | None) -> bool:
    """Whether a job's process is gone, which is then written down; ends it by force when it does not stop in time."""
    if one.identity is not None:
        queue.force_overdue(workspace, one.job_id, grace=grace)
        if is_alive(one.identity):
            return False
        # Before the leader is waited for its pid cannot be reused, so this reaches only what the job left behind.
        signal_group(one.identity, signal.SIGKILL)
    status = one.gated.exit_status() if one.gated else None
    queue.settle(workspace, one.job_id, exit_status=status)
    _say(f"job {one.job_id} ended with exit status {status}")
    return True


def _begin_next(workspace: Workspace, device: str, command: Sequence[str]) -> _Watched | None:
    """Start the job that is next; None if none waits. One that cannot be started fails, and the next has its turn."""
    while queue.anything_waits(workspace, device):
        process: GatedProcess | None = None
        try:
            with workspace.database.write() as session:
                row = queue.next_queued(session, device)
                if row is None:
                    return None
                row.started = now()
                try:
                    process = _start(workspace, row.id, [*command, *map(str, row.arguments), "--progress", "json"])
                except (OSError, psutil.NoSuchProcess) as error:
                    queue.end_row(row, Outcome(JobState.FAILED, _start_failure(error)))
                else:
                    row.state = JobState.RUNNING
                    row.pid = process.identity.pid
                    row.pid_started = process.identity.started
        except NotSavedError:
            if process is not None:
                process.keep_shut()
            raise
        if process is not None:
            process.open_gate()
            _say(f"job {row.id} runs as process {process.identity.pid}: {' '.join(map(str, row.arguments))}")
            return _Watched(row.id, process.identity, process)
    return None


def _start(workspace: Workspace, job_id: int, command: Sequence[str]) -> GatedProcess:
    begin_attempt(workspace, job_id)
    return start_gated(
        command,
        stdout=result_path(workspace, job_id),
        stderr=log_path(workspace, job_id),
        cwd=PROJECT,
        environment={
            **os.environ,
            WORKSPACE_VARIABLE: str(workspace.root),
            CACHE_VARIABLE: str(workspace.features),
        },
    )


def _start_failure(error: OSError | psutil.NoSuchProcess) -> str:
    reason = error.strerror if isinstance(error, OSError) else "its process ended at once"
    return f"The job could not be started ({reason}); free some disk space or memory, then start it anew."


def _still_loading(workspace: Workspace, device: str) -> bool:
    """Whether the worker that this process started last has yet to take the lock."""
    started = _STARTED.get((workspace.root, device))
    if started is None or started.poll() is not None:
        return False
    holder = _read_holder(workspace, device)
    return holder is None or holder.identity.pid != started.pid


@dataclass(frozen=True, slots=True)
class _Holder:
    """What a lock file says: who took the lock last, and whether it has given it up since."""

    identity: ProcessIdentity
    retired: bool

    def write(self, lock: IO[str]) -> None:
        lock.truncate(0)
        lock.write(json.dumps({"pid": self.identity.pid, "started": self.identity.started, "retired": self.retired}))
        lock.flush()


def _read_holder(workspace: Workspace, device: str) -> _Holder | None:
    try:
        written = json.loads(_lock_path(workspace, device).read_text())
        return _Holder(ProcessIdentity(int(written["pid"]), float(written["started"])), bool(written["retired"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nobody ever took it, or somebody is writing it at this moment


def _lock_path(workspace: Workspace, device: str) -> Path:
    return workspace.jobs / f"worker-{device}.lock"


@contextmanager
def _sole_worker(path: Path) -> Iterator[IO[str] | None]:
    """Hold the device's lock and write into it who holds it; None when another worker does."""
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        _Holder(identify(os.getpid()), retired=False).write(stream)
        yield stream


def _retire(workspace: Workspace, device: str, lock: IO[str]) -> bool:
    """Give up the lock unless a job came in; within a write transaction, so that none can come in between.

    A job submitted later finds no worker and starts one. One submitted before is seen here.
    """
    with workspace.database.write() as session:
        if queue.next_queued(session, device) is not None:
            return False
        _Holder(identify(os.getpid()), retired=True).write(lock)
        fcntl.flock(lock, fcntl.LOCK_UN)
    return True


def _say(line: str) -> None:
    """Into the worker's own log."""
    print(f"{now():%Y-%m-%d %H:%M:%S} {line}", flush=True)
