"""Evaluate, Areas: how many hectares of each class there are, as mapped and as estimated from the map's errors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from core.catalog.catalogue import tiles
from core.catalog.maps.mosaic import lay_out
from core.catalog.splits import SPLITS
from core.classes import CLASS_NAMES
from core.errors import InputError
from core.evaluation.areas import ASSUMPTION, SQUARE_METRES_A_HECTARE, AreaEstimate, estimate_areas
from core.evaluation.areas_of_run import csv_text, judged_matrices, mapped_inside, mapped_pixels
from core.evaluation.confusion import Confusion
from core.evaluation.mapped_areas import total_area
from core.inference.prediction_routes import map_url
from core.tables import Tile
from pages.components.area_map import area_map
from pages.components.areas_chart import areas_figure, areas_table, counted_table
from pages.components.class_palette import in_palette, screen_colours
from pages.components.evaluate_choice import Choice, judged
from pages.components.evaluate_drift import CHART_BAR
from pages.components.problems import plain
from pages.components.switches import describe
from pages.components.tile_map import MapLayer

BROWSE = Path(__file__).resolve().parents[1] / "browse.py"
WHOLE, ONE_TILE, DRAWN = "whole collection", "one tile", "drawn on the map"
_OPACITY = 0.6


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of land: its name, and the square metres ``(7,)`` mapped on it."""

    name: str
    mapped: NDArray[np.float64]


class _Bar:
    """Shows the progress of a count in a place on the page."""

    def __init__(self, place: DeltaGenerator) -> None:
        self._place = place

    def update(self, done: float, total: float, message: str) -> None:
        """Draw the bar anew."""
        self._place.progress(min(1.0, done / max(total, 1)), text=plain(message))

    def metrics(self, values: dict[str, Any]) -> None:
        """A count has no figures of the moment."""


def section(choice: Choice) -> None:
    """The whole section."""
    rows = tiles(choice.workspace, choice.collection.id)
    with st.spinner("Counting the mapped pixels ...", show_time=True):
        bar = st.empty()
        pixels = mapped_pixels(choice.workspace, choice.run.name, rows, choice.switches, _Bar(bar))
        bar.empty()
    if not pixels:
        st.info(
            f"No tile of {plain(choice.collection.name)} is predicted by {plain(choice.run.name)} with these switches; "
            "evaluate it under Scores, or predict the collection on the Browse page.",
            icon=":material/hourglass_empty:",
        )
        st.page_link(BROWSE, label="Go to Browse", icon=":material/map:")
        return
    found = judged(choice)
    matrices = judged_matrices(found.result if found else None)
    piece = _choose(choice, [row for row in rows if row.id in pixels], pixels)
    if len(pixels) < len(rows):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                f"{len(pixels)} of {len(rows)} tiles are predicted with these switches; the others do not count."
            )
            st.page_link(BROWSE, label="Predict them on Browse", icon=":material/map:", width="content")
    if piece is None:
        return
    if not matrices:
        _counted_only(piece)
        return
    _estimated(choice, piece, matrices)


def _choose(choice: Choice, rows: list[Tile], pixels: dict[int, NDArray[np.int64]]) -> _Piece | None:
    splits = [split for split in SPLITS if any(row.split == split for row in rows)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        scope = st.segmented_control(
            "Area", [WHOLE, *splits, ONE_TILE, DRAWN], default=WHOLE, required=True, key="areas_scope"
        )
        if scope == ONE_TILE:
            row = st.selectbox("Tile", rows, format_func=lambda tile: tile.name, key="areas_tile", width=200)
            return _Piece(f"tile {row.name}", total_area(pixels, [row]))
    if scope == DRAWN:
        return _drawn(choice)
    members = [row for row in rows if scope in (WHOLE, row.split)]
    name = f"{WHOLE}, {len(members)} tiles" if scope == WHOLE else f"split {scope}, {len(members)} tiles"
    return _Piece(name, total_area(pixels, members))


def _drawn(choice: Choice) -> _Piece | None:
    mosaic = lay_out(tiles(choice.workspace, choice.collection.id))
    address = map_url(choice.workspace, choice.run.name, choice.switches.key, choice.collection.id)
    st.caption("Draw a polygon or a rectangle with the tools on the map: the one drawn last counts.")
    layer = MapLayer("Prediction", in_palette(address), _OPACITY)
    ring = area_map(choice.collection, mosaic, layer, key=f"areas_map_{choice.collection.id}")
    if ring is None:
        st.info("Nothing is drawn yet.", icon=":material/draw:")
        return None
    try:
        mapped = mapped_inside(choice.workspace, choice.run.name, mosaic, ring, choice.switches)
    except InputError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
        return None
    if not mapped.any():
        st.warning("No predicted tile lies inside what is drawn; draw it over the images.", icon=":material/warning:")
        return None
    return _Piece("drawn area", mapped)


def _counted_only(piece: _Piece) -> None:
    st.warning(
        "Counted only: without a tile that is judged, nothing is known of the map's errors, and counted areas can be "
        "far from the true ones.",
        icon=":material/warning:",
    )
    hectares = (piece.mapped[: len(CLASS_NAMES)] / SQUARE_METRES_A_HECTARE).tolist()
    st.dataframe(
        counted_table(CLASS_NAMES, hectares), hide_index=True, column_config={"counted, ha": _hectares_column()}
    )


def _estimated(choice: Choice, piece: _Piece, matrices: list[Confusion]) -> None:
    estimate = estimate_areas(piece.mapped, matrices)
    st.markdown(f"**{estimate.sentence}**")
    for note in estimate.notes:
        st.warning(note, icon=":material/warning:")
    dark = st.context.theme.type == "dark"
    figure = areas_figure(estimate, screen_colours(), area=piece.name, dark=dark)
    st.plotly_chart(figure, key="areas_chart", config=CHART_BAR)
    st.caption(
        f"Measured on {estimate.total:,.0f} ha mapped by run {plain(choice.run.name)}, {describe(choice.switches)}, "
        f"and the errors on its {estimate.judged_tiles} held-out tiles. {ASSUMPTION} Stratified estimator and formula: "
        "Olofsson et al. 2014, eq. 9 to 11. The formula takes every judged pixel for drawn by itself, which those of a "
        "tile are not: go by the interval over tiles (jackknife)."
    )
    _table(choice, piece, estimate)


def _table(choice: Choice, piece: _Piece, estimate: AreaEstimate) -> None:
    st.dataframe(
        areas_table(estimate),
        hide_index=True,
        column_config=dict.fromkeys(("counted, ha", "estimated, ha"), _hectares_column()),
    )
    if estimate.unmapped:
        st.caption(
            f"{estimate.unmapped:,.1f} ha were left unlabelled; the estimate shares them out as judged tiles do."
        )
    st.download_button(
        "Table as CSV",
        csv_text({piece.name: estimate.as_dict()}),
        file_name=f"areas-{choice.run.name}-{choice.switches.key}.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def _hectares_column() -> st.column_config.NumberColumn:
    return st.column_config.NumberColumn(format="%.1f")
