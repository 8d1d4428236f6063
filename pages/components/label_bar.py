"""The line above the canvas: which tile, how far it is, what comes next; below it what the labeller should know."""

from html import escape

import streamlit as st

from core.catalog.catalogue import collection, collections, tiles
from core.errors import InputError
from core.labels import tile_locks, work_status
from core.labels.tile_locks import Holder
from core.labels.work_status import STEPS, Status, Work
from core.tables import Tile
from core.workspace import Workspace
from pages.components.label_desk import FILES_OPEN, STATUS_COLOURS, STATUS_ICONS, Desk, follow, go
from pages.components.label_files import label_files
from pages.components.label_people import people_panel
from pages.components.label_queue import go_to_next, queue_panel
from pages.components.problems import plain
from pages.components.synthetic import synthetic_note

LOOK_SECONDS = 30.0
"""How often the page looks at how far others are. Each look makes the browser miss a third of a second of strokes, so
what concerns the open tile comes by the canvas instead, which asks the server anyway."""
_TROUBLE = "label_status_trouble"

_WIDE = """<style>
.stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; padding-bottom: 1rem }
.st-key-label_bar [data-stale="true"] { opacity: 1 !important }
</style>"""
"""The canvas needs the width more than the page needs margins; and what looks again by itself must not blink."""

_VERBS = {
    Status.NEW: "Not begun after all",
    Status.IN_WORK: "Back into work",
    Status.DONE: "Mark as done",
    Status.APPROVED: "Approve",
    Status.SENT_BACK: "Send back",
}


def label_bar(desk: Desk) -> None:
    """The whole bar."""
    st.html(_WIDE)
    home = collection(desk.workspace, desk.tile.collection_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="label_bar"):
        _choose_collection(desk)
        _choose_tile(desk)
        st.fragment(_live, run_every=LOOK_SECONDS)(desk)
        synthetic_note(home)
        if st.button(
            "Next tile",
            icon=":material/arrow_forward:",
            type="primary",
            key="label_next",
            help="The best tile of the queue that is not done and that nobody has open.",
            shortcut="N",
        ):
            go_to_next(desk)
            st.rerun()
        queue_panel(desk)
        people_panel(desk)
        _files(desk)
    _notes(desk)


def _files(desk: Desk) -> None:
    """The button that opens import and export; what is in it is worked out only while it is open."""
    panel = st.popover(
        "", icon=":material/folder_open:", help="Labels from and to files", key=FILES_OPEN, on_change="rerun"
    )
    if panel.open:
        with panel, st.container(width=440):
            label_files(desk.workspace, desk.tile, annotator=desk.annotator, opinion=desk.opinion)


def _choose_collection(desk: Desk) -> None:
    """A list of the collections, where there is more than one."""
    known = {found.id: found.name for found in collections(desk.workspace)}
    if len(known) < 2:
        return
    st.session_state["label_collection"] = desk.tile.collection_id
    st.selectbox(
        "Collection",
        list(known),
        key="label_collection",
        width=112,
        label_visibility="collapsed",
        format_func=lambda collection_id: known[collection_id],
        on_change=lambda: _go_to_collection(desk.workspace, st.session_state["label_collection"]),
    )


def _go_to_collection(workspace: Workspace, collection_id: int) -> None:
    if members := tiles(workspace, collection_id):
        go(members[0].id)


def _choose_tile(desk: Desk) -> None:
    """The tile, with its neighbours by name on either side."""
    members = {tile.id: tile for tile in tiles(desk.workspace, desk.tile.collection_id)}
    standing = work_status.works(desk.workspace, desk.tile.collection_id)
    held = tile_locks.holders(desk.workspace, desk.tile.collection_id)
    ids = list(members)
    at = ids.index(desk.tile.id)
    _step("Previous", ":material/chevron_left:", ids[at - 1] if at > 0 else None)
    st.session_state["label_pick"] = desk.tile.id
    st.selectbox(
        "Tile",
        ids,
        key="label_pick",
        width=154,
        label_visibility="collapsed",
        format_func=lambda tile_id: _describe(
            members[tile_id], standing.get(tile_id, Work()), held.get(tile_id), desk.annotator
        ),
        on_change=lambda: go(st.session_state["label_pick"]),
    )
    _step("Following", ":material/chevron_right:", ids[at + 1] if at + 1 < len(ids) else None)


def _describe(tile: Tile, work: Work, holder: Holder | None, annotator: str) -> str:
    """A line of the list of tiles."""
    parts = [tile.name]
    if work.status is not Status.NEW:
        parts.append(str(work.status))
    if holder is not None and holder.annotator != annotator:
        parts.append(holder.annotator)
    return "  ·  ".join(parts)


def _step(label: str, icon: str, tile_id: int | None) -> None:
    """A button to a neighbour; it says its name to a screen reader and in its tooltip."""
    key, says = f"label_{label.lower()}", f"{label} tile by name"
    # No callback: right after a restart of the server the click comes before a run has registered one, and is lost.
    clicked = st.button("", icon=icon, type="tertiary", key=key, help=says, disabled=tile_id is None)
    if clicked and tile_id is not None:
        go(tile_id)
        st.rerun()


def _live(desk: Desk) -> None:
    """The status of this tile and how many are done."""
    follow(desk)
    standing = work_status.works(desk.workspace, desk.tile.collection_id)
    total = len(tiles(desk.workspace, desk.tile.collection_id))
    done = sum(work.status.finished for work in standing.values())
    held = tile_locks.holders(desk.workspace, desk.tile.collection_id)
    others = {holder.annotator for holder in held.values()} - {desk.annotator}
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        if desk.is_opinion:
            st.badge("second opinion", icon=":material/visibility_off:", color="violet")
        else:
            _status(desk, standing.get(desk.tile.id, Work()))
        here = f"  :material/group: {len(others)}" if others else ""
        st.caption(f"{done} of {total} done{here}", width="content")


def _status(desk: Desk, work: Work) -> None:
    """The status as a button that opens the steps from here."""
    colour = STATUS_COLOURS[work.status]
    label = f":{colour}[{work.status.capitalize()}]"
    with st.popover(label, icon=STATUS_ICONS[work.status], key=f"label_status_{desk.tile.id}"), st.container(width=320):
        _steps(desk, work)


def _steps(desk: Desk, work: Work) -> None:
    if work.annotator:
        st.caption(f"{work.status.capitalize()} by {plain(work.annotator)}")
    for step in STEPS[work.status]:
        if step is Status.SENT_BACK:
            continue
        note = _own_work(desk) if step is Status.APPROVED else None
        st.button(
            _VERBS[step],
            icon=STATUS_ICONS[step],
            key=f"label_to_{step}",
            width="stretch",
            help=note,
            on_click=_set,
            args=(desk, step),
        )
        if step is Status.DONE:
            st.button(
                "Done, and on to the next tile",
                icon=":material/arrow_forward:",
                type="primary",
                width="stretch",
                key="label_done_next",
                on_click=_done_and_next,
                args=(desk,),
            )
        if note:
            st.caption(note)
    if Status.SENT_BACK in STEPS[work.status]:
        st.text_area("What is to be mended", key="label_comment", height=80, max_chars=work_status.MAX_COMMENT_LETTERS)
        st.button(
            _VERBS[Status.SENT_BACK],
            icon=STATUS_ICONS[Status.SENT_BACK],
            key="label_to_sent_back",
            width="stretch",
            on_click=_set,
            args=(desk, Status.SENT_BACK),
        )
    if trouble := st.session_state.pop(_TROUBLE, None):
        st.error(trouble)


def _own_work(desk: Desk) -> str | None:
    """A remark for somebody who is about to approve labels of their own."""
    if desk.annotator in work_status.labellers(desk.workspace, desk.tile.id):
        return "You labelled this tile yourself; a second pair of eyes sees more."
    return None


def _set(desk: Desk, status: Status) -> None:
    comment = st.session_state.get("label_comment", "") if status is Status.SENT_BACK else ""
    try:
        work_status.set_status(desk.workspace, desk.tile.id, status, annotator=desk.annotator, comment=comment)
    except InputError as error:
        st.session_state[_TROUBLE] = str(error)


def _done_and_next(desk: Desk) -> None:
    _set(desk, Status.DONE)
    if _TROUBLE not in st.session_state:
        go_to_next(desk)


def _notes(desk: Desk) -> None:
    """Below the bar, and only where there is something to say: a reviewer's comment, or why this tile was chosen."""
    work = work_status.work(desk.workspace, desk.tile.id)
    notes = []
    if work.comment and not desk.is_opinion:
        who = f"{escape(work.annotator or '')} sent this tile back" if work.status is Status.SENT_BACK else "To mend"
        notes.append(f"<b>{who}:</b> {escape(work.comment)}")
    if work.status is Status.APPROVED and work.annotator in work_status.labellers(desk.workspace, desk.tile.id):
        notes.append(f"Approved by {escape(work.annotator)}, who labelled it too.")
    tile_id, reason = st.session_state.get("label_reason", (None, None))
    if tile_id == desk.tile.id and reason and not notes:
        notes.append(f"Chosen next: {escape(reason)}")
    if notes:
        colour = "#d98a1f" if work.comment and not desk.is_opinion else "currentColor"
        st.html(
            f'<div style="border-left:3px solid {colour};padding:0 .6em;font-size:.88em;overflow-wrap:anywhere">'
            + " ".join(notes)
            + "</div>"
        )
