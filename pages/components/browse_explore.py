"""Browse > Explore: what a collection holds, in figures. What is clicked leads to the tiles behind it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from core.catalog import exploring
from core.catalog.exploring import Baseline
from core.catalog.exploring_files import ODD, patch_counts, seen
from core.catalog.filter_outside import looked_at
from core.catalog.tile_filter import PRESENT, TileFilter
from core.classes import CLASS_NAMES
from core.evaluation.intervals import METHOD
from core.evaluation.tile_profiles import COLOUR_STATISTICS
from pages.components import explore_charts as charts
from pages.components.browse_address import show, show_filter
from pages.components.browse_filter_panel import offer_look
from pages.components.browsing import Browsing
from pages.components.class_palette import screen_colours
from pages.components.explore_problems import problems_part
from pages.components.scores_chart import CHART_BAR
from pages.components.synthetic import synthetic_note

_CLICK = "Click a part of a chart to see its tiles in the gallery."


def view(browsing: Browsing) -> None:
    """The part that the address names."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        asked = st.query_params.get("part")
        st.session_state["explore_part"] = asked if asked in _PARTS else next(iter(_PARTS))
        part = st.segmented_control(
            "Part",
            list(_PARTS),
            required=True,
            key="explore_part",
            label_visibility="collapsed",
            on_change=lambda: show(part=st.session_state["explore_part"]),
        )
        if part == "Classes":
            known, every = len(exploring.known_tiles(browsing.table)), len(browsing.table.rows)
            st.caption(
                f"Classes are known of {known} of {every} tiles, by the given mask, else by labels.", width="content"
            )
        synthetic_note(browsing.collection)
    _PARTS[str(part)](browsing)


def _classes(browsing: Browsing) -> None:
    table = browsing.table
    groups = exploring.group_shares(table)
    if not groups:
        st.info("No tile has a mask or labels yet: nothing is known of its classes.", icon=":material/info:")
        return
    dark = st.context.theme.type == "dark"
    left, right = st.columns(2, gap="medium")
    with left:
        _chart(charts.shares_figure(groups, screen_colours()), "shares", _to_share)
    with right:
        _chart(charts.together_figure(exploring.together(table), dark=dark), "together", _to_pair)
    left, right = st.columns(2, gap="medium")
    with left:
        _chart(charts.class_count_figure(exploring.tiles_by_class_count(table)), "counts", _to_count)
    with right:
        _baseline(exploring.baselines(table))
    st.caption(_CLICK)


def _baseline(found: list[Baseline]) -> None:
    """What calling every pixel by the commonest class scores: what a run must beat to have learnt anything."""
    name = CLASS_NAMES[found[0].guess]
    rows = ["| scored on | mIoU | 95 % interval | accuracy |", "|---|---|---|---|"]
    for one in found:
        interval = "" if one.interval is None else f"{one.interval[0]:.3f} to {one.interval[1]:.3f}"
        figures = f"**{one.scores.miou or 0:.3f}** | {interval} | {one.scores.accuracy or 0:.3f}"
        rows.append(f"| {one.where}, {one.tiles} tiles | {figures} |")
    learnt = f"{found[0].learnt} training tiles" if found[0].from_training else "all tiles, for none trains"
    st.markdown(f"**A blind guess:** every pixel is {name}, the commonest class of {learnt}")
    st.markdown("\n".join(rows))
    st.caption(f"A run has learnt something where it scores more. {METHOD}.")


def _instances(browsing: Browsing) -> None:
    left, right = st.columns([3, 2], gap="medium")
    with left:
        known = seen(browsing.workspace, browsing.table)
        if known.areas:
            _chart(charts.areas_figure(known, screen_colours()), "areas", _to_class)
        elif len(known.numbers):
            st.caption(f"There is no instance on the {known.masks} given masks that were looked at.")
        else:
            _nobody_looked(browsing, "How large the instances of the given masks are")
        _tell_missing(browsing)
    with right:
        if not browsing.table.tiles.has_mask.any():
            st.caption("No tile came with a mask: patches of one class cannot be counted.")
            return
        found = patch_counts(browsing.workspace, browsing.table)
        masks = int(browsing.table.tiles.has_mask.sum())
        _chart(charts.patches_figure(found), "patches", None)
        st.caption(
            f"A network that is trained on patches sees one class alone in so many of them (D16). Counted on the "
            f"thumbnails of {found[0].tiles} of {masks} given masks"
            + (", drawn with seed 0." if found[0].tiles < masks else ".")
        )


def _colours(browsing: Browsing) -> None:
    known = seen(browsing.workspace, browsing.table)
    if not len(known.numbers):
        _nobody_looked(browsing, "The tiles' colours")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = list(COLOUR_STATISTICS)
        x = st.selectbox("Across", names, index=0, key="explore_x", width=200)
        y = st.selectbox("Up", names, index=4, key="explore_y", width=200)
        st.caption(
            f"A tile is odd where one of its six figures is over {ODD:g} scaled median absolute deviations from the "
            "median of all.",
            width="stretch",
        )
    _chart(charts.colours_figure(browsing.table, known, names.index(x), names.index(y)), "colours", _to_tile)
    _tell_missing(browsing)


def _problems(browsing: Browsing) -> None:
    problems_part(browsing)


def _nobody_looked(browsing: Browsing, what: str) -> None:
    st.markdown(f"**{what}** are known once the tiles were looked at.")
    offer_look(browsing.workspace, browsing.table)


def _tell_missing(browsing: Browsing) -> None:
    missing = len(browsing.table.rows) - looked_at(browsing.workspace, browsing.table)
    if missing and missing < len(browsing.table.rows):
        st.caption(f"{missing} tiles were not looked at as they are now and are left out.")
        offer_look(browsing.workspace, browsing.table)


def _chart(figure: Any, name: str, to: Callable[[Any], None] | None) -> None:
    """A chart; ``to`` is called with the ``customdata`` of what was clicked."""
    key = f"explore_{name}"
    if to is None:
        st.plotly_chart(figure, key=key, config=CHART_BAR)
        return

    def follow() -> None:
        points = st.session_state[key].selection.points
        if points and points[0].get("customdata") is not None:
            to(points[0]["customdata"])

    st.plotly_chart(figure, key=key, config=CHART_BAR, on_select=follow, selection_mode="points")


def _gallery(wanted: TileFilter) -> None:
    show_filter(wanted, view="Gallery", part=None, tile=None)


def _to_share(of: Any) -> None:
    group, name = of[0], of[1]
    split = None if group == exploring.ALL else group
    if not name:
        _gallery(TileFilter(split=split, known=(0.0, 99.0)))
        return
    _gallery(TileFilter(split=split, shares={name: PRESENT}, order=name, descending=True))


def _to_pair(of: Any) -> None:
    row, column = of[0], of[1]
    _gallery(TileFilter(shares={row: PRESENT, column: PRESENT}, order=row, descending=True))


def _to_count(of: Any) -> None:
    number = float(of if isinstance(of, int | float) else of[0])
    _gallery(TileFilter(classes=(number, number)))


def _to_class(of: Any) -> None:
    name = of if isinstance(of, str) else of[0]
    _gallery(replace(TileFilter(), shares={name: PRESENT}, order=name, descending=True))


def _to_tile(of: Any) -> None:
    show(view="Gallery", part=None, tile=str(int(of[0])))


_PARTS: dict[str, Callable[[Browsing], None]] = {
    "Classes": _classes,
    "Instances and patches": _instances,
    "Colours": _colours,
    "Problems": _problems,
}
