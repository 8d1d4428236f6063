"""The queue of jobs, in the workspace's database: submit, order, pause, cancel, look, and find those that died.

Nothing here starts a job; ``worker`` does. Any process may call these functions at any time: each change is one
immediate transaction that first looks at the state it changes.
"""

import re
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from pathlib import Path

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.jobs import log
from core.jobs.outcome import JobState, Outcome, Traces, judge
from core.jobs.process import ProcessIdentity, is_alive, signal_group
from core.jobs.slots import CLUSTER
from core.tables import Job, now
from core.workspace import Workspace

GRACE_SECONDS = 10.0
"""How long a job that is asked to stop may take to finish its step and keep what it has; it is then ended by force."""

FIT_KIND = "fit"
FIT_GRACE_SECONDS = 120.0
"""The same for a fit: a step of a large network takes long on a processor, and a checkpoint is worth the wait."""

RESUME_OPTION = "--resume"
DISK_FULL_BYTES = 2**20

ACTIVE = (JobState.QUEUED, JobState.RUNNING)
_DEVICE = re.compile(r"[a-z]+(:\d+)?")


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it stood when it was read.

    ``place`` is 1 for the next to run on its device, None if not queued. ``worked_seconds`` is how long it ran
    before it was resumed, without the time since it was ``started`` last.
    """

    id: int
    kind: str
    title: str
    arguments: tuple[str, ...]
    device: str
    state: JobState
    priority: int
    place: int | None
    cancelling: bool
    pausing: bool
    stopping_since: datetime | None
    message: str | None
    exit_status: int | None
    process: ProcessIdentity | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    worked_seconds: float

    @property
    def out(self) -> Path | None:
        """The folder or file that it was told to write, by ``--out``."""
        known = "--out" in self.arguments[:-1]
        return Path(self.arguments[self.arguments.index("--out") + 1]) if known else None

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something that it goes on from; otherwise it begins anew when it is resumed."""
        return self.kind == FIT_KIND and self.out is not None and any(self.out.glob("checkpoint*"))

    @property
    def resumable(self) -> bool:
        """Whether ``resume`` starts it again."""
        if self.state is JobState.CANCELLED:
            return self.has_checkpoint
        return self.state in (JobState.PAUSED, JobState.FAILED, JobState.LOST)

    def worked(self, at: datetime) -> float:
        """For how many seconds it has run until ``at``, pauses left out."""
        return self.worked_seconds + _seconds(self.started, self.ended or at)


class Move(StrEnum):
    """Where a waiting job can be moved to."""

    UP = "up"
    DOWN = "down"
    FRONT = "front"


def submit(
    workspace: Workspace, *, kind: str, title: str, arguments: Sequence[str], device: str, priority: int = 0
) -> int:
    """Queue ``python -m core <arguments>`` on ``device`` (``cpu``, ``cuda:1``, ``cluster``) and return the job's id.

    It takes the last place among those of its ``priority`` (the greater the sooner). ``worker.ensure_running`` then
    sees to it that it is run. Raises ``ValueError`` for no arguments or a device that is not spelt like one.
    """
    if not arguments:
        raise ValueError("a job needs a command")
    check_device(device)
    job = Job(kind=kind, title=title, arguments=list(arguments), device=device, priority=priority)
    with workspace.database.write() as session:
        job.place = _last_place(session) + 1
        session.add(job)
    return job.id


def check_device(device: str) -> None:
    """Raise ``ValueError`` when ``device`` is not spelt like one; it becomes part of file names."""
    if not _DEVICE.fullmatch(device):
        raise ValueError(f"{device!r} is no device")


def cancel(workspace: Workspace, job_id: int) -> None:
    """Take a waiting or paused job out of the queue, or ask a running one to stop; one that has ended stays as it is.

    A running job gets SIGTERM at once, keeps what it has finished, and is killed after ``GRACE_SECONDS`` (a fit
    after ``FIT_GRACE_SECONDS``). Raises ``InputError`` when there is no such job.
    """
    with workspace.database.write() as session:
        row = _get(session, job_id)
        if row.state in (JobState.QUEUED, JobState.PAUSED):
            begun = row.started is not None or row.worked_seconds > 0
            when = "while it was paused; what it wrote is kept" if begun else "before it began"
            end_row(row, Outcome(JobState.CANCELLED, f"Cancelled {when}."))
        running = row.state == JobState.RUNNING
        if running and row.cancel_requested is None:
            row.cancel_requested = now()
    identity = _identity(row)
    if running and identity:
        signal_group(identity, signal.SIGTERM)


def end_now(workspace: Workspace, job_id: int) -> None:
    """Kill a running job that was asked to stop and takes its time; any other is left alone.

    Raises ``InputError`` when there is no such job.
    """
    force_overdue(workspace, job_id, grace=0)


def pause(workspace: Workspace, job_id: int) -> None:
    """Hold a waiting job back, or ask a running one to stop until it is resumed; nothing for one that has ended.

    A running job is asked as by ``cancel``, and has as long. Raises ``InputError`` when there is no such job.
    """
    with workspace.database.write() as session:
        row = _get(session, job_id)
        if row.state == JobState.QUEUED:
            row.state = JobState.PAUSED
        running = row.state == JobState.RUNNING and row.cancel_requested is None
        if running and row.pause_requested is None:
            row.pause_requested = now()
    identity = _identity(row)
    if running and identity:
        signal_group(identity, signal.SIGTERM)


def resume(workspace: Workspace, job_id: int) -> None:
    """Let a paused job wait again, or one that failed or was lost run once more; nothing for others.

    A cancelled fit goes on too where it left a checkpoint; elsewhere a second start would only take away what the
    cancel kept. The job takes the last place of its priority, and a fit that has run before goes on from its
    checkpoint, where it left one. ``worker.ensure_running`` then sees to it that it is run. Raises ``InputError`` when
    there is no such job.
    """
    with workspace.database.write() as session:
        row = _get(session, job_id)
        if not _view(row, None).resumable:
            return
        if row.kind == FIT_KIND and row.started is not None and RESUME_OPTION not in row.arguments:
            row.arguments = [*row.arguments, RESUME_OPTION]
        row.worked_seconds += _seconds(row.started, row.ended)
        row.state = JobState.QUEUED
        row.place = _last_place(session) + 1
        row.cancel_requested = row.pause_requested = row.started = row.ended = None
        row.pid = row.pid_started = row.exit_status = row.message = None


def move(workspace: Workspace, job_id: int, where: Move) -> None:
    """Move a waiting job before or behind its neighbour, or before all that wait for its device.

    Beside a job of another priority it takes that priority. A job that does not wait, or is there already, stays.
    Raises ``InputError`` when there is no such job.
    """
    with workspace.database.write() as session:
        row = _get(session, job_id)
        line = list(session.scalars(_in_line(row.device)))
        if row not in line:
            return
        old = line.index(row)
        new = {Move.UP: old - 1, Move.DOWN: old + 1, Move.FRONT: 0}[where]
        if not 0 <= new < len(line) or new == old:
            return
        row.priority = line[new].priority
        line.insert(new, line.pop(old))
        for place, one in zip(sorted(one.place for one in line), line, strict=True):
            one.place = place


def jobs(workspace: Workspace, limit: int = 50) -> list[JobView]:
    """The jobs: those that run, those that wait in their order, the paused ones, the ended ones, latest first."""
    states = (JobState.RUNNING, JobState.QUEUED, JobState.PAUSED)
    rank = case(*((Job.state == state, number) for number, state in enumerate(states)), else_=len(states))
    by_line = case((Job.state == JobState.QUEUED, Job.priority), else_=0)
    by_place = case((Job.state == JobState.QUEUED, Job.place), (Job.state.in_(states), Job.id), else_=-Job.id)
    with workspace.database.read() as session:
        rows = session.scalars(select(Job).order_by(rank, by_line.desc(), by_place, Job.id).limit(limit)).all()
    places: dict[str, count[int]] = {}
    return [
        _view(row, next(places.setdefault(row.device, count(1))) if row.state == JobState.QUEUED else None)
        for row in rows
    ]


def job(workspace: Workspace, job_id: int) -> JobView:
    """One job. Raises ``InputError`` when there is no such job."""
    with workspace.database.read() as session:
        row = _get(session, job_id)
        place = None
        if row.state == JobState.QUEUED:
            place = list(session.scalars(_in_line(row.device))).index(row) + 1
    return _view(row, place)


def reconcile(workspace: Workspace, *, watched: frozenset[str] = frozenset(), grace: float | None = None) -> None:
    """Write down the end of running jobs whose process is gone, and end by force those that do not stop when asked.

    Leaves out the devices in ``watched``: their worker lives, does this itself, and alone knows the exit status.
    """
    for view in running_jobs(workspace):
        if view.device in watched:
            continue
        force_overdue(workspace, view.id, grace=grace)
        if view.process is None or not is_alive(view.process):
            if view.process:
                signal_group(view.process, signal.SIGKILL)
            settle(workspace, view.id, exit_status=None)


def running_jobs(workspace: Workspace, device: str | None = None) -> list[JobView]:
    """The jobs that the database holds to be running, on one device or on all."""
    query = select(Job).where(Job.state == JobState.RUNNING)
    if device is not None:
        query = query.where(Job.device == device)
    with workspace.database.read() as session:
        return [_view(row, None) for row in session.scalars(query.order_by(Job.id))]


def busy_devices(workspace: Workspace) -> list[str]:
    """The devices on which a job waits or runs."""
    with workspace.database.read() as session:
        return sorted(session.scalars(select(Job.device).where(Job.state.in_(ACTIVE)).distinct()))


def force_overdue(workspace: Workspace, job_id: int, *, grace: float | None = None) -> None:
    """Kill the process group of a running job that was asked to stop, or pause, more than ``grace`` seconds ago.

    By default it has as long as jobs of its kind have.
    """
    with workspace.database.read() as session:
        row = _get(session, job_id)
    if grace is None:
        grace = FIT_GRACE_SECONDS if row.kind == FIT_KIND or row.device == CLUSTER else GRACE_SECONDS
    identity = _identity(row)
    asked = row.cancel_requested or row.pause_requested
    if row.state == JobState.RUNNING and identity and asked and now() - asked >= timedelta(seconds=grace):
        signal_group(identity, signal.SIGKILL)


def settle(workspace: Workspace, job_id: int, *, exit_status: int | None) -> None:
    """Write down how a running job ended; does nothing when somebody else already did."""
    traces = Traces(
        result=log.read_result(workspace, job_id),
        verdict=log.last_verdict(workspace, job_id),
        last_lines=log.tail(workspace, job_id),
        disk_full=shutil.disk_usage(workspace.root).free < DISK_FULL_BYTES,
    )
    with workspace.database.write() as session:
        row = _get(session, job_id)
        if row.state != JobState.RUNNING:
            return
        outcome = judge(
            exit_status=exit_status,
            cancel_requested=row.cancel_requested is not None,
            pause_requested=row.pause_requested is not None,
            traces=traces,
        )
        end_row(row, outcome)
        row.exit_status = exit_status


def end_row(row: Job, outcome: Outcome) -> None:
    """Put an outcome into a row, within the caller's transaction."""
    row.state = outcome.state
    row.message = outcome.message
    row.ended = now()


def next_queued(session: Session, device: str) -> Job | None:
    """The job that is the next to run on a device."""
    return session.scalars(_in_line(device).limit(1)).first()


def anything_waits(workspace: Workspace, device: str) -> bool:
    """Whether a job waits for a device; a look that holds nobody off."""
    with workspace.database.read() as session:
        return next_queued(session, device) is not None


def _in_line(device: str) -> Select[Job]:
    """The jobs that wait for a device, the next one first."""
    waiting = select(Job).where(Job.state == JobState.QUEUED, Job.device == device)
    return waiting.order_by(Job.priority.desc(), Job.place, Job.id)


def _last_place(session: Session) -> int:
    return session.scalar(select(func.max(Job.place))) or 0


def _get(session: Session, job_id: int) -> Job:
    row = session.get(Job, job_id)
    if row is None:
        raise InputError(f"There is no job {job_id} in this workspace; reload the page to see those there are.")
    return row


def _seconds(start: datetime | None, end: datetime | None) -> float:
    return max(0.0, (end - start).total_seconds()) if start and end else 0.0


def _identity(row: Job) -> ProcessIdentity | None:
    if row.pid is None or row.pid_started is None:
        return None
    return ProcessIdentity(row.pid, row.pid_started)


def _view(row: Job, place: int | None) -> JobView:
    return JobView(
        id=row.id,
        kind=row.kind,
        title=row.title,
        arguments=tuple(row.arguments),
        device=row.device,
        state=JobState(row.state),
        priority=row.priority,
        place=place,
        cancelling=row.state == JobState.RUNNING and row.cancel_requested is not None,
        stopping_since=(row.cancel_requested or row.pause_requested) if row.state == JobState.RUNNING else None,
        pausing=row.state == JobState.RUNNING and row.cancel_requested is None and row.pause_requested is not None,
        message=row.message,
        exit_status=row.exit_status,
        process=_identity(row),
        created=row.created,
        started=row.started,
        ended=row.ended,
        worked_seconds=row.worked_seconds,
    )
