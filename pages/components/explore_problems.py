"""Explore, Problems: the tiles that stand out by their files, each a link."""

from collections import Counter
from urllib.parse import quote

import pandas as pd
import streamlit as st

from core.catalog.exploring import MOSTLY_UNKNOWN, mostly_unknown, tiles_by_class_count
from core.catalog.exploring_files import Notable, notable, sizes
from core.catalog.filter_outside import looked_at
from core.catalog.tile_filter import TileFilter
from pages.components.browse_address import show_filter
from pages.components.browse_filter_panel import offer_look
from pages.components.browsing import Browsing

SHOWN = 500
_ICONS = {
    "left out": ":material/error:",
    "warning": ":material/warning:",
    "odd size": ":material/aspect_ratio:",
    "same file": ":material/file_copy:",
    "near duplicate": ":material/content_copy:",
    "blank": ":material/check_box_outline_blank:",
    "odd colours": ":material/palette:",
}


def problems_part(browsing: Browsing) -> None:
    """What was found, by kind; then tile by tile."""
    workspace, table = browsing.workspace, browsing.table
    found = notable(workspace, table)
    left, right = st.columns([7, 3], gap="large")
    with left:
        if found:
            _listed(found)
        else:
            st.success("Nothing stands out among these files.", icon=":material/check:")
        looked, every = looked_at(workspace, table), len(table.rows)
        st.caption(
            f"Files that were damaged or odd when they were indexed, {every} tiles; equal files; and blank pictures, "
            f"near duplicates and odd colours of the {looked} tiles that were looked at."
        )
        if looked < every:
            offer_look(workspace, table)
    with right:
        _by_labels(browsing)
        st.markdown("**Sizes and resolutions**")
        counted = pd.DataFrame(sizes(table)[:8], columns=["size", "tiles"])
        st.dataframe(counted, hide_index=True, height="content")


def _listed(found: list[Notable]) -> None:
    counts = Counter(one.kind for one in found)
    kinds = [kind for kind in _ICONS if counts[kind]]
    st.session_state.setdefault("explore_kind", None)
    kind = st.pills(
        "Kind",
        kinds,
        format_func=lambda kind: f"{_ICONS[kind]} {kind} · {counts[kind]}",
        key="explore_kind",
        label_visibility="collapsed",
    )
    shown = [one for one in found if kind is None or one.kind == kind]
    rows = pd.DataFrame(
        {
            "tile": [_link(one) for one in shown[:SHOWN]],
            "kind": [one.kind for one in shown[:SHOWN]],
            "what is wrong": [one.sentence for one in shown[:SHOWN]],
        }
    )
    st.dataframe(
        rows,
        hide_index=True,
        height=min(400, 38 + 35 * len(rows)),
        column_config={
            "tile": st.column_config.LinkColumn(width="small", display_text=r"name=([^&]*)"),
            "kind": st.column_config.TextColumn(width="small"),
            "what is wrong": st.column_config.TextColumn(width="large"),
        },
    )
    if len(shown) > SHOWN:
        st.caption(f"The first {SHOWN} of {len(shown)}.")


def _by_labels(browsing: Browsing) -> None:
    """Tiles of one class, and those that are mostly unlabelled: each a way to the gallery."""
    single, unknown = int(tiles_by_class_count(browsing.table)[1]), len(mostly_unknown(browsing.table))
    st.markdown("**By their labels**")
    st.button(
        f"{single} tiles of a single class",
        key="explore_single",
        disabled=not single,
        on_click=lambda: _gallery(TileFilter(classes=(1.0, 1.0))),
    )
    st.button(
        f"{unknown} tiles less than {MOSTLY_UNKNOWN:.0%} labelled",
        key="explore_unknown",
        disabled=not unknown,
        on_click=lambda: _gallery(TileFilter(known=(0.0, 100 * MOSTLY_UNKNOWN))),
    )


def _link(one: Notable) -> str | None:
    if one.tile_id is None:
        return None
    return f"/browse?view=Gallery&tile={one.tile_id}&name={quote(one.tile)}"


def _gallery(wanted: TileFilter) -> None:
    show_filter(wanted, view="Gallery", part=None)
