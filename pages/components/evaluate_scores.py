"""Evaluate, Scores: the figures of one run on its held-out tiles, by class and by tile."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.catalog.splits import SPLITS
from core.classes import CLASS_NAMES
from core.evaluation.evaluate import restrict
from core.evaluation.report import report_html
from core.inference.prediction_routes import prediction_url
from core.inference.switches import Switches
from core.tables import Tile
from pages.components.confusion_matrix import EXPLANATIONS, READINGS, confusion_figure
from pages.components.evaluate_choice import Choice, judged
from pages.components.image_pair import Panel, image_panels, truth_address
from pages.components.legend import class_legend
from pages.components.scores_chart import scores_figure, scores_table
from pages.components.switches import describe


def section(choice: Choice) -> None:
    """The whole section."""
    found = judged(choice)
    if found is None:
        return
    run, switches = choice.run.name, choice.switches
    result = _of_one_split(found.result, found.tiles)
    _headline(result)
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.subheader("By class", anchor=False)
        st.plotly_chart(scores_figure(result), key="evaluate_scores", config={"displayModeBar": False})
        st.caption("The whisker on each IoU is its 95 % interval.")
    with right:
        st.subheader("What was taken for what", anchor=False)
        reading = st.segmented_control(
            "Reading", READINGS, default="by truth", required=True, key="evaluate_reading", label_visibility="collapsed"
        )
        dark = st.context.theme.type == "dark"
        st.plotly_chart(
            confusion_figure(result["confusion"], reading, dark=dark),
            key="evaluate_confusion",
            config={"displayModeBar": False},
        )
        st.caption(EXPLANATIONS[reading])
    _class_table(result)
    _tiles(result, found.tiles, run=run, switches=switches)
    st.download_button(
        "Report as one HTML file",
        lambda: report_html(result),
        file_name=f"evaluation-{run}.html",
        mime="text/html",
        icon=":material/download:",
    )


def _of_one_split(result: dict[str, Any], judged: Sequence[Tile]) -> dict[str, Any]:
    """The result for the split that is chosen, or for all held-out tiles."""
    present = [split for split in SPLITS if any(tile.split == split for tile in judged)]
    if len(present) < 2:
        return result
    split = st.segmented_control(
        "Held-out tiles of split",
        ["all held out", *present],
        default="all held out",
        required=True,
        key="evaluate_split",
    )
    if split == "all held out":
        return result
    return restrict(result, {tile.name for tile in judged if tile.split == split})


def _headline(result: dict[str, Any]) -> None:
    interval = result["interval"]["miou"]
    first, *others = st.columns([2, 1, 1, 1])
    first.metric(
        "Mean IoU",
        _figure(result["miou"]),
        delta=f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else None,
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
        help="Mean over the classes that occur in the truth. The interval comes from a bootstrap over whole tiles.",
    )
    figures = {
        "Pixel accuracy": _figure(result["accuracy"]),
        "Mean F1": _figure(result["mf1"]),
        "Tiles": result["tiles"],
    }
    for column, (label, value) in zip(others, figures.items(), strict=True):
        column.metric(label, value, border=True, height="stretch")
    if result["note"]:
        st.warning(result["note"], icon=":material/warning:")
    measured = result["measured_on"]
    st.caption(
        f"Measured on {result['tiles']} tiles of {measured['collection']}; truth: {measured['truth']}; "
        f"run {measured['run']}, {describe(Switches.from_facts(measured['switches']))}; {result['averaging']}; "
        f"{measured['day']} UTC."
    )


def _class_table(result: dict[str, Any]) -> None:
    score = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        scores_table(result),
        hide_index=True,
        column_config={
            **dict.fromkeys(("IoU", "precision", "recall", "F1"), score),
            "true pixels": st.column_config.NumberColumn(format="compact"),
        },
    )


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
