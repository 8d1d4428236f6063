"""The jobs of a workspace, live: what runs and how far it is, what waits, and how the latest ones ended.

What a job says comes from outside (file names, libraries, paths), so none of it is taken for markup.
"""

from datetime import datetime, timedelta
from html import escape

import streamlit as st

from core.errors import InputError
from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from core.jobs.queue import JobView
from core.tables import now
from core.workspace import Workspace

LIST_SECONDS = 1.0
BADGE_SECONDS = 2.0
ENDED_SHOWN = 5
SLOW_START = timedelta(seconds=15)
SMALL = "opacity:.8;font-size:.85em;overflow-wrap:anywhere"

# A sign and its colour, in a tone that shows on light and dark; the word beside it carries the meaning.
STATE_SIGNS: dict[JobState, tuple[str, str]] = {
    JobState.QUEUED: ("\u2026", "#8a938e"),
    JobState.RUNNING: ("\u25b6", "#3d8bd4"),
    JobState.DONE: ("\u2714", "#27a171"),
    JobState.FAILED: ("\u2716", "#d9534f"),
    JobState.CANCELLED: ("\u25a0", "#8a938e"),
    JobState.LOST: ("\u26a0", "#d98a1f"),
}


def job_list(workspace: Workspace, *, key: str = "jobs") -> None:
    """Show the jobs, refreshed every second while one waits or runs and not at all otherwise.

    When a job begins or ends the whole page runs anew, so that what depends on it (a table of runs, a curve) is
    fresh. ``key`` tells two lists on one page apart.
    """
    views = _look(workspace)
    active = any(view.state.active for view in views)
    st.fragment(_list, run_every=LIST_SECONDS if active else None)(workspace, _states(views), key)


def job_badge(workspace: Workspace) -> None:
    """One line for the sidebar: the running job and its progress, and how many wait."""
    active = any(view.state.active for view in _look(workspace))
    st.fragment(_badge, run_every=BADGE_SECONDS if active else None)(workspace, active)


def _look(workspace: Workspace) -> list[JobView]:
    try:
        worker.keep_going(workspace)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
    return queue.jobs(workspace)


def _states(views: list[JobView]) -> dict[int, JobState]:
    return {view.id: view.state for view in views}


def _list(workspace: Workspace, states: dict[int, JobState], key: str) -> None:
    """The fragment. ``states`` are those of the page's last run."""
    views = _look(workspace)
    if _states(views) != states:
        st.rerun()
    if not views:
        st.caption("No job has run in this workspace yet.")
        return
    for view in views:
        if view.state is JobState.RUNNING:
            _running(workspace, view, key)
        elif view.state is JobState.QUEUED:
            _waiting(workspace, view, key)
    ended = [view for view in views if not view.state.active]
    for view in ended[:ENDED_SHOWN]:
        _ended(workspace, view)


def _running(workspace: Workspace, view: JobView, key: str) -> None:
    with st.container(border=True):
        _head(workspace, view, f"on {view.device}", key)
        progress = log.read_progress(workspace, view.id)
        st.progress(progress.share)
        parts = [f"{progress.share:.0%}", progress.message]
        if view.cancelling:
            parts.append("stopping after this step, what is finished is kept")
        elif progress.remaining_seconds is not None:
            parts.append(f"about {duration(progress.remaining_seconds)} left")
        _small(" · ".join(parts))


def _waiting(workspace: Workspace, view: JobView, key: str) -> None:
    with st.container(border=True):
        _head(workspace, view, f"number {view.place} in line for {view.device}", key)
        alone = view.place == 1 and not queue.running_jobs(workspace, view.device)
        if alone and now() - view.created > SLOW_START:
            _small(f"Nothing has begun it yet; {workspace.jobs / f'worker-{view.device}.log'} may tell why.")


def _head(workspace: Workspace, view: JobView, note: str, key: str) -> None:
    """The first row of an active job: state, title, and the button that stops it."""
    left, right = st.columns([3, 1], vertical_alignment="center")
    with left:
        _title(view, note)
    label = "Stopping" if view.cancelling else "Cancel"
    if right.button(label, key=f"{key}-cancel-{view.id}", disabled=view.cancelling, width="stretch"):
        queue.cancel(workspace, view.id)
        st.rerun()


def _ended(workspace: Workspace, view: JobView) -> None:
    _title(view, _when(view), view.message or "")
    if view.state in (JobState.FAILED, JobState.LOST):
        lines = log.tail(workspace, view.id)
        with st.expander("Last lines of its log", icon=":material/terminal:"):
            st.code("\n".join(lines) or "It said nothing.", language=None, wrap_lines=True)


def _badge(workspace: Workspace, was_active: bool) -> None:
    views = _look(workspace)
    running = [view for view in views if view.state is JobState.RUNNING]
    waiting = sum(view.state is JobState.QUEUED for view in views)
    if was_active and not running and not waiting:
        st.rerun()  # the page's own run sets the timer, so that it stops
    parts = [f"{view.title}: {log.read_progress(workspace, view.id).share:.0%}" for view in running]
    if waiting:
        parts.append(f"{waiting} waiting")
    _small(" · ".join(parts) if parts else "No job is running.")


def _title(view: JobView, note: str, message: str = "") -> None:
    sign, colour = STATE_SIGNS[view.state]
    below = f'<div style="{SMALL}">{escape(message)}</div>' if message else ""
    st.html(
        f'<div style="overflow-wrap:anywhere"><span aria-hidden="true" style="color:{colour}">{sign}</span> '
        f"{view.state.value} &nbsp;<b>{escape(view.title)}</b> "
        f'<span style="{SMALL}">{escape(note)}</span></div>{below}'
    )


def _small(text: str) -> None:
    st.html(f'<div style="{SMALL}">{escape(text)}</div>')


def _when(view: JobView) -> str:
    if view.ended is None:
        return ""
    ago = duration((now() - view.ended).total_seconds())
    return f"{ago} ago" + (f", took {_took(view.started, view.ended)}" if view.started else "")


def _took(started: datetime, ended: datetime) -> str:
    return duration((ended - started).total_seconds())


def duration(seconds: float) -> str:
    """A length of time as a person says it: ``40 s``, ``3 min``, ``1 h 20 min``, ``2 days``."""
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24)} days"
