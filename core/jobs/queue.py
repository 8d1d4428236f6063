"""The queue of jobs, in the workspace's database: submit, cancel, look, and find those that died.

Nothing here starts a job; ``worker`` does. Any process may call these functions at any time: each change is one
immediate transaction that first looks at the state it changes.
"""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.jobs import log
from core.jobs.outcome import JobState, Outcome, Traces, judge
from core.jobs.process import ProcessIdentity, is_alive, signal_group
from core.tables import Job, now
from core.workspace import Workspace

GRACE_SECONDS = 10.0
"""How long a cancelled job may take to finish its step and keep what it has, before it is ended by force."""

ACTIVE = (JobState.QUEUED, JobState.RUNNING)
_DEVICE = re.compile(r"[a-z]+(:\d+)?")


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it stood when it was read. ``place`` is 1 for the next to run on its device, None if not queued."""

    id: int
    kind: str
    title: str
    arguments: tuple[str, ...]
    device: str
    state: JobState
    place: int | None
    cancelling: bool
    message: str | None
    exit_status: int | None
    process: ProcessIdentity | None
    created: datetime
    started: datetime | None
    ended: datetime | None


def submit(workspace: Workspace, *, kind: str, title: str, arguments: Sequence[str], device: str) -> int:
    """Queue ``python -m core <arguments>`` on ``device`` (``cpu``, ``cuda``, ``cuda:1``) and return the job's id.

    ``worker.ensure_running`` then sees to it that it is run. Raises ``ValueError`` for no arguments or a
    device that is not spelt like one.
    """
    if not arguments:
        raise ValueError("a job needs a command")
    check_device(device)
    job = Job(kind=kind, title=title, arguments=list(arguments), device=device)
    with workspace.database.write() as session:
        session.add(job)
    return job.id


def check_device(device: str) -> None:
    """Raise ``ValueError`` when ``device`` is not spelt like one; it becomes part of file names."""
    if not _DEVICE.fullmatch(device):
        raise ValueError(f"{device!r} is no device")


def cancel(workspace: Workspace, job_id: int) -> None:
    """Take a waiting job out of the queue, or ask a running one to stop; one that has ended stays as it is.

    A running job gets SIGTERM at once, keeps what it has finished, and is killed after ``GRACE_SECONDS``.
    Raises ``InputError`` when there is no such job.
    """
    with workspace.database.write() as session:
        row = _get(session, job_id)
        if row.state == JobState.QUEUED:
            row.state = JobState.CANCELLED
            row.message = "Cancelled before it began."
            row.ended = now()
        running = row.state == JobState.RUNNING
        if running and row.cancel_requested is None:
            row.cancel_requested = now()
    identity = _identity(row)
    if running and identity:
        signal_group(identity, signal.SIGTERM)


def jobs(workspace: Workspace, limit: int = 50) -> list[JobView]:
    """The jobs, those that run first, then those that wait in their order, then the ended ones, latest first."""
    rank = case((Job.state == JobState.RUNNING, 0), (Job.state == JobState.QUEUED, 1), else_=2)
    waiting_order = case((Job.state.in_(ACTIVE), Job.id), else_=-Job.id)
    with workspace.database.read() as session:
        rows = session.scalars(select(Job).order_by(rank, waiting_order).limit(limit)).all()
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
            ahead = select(Job.id).where(Job.state == JobState.QUEUED, Job.device == row.device, Job.id <= row.id)
            place = len(session.scalars(ahead).all())
    return _view(row, place)


def reconcile(workspace: Workspace, *, watched: frozenset[str] = frozenset(), grace: float = GRACE_SECONDS) -> None:
    """Write down the end of running jobs whose process is gone, and end by force those that outstay a cancel.

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


def force_overdue(workspace: Workspace, job_id: int, *, grace: float) -> None:
    """Kill the process group of a running job that was asked to stop more than ``grace`` seconds ago."""
    with workspace.database.read() as session:
        row = _get(session, job_id)
    identity = _identity(row)
    overdue = row.cancel_requested is not None and now() - row.cancel_requested >= timedelta(seconds=grace)
    if row.state == JobState.RUNNING and identity and overdue:
        signal_group(identity, signal.SIGKILL)


def settle(workspace: Workspace, job_id: int, *, exit_status: int | None) -> None:
    """Write down how a running job ended; does nothing when somebody else already did."""
    traces = Traces(
        result=log.read_result(workspace, job_id),
        verdict=log.last_verdict(workspace, job_id),
        last_lines=log.tail(workspace, job_id),
    )
    with workspace.database.write() as session:
        row = _get(session, job_id)
        if row.state != JobState.RUNNING:
            return
        outcome = judge(exit_status=exit_status, cancel_requested=row.cancel_requested is not None, traces=traces)
        end_row(row, outcome)
        row.exit_status = exit_status


def end_row(row: Job, outcome: Outcome) -> None:
    """Put an outcome into a row, within the caller's transaction."""
    row.state = outcome.state
    row.message = outcome.message
    row.ended = now()


def next_queued(session: Session, device: str) -> Job | None:
    """The job that has waited longest on a device."""
    query = select(Job).where(Job.state == JobState.QUEUED, Job.device == device).order_by(Job.id).limit(1)
    return session.scalars(query).first()


def _get(session: Session, job_id: int) -> Job:
    row = session.get(Job, job_id)
    if row is None:
        raise InputError(f"There is no job {job_id} in this workspace; reload the page to see those there are.")
    return row


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
        place=place,
        cancelling=row.state == JobState.RUNNING and row.cancel_requested is not None,
        message=row.message,
        exit_status=row.exit_status,
        process=_identity(row),
        created=row.created,
        started=row.started,
        ended=row.ended,
    )
