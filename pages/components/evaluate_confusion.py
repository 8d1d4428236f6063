"""Evaluate, Confusion: what was taken for what; a cell leads to the tiles and the very pixels, and to mending them."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core.classes import CLASS_NAMES
from core.errors import InputError
from core.evaluation.error_regions import LEAST_PIXELS, PREDICTIONS, area_words, confused, judged_tile, regions
from core.evaluation.error_routes import confused_url
from core.inference import store
from core.labels.mending import MOST_A_TILE, Mistake, send
from core.labels.strokes import Box
from core.tables import Tile
from pages.components.confusion_matrix import (
    EXPLANATIONS,
    READINGS,
    Cell,
    chosen_cell,
    confusion_figure,
    largest_confusion,
)
from pages.components.evaluate_choice import Choice, Judged, how_many, judged
from pages.components.label_desk import annotator
from pages.components.label_mending import label_begins_with_mistakes
from pages.components.problems import plain
from pages.components.region_view import Outline, RegionPanel, region_view
from pages.components.switches import describe

LISTED = 40
"""Regions of a tile that are listed; all of them are outlined."""

_LABEL = Path(__file__).resolve().parents[1] / "label.py"
_CONFIG = {"displaylogo": False, "modeBarButtons": [["toImage"]]}
_SENT = (1, 5, 10, 25)

_Row = tuple[Tile, int]  # a tile and its confused pixels


def section(choice: Choice) -> None:
    """The whole section."""
    found = judged(choice)
    if found is None:
        return
    largest = largest_confusion(found.result["confusion"])
    if largest is None:
        st.success("No labelled pixel of the held-out tiles is predicted wrongly.", icon=":material/check:")
        return
    # A fragment: a click must not judge the whole page again.
    st.fragment(_explore)(found, largest)


def _explore(found: Judged, largest: Cell) -> None:
    left, right = st.columns([1, 1], gap="medium")
    with left:
        cell = _matrix(found, largest)
        mistake = Mistake(found.choice.run.name, *cell)
        rows = _tiles_with(found, cell)
        tile = _choose_tile(found, rows, cell)
    with right:
        _show(found.choice, mistake, tile)
        _fix(found.choice, mistake, rows)


def _matrix(found: Judged, largest: Cell) -> Cell:
    """The matrix, and the cell that was clicked last (at first the largest)."""
    reading = st.segmented_control(
        "Reading", READINGS, default="by truth", required=True, key="confusion_reading", label_visibility="collapsed"
    )
    choice, result = found.choice, found.result
    # Another matrix is another chart: its own last cell, and none of the one before.
    key = f"confusion_{choice.run.name}_{choice.switches.key}_{choice.collection.id}_{result['measured_on']['day']}"
    event = st.plotly_chart(
        confusion_figure(
            result["confusion"],
            reading,
            dark=st.context.theme.type == "dark",
            title=f"What run {choice.run.name} takes for what",
            chosen=largest,
        ),
        key=f"{key}_{reading}",
        on_select="rerun",
        selection_mode="points",
        config=_CONFIG,
    )
    clicked = chosen_cell(event)
    if clicked is not None:
        st.session_state[f"{key}_cell"] = clicked
    day = result["measured_on"]["day"].replace("T", " ")
    st.caption(
        f"{EXPLANATIONS[reading]} Click a cell off the diagonal to see its pixels. Measured on "
        f"{how_many(result['tiles'])} of {plain(choice.collection.name)}, {describe(choice.switches)}; {day} UTC."
    )
    cell: Cell = st.session_state.get(f"{key}_cell", largest)
    return cell


def _tiles_with(found: Judged, cell: Cell) -> list[_Row]:
    """The tiles that have such pixels, most first."""
    column = PREDICTIONS.index(cell[1])
    pixels = {row["tile"]: row["confusion"][cell[0]][column] for row in found.result["per_tile"]}
    rows = [(tile, pixels[tile.name]) for tile in found.tiles if pixels.get(tile.name)]
    return sorted(rows, key=lambda row: -row[1])


def _choose_tile(found: Judged, rows: list[_Row], cell: Cell) -> Tile:
    """The tiles, most confused first; the first one unless another row is chosen."""
    true_pixels = {row["tile"]: sum(row["confusion"][cell[0]]) for row in found.result["per_tile"]}
    name = CLASS_NAMES[cell[0]]
    table = pd.DataFrame(
        [
            {
                "tile": tile.name,
                "ha": pixels * tile.metres_per_pixel_x * tile.metres_per_pixel_y / 10_000,
                f"of its {name}": pixels / true_pixels[tile.name],
            }
            for tile, pixels in rows
        ]
    )
    chosen = st.dataframe(
        table,
        hide_index=True,
        height=min(38 + 35 * len(rows), 178),
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "ha": st.column_config.NumberColumn(format="%.2f"),
            f"of its {name}": st.column_config.NumberColumn(format="percent"),
        },
        key=f"confusion_tiles_{found.choice.run.name}_{found.choice.switches.key}_{cell[0]}_{cell[1]}_{len(rows)}",
    )
    picked = chosen.selection.rows
    return rows[picked[0] if picked and picked[0] < len(rows) else 0][0]


def _show(choice: Choice, mistake: Mistake, tile: Tile) -> None:
    """The pixels on the image, and their regions."""
    kept = store.kept(choice.workspace, choice.run.name, tile, choice.switches)
    if kept is None:
        st.warning("The prediction of this tile is gone or stale; evaluate the run again.", icon=":material/warning:")
        return
    try:
        pair = judged_tile(choice.workspace, choice.run.name, tile, kept.path)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    mask = confused(pair, mistake.true_class, mistake.predicted)
    listed = regions(mask, at_most=LISTED, at_least=LEAST_PIXELS)
    total, shown = int(mask.sum()), sum(region.pixels for region in listed)
    st.markdown(f"**{mistake.words.capitalize()}**: {area_words(total, tile)} of tile {plain(tile.name)}")
    address = confused_url(
        choice.run.name,
        choice.switches,
        tile.id,
        true_class=mistake.true_class,
        predicted=mistake.predicted,
        version=pair.version,
    )
    region_view(
        tile,
        [RegionPanel(f"Tile {tile.name}", mistake.words)],
        outline=Outline(address, Box(0, 0, tile.height, tile.width)),
        listed=[(region.box, area_words(region.pixels, tile)) for region in listed],
        height=400,
        key="confusion_view",
    )
    if total > shown:
        st.caption(
            f"The {len(listed)} largest regions are listed; smaller ones have {area_words(total - shown, tile)}."
        )


def _fix(choice: Choice, mistake: Mistake, rows: list[_Row]) -> None:
    """Send the worst tiles with their places to the labelling queue, and go there."""
    counts = sorted({min(count, len(rows)) for count in _SENT})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.selectbox(
            "Tiles to fix",
            counts,
            index=min(1, len(counts) - 1),
            format_func=lambda n: "the worst tile" if n == 1 else f"the {n} worst tiles",
            key=f"confusion_fix_{len(rows)}",
            label_visibility="collapsed",
            width=190,
        )
        pressed = st.button(
            "Fix these",
            icon=":material/edit:",
            type="primary",
            key="confusion_send",
            help=f"Puts these tiles, with up to {MOST_A_TILE} places each, into the labelling queue and opens Label",
        )
    if not pressed:
        return
    chosen = [tile for tile, _ in rows[:count]]
    try:
        places = []
        with st.status("Finding the places") as status:
            for number, tile in enumerate(chosen, start=1):
                status.update(label=f"Finding the places: tile {number} of {len(chosen)}")
                places.append((tile.id, _places(choice, mistake, tile)))
        send(choice.workspace, mistake, places, annotator=annotator())
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    label_begins_with_mistakes()
    st.switch_page(_LABEL, query_params={"tile": str(chosen[0].id)})


def _places(choice: Choice, mistake: Mistake, tile: Tile) -> list[tuple[Box, int]]:
    kept = store.kept(choice.workspace, choice.run.name, tile, choice.switches)
    if kept is None:
        return []
    pair = judged_tile(choice.workspace, choice.run.name, tile, kept.path)
    mask = confused(pair, mistake.true_class, mistake.predicted)
    return [(region.box, region.pixels) for region in regions(mask, at_most=MOST_A_TILE, at_least=LEAST_PIXELS)]
