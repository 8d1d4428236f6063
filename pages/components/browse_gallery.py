"""Browse > Gallery: the tiles as cards, sixty a page."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.filter_outside import looked_at
from core.catalog.filter_words import figures
from core.inference.small_masks import small_labels, small_prediction
from core.inference.store_space import KeptGroup, kept_groups
from core.tables import Tile
from pages.components.browse_address import filter_now, page_now, show_filter, show_page
from pages.components.browse_filter_panel import offer_look
from pages.components.browse_selection import mark_page, marked_on, selection_bar, turn_of
from pages.components.browsing import Browsing, open_tile
from pages.components.class_palette import in_palette
from pages.components.gallery import PAGE_SIZE, Answers, Leaf, card, gallery
from pages.components.predict_kept import words

_NOTHING, _GIVEN, _PAINTED = "nothing over the images", "given masks", "labels painted here"
_OPACITY = 0.55
_KEY = "gallery"

Overlay = Callable[[Tile], str | None]


def view(browsing: Browsing) -> None:
    """The cards of one page, what lies over them, what is selected, and the way to the other pages."""
    count = len(browsing.order)
    pages = max(1, -(-count // PAGE_SIZE))
    number = page_now(pages)
    with st.container(gap="xsmall"):
        overlay, opacity = _toolbar(browsing, pages, number)
        if count:
            selection_bar(browsing)
    if not count:
        st.info("No tile passes these filters; take one of them off.", icon=":material/filter_alt_off:")
        return
    if browsing.filter.alike is not None and browsing.outside.alike is None:
        offer_look(browsing.workspace, browsing.table)
    first = (number - 1) * PAGE_SIZE
    shown = browsing.order[first : first + PAGE_SIZE]
    ids = [int(tile_id) for tile_id in browsing.table.tiles.ids[shown]]
    leaf = Leaf(
        number=number,
        pages=pages,
        title=f"Page {number} of {pages}, tiles {first + 1} to {first + len(ids)} of {count}",
        opened=browsing.opened.id if browsing.opened else None,
        marked=marked_on(browsing.collection.id, ids),
        turn=turn_of(browsing.collection.id),
        opacity=opacity,
        likeness=looked_at(browsing.workspace, browsing.table) > 0,
    )
    answers = Answers(
        opened=open_tile, like=_like, leaf=show_page, marked=lambda told: mark_page(browsing.collection.id, told)
    )
    gallery(_cards(browsing, shown, overlay), leaf, answers, key=_KEY)
    if pages > 1:
        _pagination(pages, number, key="gallery_page_below")


def _toolbar(browsing: Browsing, pages: int, number: int) -> tuple[Overlay, float]:
    """What lies over the images and how strongly, what the colours mean, and the pages."""
    workspace, collection = browsing.workspace, browsing.collection
    groups = {
        f"{group.run}, {words(group)}": group
        for group in kept_groups(workspace)
        if group.collection_id == collection.id
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="browse_gallery_bar"):
        chosen = str(
            st.selectbox(
                "Over the images",
                [_NOTHING, _GIVEN, _PAINTED, *groups],
                key=f"gallery_over_{collection.id}",
                label_visibility="collapsed",
                width=240,
                persist_state="session",
            )
        )
        opacity = st.slider(
            "Opacity",
            0.1,
            1.0,
            _OPACITY,
            0.05,
            key="gallery_opacity",
            width=110,
            label_visibility="collapsed",
            disabled=chosen == _NOTHING,
            help="Opacity",
        )
        if pages > 1:
            _pagination(pages, number, key="gallery_page")
    return _overlay(browsing, chosen, groups.get(chosen)), float(opacity)


def _pagination(pages: int, number: int, *, key: str) -> None:
    if st.session_state.get(key, number) != number:
        st.session_state[key] = number
    # A width of its own: by its content it would stay as narrow as a filter with one page made it.
    st.pagination(
        pages,
        default=number,
        max_visible_pages=5,
        width=265,
        key=key,
        on_change=lambda: show_page(st.session_state[key]),
    )


def _overlay(browsing: Browsing, chosen: str, group: KeptGroup | None) -> Overlay:
    workspace = browsing.workspace
    if chosen == _GIVEN:
        return lambda row: f"/tiles/{row.id}/mask.png?size=512&v={row.mask_fingerprint}" if row.mask_path else None
    if chosen == _PAINTED:
        return lambda row: small_labels(workspace, row) if row.id in browsing.table.labelled_ids else None
    if group is not None:
        return lambda row: small_prediction(workspace, row, group.run, group.key)
    return lambda _row: None


def _cards(browsing: Browsing, shown: np.ndarray, overlay: Overlay) -> list[dict[str, Any]]:
    table, found = browsing.table, []
    for number in shown.tolist():
        row = table.rows[number]
        shares = table.shares[number]
        address = overlay(row)
        trouble = "look at its files" if table.tiles.has_problem[number] else None
        found.append(
            card(
                row,
                labelled=bool(table.labels.labelled[number]),
                shares=None if np.isnan(shares[0]) else [round(float(share), 4) for share in shares],
                badge=trouble or ("synthetic sample" if browsing.collection.synthetic else None),
                overlay=address and in_palette(address),
                figures=figures(browsing.filter, table, browsing.outside, number),
            )
        )
    return found


def _like(tile_id: int) -> None:
    """Order by likeness to this tile; the filters stay."""
    show_filter(replace(filter_now(), alike=tile_id, order="alike", descending=True))
