"""The fits of a workspace as one looks at them: those that wait, run or ended, and the finished runs, by name.

A fit is a job while there is one, and a run once it is whole; both are the same thing under the name of the run.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.jobs import log, queue
from core.jobs.outcome import JobState
from core.jobs.process import memory_used
from core.jobs.queue import FIT_KIND, JobView
from core.jobs.slots import CLUSTER
from core.tables import now
from core.training.runs import CARD, METRICS, read_metrics
from core.workspace import Workspace

Points = list[dict[str, Any]]
"""A curve: lines as ``FitTask.measured`` writes them, oldest first."""

MOST_FITS = 200


@dataclass(frozen=True, slots=True)
class Fit:
    """One fit: the job that makes it, if it is known, and the run's folder, if the run is whole."""

    name: str
    job: JobView | None
    folder: Path | None

    @property
    def state(self) -> JobState:
        """Where it stands; a run whose job is not known any more is done."""
        return self.job.state if self.job else JobState.DONE


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a fit at this moment; None where it does not say.

    ``step`` counts in ``unit``, epochs or iterations, of the ``member`` (fold, round) that is being trained. Rates are
    images a second, memory is in bytes: ``memory`` that the process holds now, ``device_memory`` the most that the
    device gave it. ``remaining_seconds`` counts to the end of the present phase.
    """

    unit: str
    step: int | None
    member: str | None
    loss: float | None
    miou: float | None
    best_miou: float | None
    learning_rate: float | None
    images_per_second: float | None
    memory: int | None
    device_memory: int | None
    elapsed_seconds: float
    remaining_seconds: float | None


def list_fits(workspace: Workspace) -> list[Fit]:
    """The fits: those that run, wait or are paused first, then the others with the latest first; each name once."""
    folders = {card.parent.name: card for card in workspace.runs.glob(f"*/{CARD}")}
    found: dict[str, Fit] = {}
    for view in queue.jobs(workspace):
        name = view.out.name if view.kind == FIT_KIND and view.out else None
        if name is None or name in found:
            continue
        if view.state is JobState.CANCELLED and name not in folders:
            continue  # nothing is left of it
        found[name] = Fit(name, view, folders[name].parent if name in folders else None)
    for name, card in sorted(folders.items(), key=lambda item: _modified(item[1]), reverse=True):
        found.setdefault(name, Fit(name, None, card.parent))
    return list(found.values())[:MOST_FITS]


def curve(workspace: Workspace, fit: Fit) -> Points:
    """The curve of a fit so far; empty before its first point."""
    if fit.job is not None:
        points = _read_job(workspace, fit.job.id, *_stamp(log.log_path(workspace, fit.job.id)))
        if points or fit.folder is None:
            return points
    return _read_run(fit.folder, *_stamp(fit.folder / METRICS)) if fit.folder else []


def figures(workspace: Workspace, fit: Fit, points: Points) -> Figures:
    """The latest figures of a fit, from its curve and its process."""
    last = points[-1] if points else {}
    scores = [p["validation_miou"] for p in points if p.get("validation_miou") is not None]
    running = fit.job is not None and fit.job.state is JobState.RUNNING
    here = running and fit.job is not None and fit.job.device != CLUSTER  # elsewhere the process here but watches
    said = [p["memory_bytes"] for p in points if p.get("memory_bytes") is not None]
    return Figures(
        unit="iteration" if "iteration" in last else "epoch",
        step=last.get("epoch", last.get("iteration")),
        member=None if last.get("member") is None else str(last["member"]),
        loss=last.get("loss"),
        miou=scores[-1] if scores else None,
        best_miou=max(scores, default=None),
        learning_rate=_latest(points, "learning_rate"),
        images_per_second=_latest(points, "images_per_second"),
        memory=memory_used(fit.job.process) if here and fit.job and fit.job.process else None,
        device_memory=max(said, default=None),
        elapsed_seconds=fit.job.worked(now()) if fit.job else float(last.get("seconds") or 0.0),
        remaining_seconds=log.read_progress(workspace, fit.job.id).remaining_seconds if running and fit.job else None,
    )


def _latest(points: Points, key: str) -> float | None:
    return next((float(p[key]) for p in reversed(points) if p.get(key) is not None), None)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # removed in between


def _stamp(path: Path) -> tuple[int, int]:
    """What tells one state of a growing file from the next."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=64)
def _read_job(workspace: Workspace, job_id: int, _modified_ns: int, _size: int) -> Points:
    return log.read_metrics(workspace, job_id)


@lru_cache(maxsize=64)
def _read_run(folder: Path, _modified_ns: int, _size: int) -> Points:
    return log.without_superseded(read_metrics(folder))
