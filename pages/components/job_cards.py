"""One job on the page, by its state: what it is, how far, what may be done with it.

Buttons act in callbacks, so that the list that is drawn next shows the new state. What would lose work asks first,
in the place of the buttons: nothing on the page moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import InputError
from core.jobs import log, queue
from core.jobs.outcome import JobState
from core.jobs.queue import FIT_KIND, JobView, Move
from core.jobs.slots import slots
from core.tables import now
from core.workspace import Workspace

SLOW_START = timedelta(seconds=15)
PATIENCE_SECONDS = 8.0
SMALL = "opacity:.8;font-size:.85em;overflow-wrap:anywhere"
MESSAGES_SHOWN = 3

# A sign and its colour, in a tone that shows on light and dark; the word beside it carries the meaning.
STATE_SIGNS: dict[JobState, tuple[str, str]] = {
    JobState.QUEUED: ("\u2026", "#8a938e"),
    JobState.RUNNING: ("\u25b6", "#3d8bd4"),
    JobState.PAUSED: ("\u2016", "#b07cc6"),
    JobState.DONE: ("\u2714", "#27a171"),
    JobState.FAILED: ("\u2716", "#d9534f"),
    JobState.CANCELLED: ("\u25a0", "#8a938e"),
    JobState.LOST: ("\u26a0", "#d98a1f"),
}
KEEP_WORDS = {FIT_KIND: "keep the best", "import-mapped": "keep nothing"}
KEPT = {
    FIT_KIND: "The best so far is kept as a run.",
    "import-mapped": "An import comes in whole or not at all.",
    "download-deepglobe": "What has come is kept, and the next start goes on there.",
}


def running_job(workspace: Workspace, view: JobView, key: str) -> None:
    """A running job: progress, pace, messages; pause and cancel."""
    progress = log.read_progress(workspace, view.id)
    with st.container(border=True, gap="xsmall"):
        st.html(title_html(view, f"on {view.device}"))
        st.progress(progress.share)
        parts = [f"{progress.share:.0%}", progress.message]
        if view.cancelling:
            parts.append(f"stopping after this step. {_kept(view)}")
        elif view.pausing:
            parts.append("pausing after this step")
        elif progress.remaining_seconds is not None:
            parts.append(f"about {duration(progress.remaining_seconds)} left")
        small(" · ".join(parts))
        for message in log.read_messages(workspace, view.id)[-MESSAGES_SHOWN:]:
            small(f"\u26a0 {message}")
        with _row():
            _running_buttons(_Buttons(workspace, view, key))


def _running_buttons(buttons: "_Buttons") -> None:
    view = buttons.view
    if view.cancelling or view.pausing:
        waited = (now() - view.stopping_since).total_seconds() if view.stopping_since else 0.0
        if waited > PATIENCE_SECONDS:
            tip = "Its step takes long. Ending it now loses what this step did; what was written before is kept."
            buttons.act("force", "End it now", queue.end_now, icon="bolt", tip=tip)
        label = "Stopping …" if view.cancelling else "Pausing …"
        st.button(label, key=f"{buttons.key}-stopping-{view.id}", disabled=True)
    elif buttons.asked:
        buttons.confirm(f"Stop, {KEEP_WORDS.get(view.kind, 'keep what is done')}", no="Go on")
    else:
        buttons.act("pause", "Pause", queue.pause, icon="pause", tip=_pause_tip(view))
        buttons.ask("Cancel", tip=f"Stops after this step. {_kept(view)}")


def waiting_job(workspace: Workspace, view: JobView, key: str, *, line: list[JobView]) -> None:
    """A waiting job: its place, and buttons that move, hold or cancel it. ``line`` waits for the same device."""
    buttons = _Buttons(workspace, view, key)
    title = f"{view.place}. <b>{escape(view.title)}</b>"
    note = f'<span style="{SMALL}">number {view.place} in line for {escape(view.device)}</span>'
    with _head(f'<div style="overflow-wrap:anywhere;line-height:1.3">{title}<br>{note}</div>', buttons=5):
        if len(line) > 1:
            first, last = view.place == 1, view.place == len(line)
            buttons.sign("front", "vertical_align_top", "Move to the front", _moving(Move.FRONT), disabled=first)
            buttons.sign("up", "arrow_upward", "Move up", _moving(Move.UP), disabled=first)
            buttons.sign("down", "arrow_downward", "Move down", _moving(Move.DOWN), disabled=last)
        buttons.sign("pause", "pause", "Hold it back", queue.pause)
        buttons.sign("cancel", "close", "Cancel", queue.cancel)
    if view.place == 1 and now() - view.created > SLOW_START:
        running = queue.running_jobs(workspace, view.device)
        if len(running) < slots(workspace, view.device).count:
            small(f"Nothing has begun it yet; {workspace.jobs / f'worker-{view.device}.log'} may tell why.")


def paused_job(workspace: Workspace, view: JobView, key: str) -> None:
    """A paused job: what resuming means, and the buttons to resume or cancel it."""
    buttons = _Buttons(workspace, view, key)
    with st.container(border=True, gap="xsmall"):
        st.html(title_html(view, f"on {view.device}", _paused_sentence(view)))
        with _row():
            if buttons.asked:
                buttons.confirm("Give it up", no="Keep it")
            else:
                tip = "It takes the last place in line."
                buttons.act("resume", "Resume", queue.resume, icon="play_arrow", tip=tip)
                buttons.ask("Cancel", tip="Takes it out of the list for good.")


def _paused_sentence(view: JobView) -> str:
    worked = view.worked(now())
    if worked == 0:
        return "Held back before it began. It waits until somebody resumes it, whatever is restarted meanwhile."
    after = f"Paused after {duration(worked)}. "
    if view.has_checkpoint:
        return after + "Resumed, it goes on from its checkpoint as if it had not been paused."
    return after + "It left no checkpoint: resumed, it begins anew, with the same seed."


def ended_job(workspace: Workspace, view: JobView, key: str) -> None:
    """A job that is over: how it ended, what it left, and for what went wrong its last lines and another try."""
    note, message = _when(view), view.message or ""
    if view.state is JobState.CANCELLED and view.kind == FIT_KIND and view.out and view.worked(now()):
        kept = (view.out / "card.json").exists()
        message += f" The best so far is the run {view.out.name}." if kept else " There was nothing to keep yet."
    if not view.resumable:
        st.html(title_html(view, note, message))
        return
    went_wrong = view.state is not JobState.CANCELLED
    with _head(title_html(view, note, message), buttons=2 if went_wrong else 1):
        if went_wrong:
            with st.popover(":material/terminal:", type="tertiary", help="Last lines of its log"):
                lines = log.tail(workspace, view.id)
                st.code("\n".join(lines) or "It said nothing.", language=None, wrap_lines=True)
        tip = "Go on from its checkpoint" if view.has_checkpoint else "Try again: starts the same command once more"
        _Buttons(workspace, view, key).sign("again", "replay", tip, queue.resume)


Action = Callable[[Workspace, int], None]


@dataclass(frozen=True, slots=True)
class _Buttons:
    """The buttons of one job in one list; ``key`` tells the lists of a page apart."""

    workspace: Workspace
    view: JobView
    key: str

    def act(
        self, name: str, label: str, action: Action, *, icon: str | None = None, tip: str, main: bool = False
    ) -> None:
        """A button with words, that does something at once."""
        st.button(
            label,
            icon=f":material/{icon}:" if icon else None,
            key=f"{self.key}-{name}-{self.view.id}",
            help=tip,
            type="primary" if main else "secondary",
            on_click=self._act,
            args=(action,),
        )

    def sign(self, name: str, icon: str, tip: str, action: Action, *, disabled: bool = False) -> None:
        """A small button with a sign, that does something at once."""
        st.button(
            f":material/{icon}:",
            key=f"{self.key}-{name}-{self.view.id}",
            help=tip,
            type="tertiary",
            disabled=disabled,
            on_click=self._act,
            args=(action,),
        )

    def ask(self, label: str, *, tip: str) -> None:
        """The button that cancels, but asks first."""
        st.button(
            label,
            icon=":material/close:",
            key=f"{self.key}-cancel-{self.view.id}",
            help=tip,
            on_click=st.session_state.update,
            args=({self._asking: self.view.id},),
        )

    @property
    def asked(self) -> bool:
        """Whether this job's ``ask`` was pressed and not answered yet."""
        return bool(st.session_state.get(self._asking) == self.view.id)

    def confirm(self, yes: str, *, no: str) -> None:
        """The two answers, in the place of the buttons."""
        self.act("yes", yes, queue.cancel, tip=_kept(self.view), main=True)
        st.button(no, key=f"{self.key}-no-{self.view.id}", on_click=st.session_state.pop, args=(self._asking, None))

    @property
    def _asking(self) -> str:
        return f"{self.key}-asking"

    def _act(self, action: Action) -> None:
        st.session_state.pop(self._asking, None)
        try:
            action(self.workspace, self.view.id)
        except InputError as error:
            st.toast(str(error), icon=":material/error:")


def _moving(where: Move) -> Action:
    return lambda workspace, job_id: queue.move(workspace, job_id, where)


def _head(html: str, *, buttons: int) -> DeltaGenerator:
    """A row with ``html`` to the left and room for small buttons to the right, which is returned."""
    left, right = st.columns([10 - 0.9 * buttons, 0.9 * buttons], vertical_alignment="center", gap="small")
    left.html(html)
    return right.container(horizontal=True, horizontal_alignment="right", gap="xsmall")


def _row() -> DeltaGenerator:
    return st.container(horizontal=True, vertical_alignment="center", gap="small")


def title_html(view: JobView, note: str, message: str = "") -> str:
    """State, title and note, and a sentence below."""
    sign, colour = STATE_SIGNS[view.state]
    below = f'<div style="{SMALL}">{escape(message)}</div>' if message else ""
    return (
        f'<div style="overflow-wrap:anywhere"><span aria-hidden="true" style="color:{colour}">{sign}</span> '
        f"{view.state.value} &nbsp;<b>{escape(view.title)}</b> "
        f'<span style="{SMALL}">{escape(note)}</span></div>{below}'
    )


def small(text: str) -> None:
    """A line of small print; nothing in it is markup."""
    st.html(f'<div style="{SMALL}">{escape(text)}</div>')


def _kept(view: JobView) -> str:
    return KEPT.get(view.kind, "What is finished is kept.")


def _pause_tip(view: JobView) -> str:
    if view.kind == FIT_KIND:
        return (
            "Stops after this step and frees the device. A network goes on from its checkpoint when it is resumed; "
            "a head on cached features trains anew, in seconds."
        )
    return "Stops after this step and frees the device. When it is resumed it begins anew."


def _when(view: JobView) -> str:
    if view.ended is None:
        return ""
    ago = duration((now() - view.ended).total_seconds())
    worked = view.worked(now())
    return f"{ago} ago" + (f", took {duration(worked)}" if worked else "")


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
