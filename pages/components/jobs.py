"""The jobs of a workspace, live: what runs and how far it is, what waits in which order, what is held, what ended.

What a job says comes from outside (file names, libraries, paths), so none of it is taken for markup.
"""

import streamlit as st

from core.errors import InputError
from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from core.jobs.queue import JobView
from core.workspace import Workspace
from pages.components.job_cards import ended_job, paused_job, running_job, small, waiting_job
from pages.components.job_slots import slots_button

LIST_SECONDS = 1.0
BADGE_SECONDS = 2.0
ENDED_SHOWN = 5


def job_list(workspace: Workspace, *, key: str = "jobs") -> None:
    """Show the jobs, refreshed every second while one waits or runs and not at all otherwise.

    When a job ends the whole page runs anew, so that what depends on it (a table of runs, a score) is fresh; until
    then only the list does. ``key`` tells two lists on one page apart.
    """
    look = Look(workspace)
    st.fragment(_list, run_every=LIST_SECONDS if look.active else None)(workspace, look, key)


def job_badge(workspace: Workspace) -> None:
    """One line for the sidebar: the running jobs and their progress, and how many wait or are paused."""
    active = Look(workspace).active
    st.fragment(_badge, run_every=BADGE_SECONDS if active else None)(workspace, active)


class Look:
    """One look at the queue, which puts it right on the way: jobs that died are settled, workers started."""

    def __init__(self, workspace: Workspace) -> None:
        try:
            worker.keep_going(workspace)
        except InputError as error:
            st.error(str(error), icon=":material/error:")
        self.views = queue.jobs(workspace)
        self.active = any(view.state.active for view in self.views)
        self._ended = frozenset(view.id for view in self.views if view.state.ended)

    def calls_for_a_page(self, earlier: "Look") -> bool:
        """Whether the whole page must run anew: a job has ended since ``earlier``, or the timer must start or stop."""
        return self.active != earlier.active or bool(self._ended - earlier._ended)

    def of(self, *states: JobState) -> list[JobView]:
        """The jobs in these states, in their order."""
        return [view for view in self.views if view.state in states]


def draw_running(workspace: Workspace, look: Look, key: str) -> None:
    """A card for each job that runs; inside the caller's fragment, as all that draw."""
    for view in look.of(JobState.RUNNING):
        running_job(workspace, view, key)


def draw_queue(workspace: Workspace, look: Look, key: str) -> None:
    """What waits, in its order, and what is paused."""
    waiting = look.of(JobState.QUEUED)
    if waiting:
        with st.container(border=True, gap="xsmall"):
            _queue_head(workspace, look, waiting)
            for view in waiting:
                waiting_job(workspace, view, key, line=[one for one in waiting if one.device == view.device])
    for view in look.of(JobState.PAUSED):
        paused_job(workspace, view, key)


def draw_ended(workspace: Workspace, look: Look, key: str) -> None:
    """The jobs that ended last."""
    for view in [view for view in look.views if view.state.ended][:ENDED_SHOWN]:
        ended_job(workspace, view, key)


def _queue_head(workspace: Workspace, look: Look, waiting: list[JobView]) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        small(f"{len(waiting)} queued, in this order")
        slots_button(workspace, sorted({view.device for view in look.of(JobState.QUEUED, JobState.RUNNING)}))


def _list(workspace: Workspace, earlier: Look, key: str) -> None:
    """The fragment. ``earlier`` is what the page's last run saw."""
    look = Look(workspace)
    if look.calls_for_a_page(earlier):
        st.rerun()
    if not look.views:
        st.caption("No job has run in this workspace yet.")
    draw_running(workspace, look, key)
    draw_queue(workspace, look, key)
    draw_ended(workspace, look, key)


def _badge(workspace: Workspace, was_active: bool) -> None:
    look = Look(workspace)
    if was_active and not look.active:
        st.rerun()  # the page's own run sets the timer, so that it stops
    parts = [f"{view.title}: {log.read_progress(workspace, view.id).share:.0%}" for view in look.of(JobState.RUNNING)]
    for state, word in ((JobState.QUEUED, "waiting"), (JobState.PAUSED, "paused")):
        count = len(look.of(state))
        parts += [f"{count} {word}"] if count else []
    small(" · ".join(parts) if parts else "No job is running.")
