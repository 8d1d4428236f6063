"""The bar of filters over Browse's views: search, split, labels, order, and what is active as chips to take off.

What does not fit the bar is in the popover (``browse_filter_panel``). Everything writes the address and reads it back.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from core.catalog.filter_outside import judged_runs
from core.catalog.filter_words import asked
from core.catalog.splits import SPLITS
from core.catalog.tile_filter import DESCENDING_FIRST, ORDERS, TileFilter, from_query
from core.catalog.tile_table import STATUSES, TileTable
from core.classes import CLASS_NAMES
from core.workspace import Workspace
from pages.components.browse_address import filter_now, show_filter
from pages.components.browse_filter_panel import filter_panel
from pages.components.browsing import Browsing
from pages.components.problems import plain
from pages.components.synthetic import synthetic_note

_SPLITS = {"": "Any split", **{split: split for split in SPLITS}, "none": "in no split"}
_LABELS = {"": "Any labels", **{status: status for status in STATUSES}}

# Chips that one reads past: small, round, in one row that is there with and without them.
_STYLE = """<style>
.st-key-browse_chips { min-height: 2.1rem }
.st-key-browse_chips button { min-height: 1.7rem; padding: 0 .6rem; border-radius: 99px }
.st-key-browse_chips button p { font-size: .82rem }
.st-key-browse_chips [data-testid="stIconMaterial"] { font-size: .95rem }
</style>"""


def choose_filter(workspace: Workspace, table: TileTable, *, ordered: bool) -> TileFilter:
    """The filter that the address asks for, with the widgets that change it; that of the order if ``ordered``."""
    wanted, wrong = from_query(st.query_params)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="browse_filters"):
        _search(wanted)
        _choice("Split", _SPLITS, wanted.split, lambda value: {"split": value or None}, width=120)
        _choice("Labels", _LABELS, wanted.labels, lambda value: {"labels": value or None}, width=150)
        filter_panel(workspace, table, wanted)
        if ordered:
            _order(workspace, table, wanted)
    for sentence in wrong:
        st.warning(plain(sentence), icon=":material/link_off:")
    return wanted


def active_filters(browsing: Browsing) -> None:
    """How many tiles pass, and a chip for each part of the filter that takes it off."""
    shown, every = len(browsing.order), len(browsing.table.rows)
    number = browsing.table.tiles.number_of.get(browsing.filter.alike or 0)
    names = {} if number is None else {int(browsing.table.tiles.ids[number]): browsing.table.rows[number].name}
    parts = asked(browsing.filter, names)
    st.html(_STYLE)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="browse_chips"):
        st.caption(f"{shown} of {every} tiles" if shown < every else f"All {every} tiles", width="content")
        synthetic_note(browsing.collection)
        for number, part in enumerate(parts):
            st.button(
                plain(part.words),
                icon=":material/close:",
                icon_position="right",
                key=f"browse_chip_{number}",
                help="Take this filter off",
                on_click=show_filter,
                args=(part.without,),
            )
        if parts:
            order = replace(TileFilter(), order=browsing.filter.order, descending=browsing.filter.descending)
            kept = order if browsing.filter.order != "alike" else TileFilter()
            st.button("Clear all", type="tertiary", key="browse_clear", on_click=show_filter, args=(kept,))
    lacking = _lacking(browsing)
    if lacking is not None:
        st.info(lacking, icon=":material/info:")


def _lacking(browsing: Browsing) -> str | None:
    """What the filter asks for that nobody can tell, in a sentence that says how to mend it."""
    wanted, table = browsing.filter, browsing.table
    if (wanted.order == "iou" or wanted.iou) and browsing.outside.iou is None:
        run = f"Run {plain(wanted.run)}" if wanted.run else "No run"
        was = "was not judged" if wanted.run else "was judged"
        return f"{run} {was} on these tiles: there is no IoU to go by. The Evaluate page judges runs."
    if (wanted.order == "uncertainty" or wanted.uncertainty or wanted.predicted) and table.opinions.run is None:
        return "No run has looked at these tiles: its uncertainty and shares are not known. The Filter can start that."
    return None


def _search(wanted: TileFilter) -> None:
    st.session_state["filter_text"] = wanted.text
    st.text_input(
        "Search",
        key="filter_text",
        placeholder="Search by id",
        icon=":material/search:",
        label_visibility="collapsed",
        width=160,
        on_change=lambda: _ask(text=st.session_state["filter_text"].strip()),
    )


def _choice(
    label: str, options: dict[str, str], now: str | None, taken: Callable[[str], dict[str, Any]], *, width: int
) -> None:
    key = f"filter_{label.casefold()}"
    st.session_state[key] = now or ""
    st.selectbox(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        label_visibility="collapsed",
        width=width,
        on_change=lambda: _ask(**taken(st.session_state[key])),
    )


def _order(workspace: Workspace, table: TileTable, wanted: TileFilter) -> None:
    """What the tiles are ordered by, of what is known of any, and which way."""
    known = {"name", "labels", "changed", *CLASS_NAMES, wanted.order}
    known |= {"uncertainty"} if table.opinions.run else set()
    known |= {"iou"} if judged_runs(workspace, table) else set()
    known |= {"alike"} if wanted.alike is not None else set()
    st.session_state["filter_order"] = wanted.order
    st.selectbox(
        "Order",
        [order for order in ORDERS if order in known],
        format_func=lambda order: f"by {ORDERS[order]}",
        key="filter_order",
        label_visibility="collapsed",
        width=210,
        on_change=_reorder,
    )
    st.button(
        "",
        icon=":material/arrow_downward:" if wanted.descending else ":material/arrow_upward:",
        key="browse_direction",
        help="Largest first; press for smallest first" if wanted.descending else "Smallest first; press for largest",
        on_click=lambda: _ask(descending=not filter_now().descending),
    )


def _reorder() -> None:
    order = st.session_state["filter_order"]
    _ask(order=order, descending=order in DESCENDING_FIRST)


def _ask(**parts: Any) -> None:
    show_filter(replace(filter_now(), **parts))
