"""What is selected in Browse's gallery, and what can be done with it: a split, the labelling queue, files, predictions.

The selection is of a collection, over all pages and filters, and lasts as long as the session.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.catalog.splits import SPLITS
from core.errors import InputError
from core.labels import picked
from core.labels.queue_rules import Rule
from pages.components.browse_selection_files import files_panel
from pages.components.browse_selection_predict import predict_panel
from pages.components.browse_selection_split import move_to
from pages.components.browsing import Browsing
from pages.components.problems import plain

_PAGES = Path(__file__).resolve().parents[1]
_DONE = "browse_done"  # (collection id, sentence, what undoes it)
_TOLD = "browse_told"  # what the next run tells: (sentence, icon, duration)
_SPLIT_OPEN = "browse_to_split"
_STYLE = """<style>
.st-key-browse_selection { min-height: 2.5rem }
.st-key-browse_selection button { padding: 0 .55rem }
</style>"""

Undo = Callable[[], None]


def selected(collection_id: int) -> set[int]:
    """The ids of the selected tiles."""
    found: set[int] = st.session_state.setdefault(f"browse_selected_{collection_id}", set())
    return found


def marked_on(collection_id: int, ids: Sequence[int]) -> list[int]:
    """Those of a page that are selected."""
    chosen = selected(collection_id)
    return [tile_id for tile_id in ids if tile_id in chosen]


def turn_of(collection_id: int) -> int:
    """Which of the gallery's messages was heard last."""
    return int(st.session_state.get(f"browse_turn_{collection_id}", 0))


def mark_page(collection_id: int, told: dict[str, Any]) -> None:
    """Take over what the gallery says of one page: its tiles, and which of them are selected."""
    page, marked = {int(one) for one in told["page"]}, {int(one) for one in told["marked"]}
    _select(collection_id, (selected(collection_id) - page) | (marked & page))
    st.session_state[f"browse_turn_{collection_id}"] = int(told["turn"])


def selection_bar(browsing: Browsing) -> None:
    """One row that is always there: how many are selected, what can be done with them, and what undoes the last."""
    place, chosen = browsing.collection.id, in_order(browsing)
    passing = set(browsing.table.tiles.ids[browsing.order].tolist())
    _tell()
    st.html(_STYLE)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="browse_selection"):
        if not passing <= selected(place):
            st.button(
                f"Select all {len(passing)}",
                type="tertiary",
                icon=":material/select_all:",
                key="browse_select_all",
                help="All tiles that pass the filter, on every page",
                on_click=lambda: _select(place, selected(place) | passing),
            )
        if chosen:
            st.button(
                f"{len(chosen)} selected",
                icon=":material/close:",
                icon_position="right",
                type="tertiary",
                key="browse_select_none",
                help="Select none",
                on_click=lambda: _select(place, set()),
            )
            _actions(browsing, chosen)
        _undo_button(place)
        if not chosen:
            st.caption("Space, or the corner of a card, selects; with Shift all up to there.", width="content")


def in_order(browsing: Browsing) -> list[int]:
    """The row numbers of the selected tiles as they stand: those that pass first, then the others by name."""
    chosen = selected(browsing.collection.id)
    if not chosen:
        return []
    number_of = browsing.table.tiles.number_of
    wanted = {number_of[tile_id] for tile_id in chosen if tile_id in number_of}
    passing = [number for number in browsing.order.tolist() if number in wanted]
    return [*passing, *sorted(wanted - set(passing))]


def _actions(browsing: Browsing, chosen: list[int]) -> None:
    panel = st.popover("Split", icon=":material/call_split:", key=_SPLIT_OPEN, on_change="rerun")
    if panel.open:
        with panel:
            st.caption(f"Put these {len(chosen)} tiles on a side of the split that the collection follows.")
            with st.container(horizontal=True):
                for side in SPLITS:
                    st.button(f"Add to {side}", key=f"browse_to_{side}", on_click=_move, args=(browsing, chosen, side))
    if st.button(
        "Label", icon=":material/brush:", key="browse_to_queue", help="Label's 'next' goes through just these"
    ):
        _label(browsing, chosen)
    files_panel(browsing, chosen)
    predict_panel(browsing, chosen)


def _move(browsing: Browsing, chosen: list[int], side: str) -> None:
    try:
        _say(browsing.collection.id, *move_to(browsing, chosen, side))
    except InputError as error:
        _refuse(error)
    st.session_state[_SPLIT_OPEN] = False


def _label(browsing: Browsing, chosen: list[int]) -> None:
    """Make them the picked tiles, and go to Label, where the next ones come from them."""
    workspace, collection = browsing.workspace, browsing.collection
    ids = [int(browsing.table.tiles.ids[number]) for number in chosen]
    before = picked.pick(workspace, collection.id, ids)

    def back() -> None:
        picked.pick(workspace, collection.id, before)

    _say(collection.id, f"{len(ids)} tiles are picked for labelling.", back)
    st.session_state["label_rule"] = Rule.PICKED
    st.switch_page(_PAGES / "label.py", query_params={"tile": str(ids[0])})


def _undo_button(collection_id: int) -> None:
    """What takes the last action back, where anything does."""
    done = st.session_state.get(_DONE)
    if done is not None and done[0] == collection_id:
        st.button(
            "",
            type="tertiary",
            icon=":material/undo:",
            key="browse_undo",
            help=f"Undo: {plain(done[1])}",
            on_click=_undo,
            args=done,
        )


def _undo(collection_id: int, sentence: str, undo: Undo) -> None:
    try:
        undo()
        _say(collection_id, f"Undone: {sentence}", None)
    except InputError as error:
        _refuse(error)


def _say(collection_id: int, sentence: str, undo: Undo | None) -> None:
    st.session_state[_TOLD] = (sentence, ":material/check:", "long")
    if undo is None:
        st.session_state.pop(_DONE, None)
    else:
        st.session_state[_DONE] = (collection_id, sentence, undo)


def _refuse(error: InputError) -> None:
    """It stays until it is read."""
    st.session_state[_TOLD] = (str(error), ":material/error:", "infinite")


def _tell() -> None:
    """Show what an action said: callbacks of a fragment show nothing themselves."""
    if _TOLD in st.session_state:
        sentence, icon, duration = st.session_state.pop(_TOLD)
        st.toast(plain(sentence), icon=icon, duration=duration)


def _select(collection_id: int, ids: set[int]) -> None:
    st.session_state[f"browse_selected_{collection_id}"] = ids
