"""Evaluate, Scores: the figures of one run on its held-out tiles, by class and by tile, and near the borders."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.catalog.splits import SPLITS
from core.classes import CLASS_NAMES
from core.evaluation.evaluate import by_rule, restrict
from core.evaluation.exports import csv_text, json_text
from core.evaluation.run_report import run_report_html
from core.inference.prediction_routes import prediction_url
from core.inference.switches import Switches
from core.tables import Tile
from pages.components.evaluate_choice import Choice, Judged, choose_rule, how_many, judged
from pages.components.evaluation_job import evaluation
from pages.components.image_pair import Panel, image_panels, truth_address
from pages.components.legend import class_legend
from pages.components.measuring_job import measure_button
from pages.components.problems import plain
from pages.components.scores_chart import CHART_BAR, borders_table, scores_figure, scores_table, spread_figure
from pages.components.switches import describe

_SCORE = st.column_config.NumberColumn(format="%.3f")
_FEW_FOR_PERCENTILE = 20


def section(choice: Choice) -> None:
    """The whole section."""
    found = judged(choice)
    if found is None:
        return
    result = _as_chosen(found)
    _headline(result)
    left, right = st.columns(2, gap="large")
    left.plotly_chart(scores_figure(result), key="evaluate_scores", config=CHART_BAR)
    right.plotly_chart(spread_figure(result), key="evaluate_spread", config=CHART_BAR)
    _class_table(result)
    _borders(choice, result)
    _tiles(result, found.tiles, run=choice.run.name, switches=choice.switches)
    _downloads(choice, result)


def _as_chosen(found: Judged) -> dict[str, Any]:
    """The result for the chosen split (or all held-out tiles), by the chosen rule."""
    splits = [split for split in SPLITS if any(tile.split == split for tile in found.tiles)]
    with st.container(horizontal=True):
        rule = choose_rule("evaluate_rule")
        split = "all held out"
        if len(splits) > 1:
            split = st.segmented_control(
                "Held-out tiles of split",
                ["all held out", *splits],
                default="all held out",
                required=True,
                key="evaluate_split",
            )
    wanted = None if split == "all held out" else {tile.name for tile in found.tiles if tile.split == split}
    result = restrict(found.result, wanted, rule=rule)
    return {**result, "by_rule": by_rule(result)}


def _headline(result: dict[str, Any]) -> None:
    interval, boundary = result["interval"]["miou"], result.get("boundary")
    first, second, *others = st.columns([9, 9, 6, 6, 4])
    first.metric(
        "Mean IoU",
        _figure(result["miou"]),
        help="Mean over the classes that occur in the truth. The interval is Student's t with the jackknife over whole "
        "tiles: how far the score of other tiles like these may be off.",
        **_detail(interval),
    )
    second.metric(
        "Mean boundary IoU",
        _figure(boundary["mbiou"]) if boundary else "not counted",
        help="Of the pixels near a contour of the truth or of the prediction, how many both share (Cheng et al. 2021).",
        **_detail(boundary["interval"]["mbiou"] if boundary else None),
    )
    figures = {
        "Pixel accuracy": _figure(result["accuracy"]),
        "Kappa": _figure(result["kappa"]),
        "Tiles": result["tiles"],
    }
    for column, (label, value) in zip(others, figures.items(), strict=True):
        column.metric(label, value, border=True, height="stretch")
    if result["note"]:
        st.warning(result["note"], icon=":material/warning:")
    measured = result["measured_on"]
    st.caption(
        f"Measured on {how_many(result['tiles'])} of {plain(measured['collection'])}; truth: {measured['truth']}; "
        f"run {plain(measured['run'])}, {describe(Switches.from_facts(measured['switches']))}; {result['averaging']}; "
        f"{measured['day']} UTC."
    )


def _detail(interval: list[float] | None) -> dict[str, Any]:
    text = f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else None
    return {"delta": text, "delta_color": "off", "delta_arrow": "off", "border": True, "height": "stretch"}


def _class_table(result: dict[str, Any]) -> None:
    scores = ("IoU", "precision", "recall", "F1", "kappa", "boundary IoU", "median", "5th %")
    st.dataframe(
        scores_table(result),
        hide_index=True,
        column_config={
            **dict.fromkeys(scores, _SCORE),
            "true pixels": st.column_config.NumberColumn(format="compact"),
        },
    )
    few = result["tiles"] < _FEW_FOR_PERCENTILE
    st.caption(
        "Scores over all tiles together; at the right the IoU of single tiles: their median and 5th percentile"
        + (f", which of {result['tiles']} tiles is little else than the worst one." if few else ".")
    )


def _borders(choice: Choice, result: dict[str, Any]) -> None:
    """The scores near the borders; of a result from before they were counted the button that counts them."""
    st.subheader("Near the borders of classes", anchor=False)
    boundary = result.get("boundary")
    if boundary is None:
        st.info("This evaluation was kept before borders were counted.", icon=":material/info:")
        measure_button(
            choice.workspace,
            evaluation(choice.run.name, choice.collection.id, choice.switches),
            label="Count the borders",
            key="evaluate_borders",
            primary=False,
            icon=":material/refresh:",
        )
        return
    share = st.column_config.NumberColumn(format="percent")
    table = borders_table(result)
    scores = dict.fromkeys(("accuracy", "mIoU", *CLASS_NAMES), _SCORE)
    st.dataframe(table, hide_index=True, column_config={**scores, "share": share})
    low, high = boundary["distance"]
    st.caption(
        "IoU by class of the pixels that lie near a border of the truth. Boundary IoU, in the table above, is of the "
        f"pixels {boundary['within']}: {low} px{f' to {high} px' if high != low else ''}. Both masks of a class are "
        "cut to that ribbon, and what both share is divided by what either has."
    )


def _downloads(choice: Choice, result: dict[str, Any]) -> None:
    run = choice.run.name
    place = {"run": run, "collection_id": choice.collection.id, "switches": choice.switches}
    files: tuple[tuple[str, str, str, Callable[[], str]], ...] = (
        (
            "Report, one HTML file",
            "html",
            "text/html",
            partial(run_report_html, choice.workspace, **place, result=result),
        ),
        ("Figures, CSV", "csv", "text/csv", partial(csv_text, result)),
        ("All, JSON", "json", "application/json", partial(json_text, result)),
    )
    with st.container(horizontal=True):
        for label, ending, kind, make in files:
            st.download_button(
                label,
                make,
                file_name=f"evaluation-{run}.{ending}",
                mime=kind,
                icon=":material/download:",
                on_click="ignore",  # a rerun would make the files of the other buttons anew, and one clicked then fails
                key=f"evaluate_download_{ending}",
            )
    st.caption("The report prints well, and needs nothing but a browser. CSV and JSON hold both rules.")


def _tiles(result: dict[str, Any], judged: Sequence[Tile], *, run: str, switches: Switches) -> None:
    """The tiles, worst first; the chosen one below, beside its truth, its prediction and its errors."""
    st.subheader("By tile, worst first", anchor=False)
    rows = sorted((row for row in result["per_tile"] if row["miou"] is not None), key=lambda row: float(row["miou"]))
    table = pd.DataFrame(
        [
            {"tile": row["tile"], "mIoU": row["miou"], "accuracy": row["accuracy"]}
            | {name: row["iou"].get(name) for name in CLASS_NAMES}
            for row in rows
        ]
    )
    st.caption("IoU by class, None where the tile's truth lacks it. Choose a row to see the tile.")
    chosen = st.dataframe(
        table,
        hide_index=True,
        height=min(38 + 35 * len(rows), 250),
        on_select="rerun",
        selection_mode="single-row",
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in table.columns if name != "tile"},
        key=f"evaluate_tiles_{run}_{switches.key}_{len(rows)}",
    )
    selected = chosen.selection.rows
    row = rows[selected[0] if selected and selected[0] < len(rows) else 0]
    tile = next(t for t in judged if t.name == row["tile"])
    prediction = prediction_url(run, switches, tile.id)
    detail = f"mIoU {row['miou']:.3f}"
    image_panels(
        tile,
        [
            Panel("Image", f"Tile {tile.name}", "image"),
            Panel("Truth", "Truth", "raster", address=truth_address(tile)),
            Panel("Prediction", run, "raster", detail=detail, address=prediction),
            Panel("Errors", "Errors", "errors", detail=f"accuracy {row['accuracy']:.1%}", address=prediction),
        ],
        height=430,
        key="evaluate_panels",
    )
    class_legend()


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
