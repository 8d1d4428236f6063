"""Evaluate: how good a run is on tiles that it never trained on, where it is wrong, and how sure one can be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.catalog.catalogue import collections
from core.catalog.splits import SPLITS
from core.classes import CLASS_NAMES
from core.evaluation.evaluate import restrict
from core.evaluation.held_out import HeldOut, held_out, kept_evaluation
from core.evaluation.report import report_html
from core.inference.prediction_routes import prediction_url
from core.inference.switches import Switches
from core.tables import Collection, Tile
from core.training.runs import Run, list_runs
from core.workspace import Workspace, open_workspace
from pages.components.confusion_matrix import EXPLANATIONS, READINGS, confusion_figure
from pages.components.evaluation_job import evaluation_active, evaluation_under_way, start_evaluation
from pages.components.image_pair import Panel, image_panels, truth_address
from pages.components.jobs import job_list
from pages.components.legend import class_legend
from pages.components.offset_choice import Subject
from pages.components.scores_chart import scores_figure, scores_table
from pages.components.switches import choose_switches, describe, explain
from pages.components.synthetic import synthetic_note

HERE = Path(__file__).resolve().parent


def page() -> None:
    """The whole page."""
    st.title("Evaluate")
    st.caption("Scores of a run on whole tiles that it never trained on, each with the interval that it can be off by.")
    workspace = open_workspace()
    known, runs = collections(workspace), list_runs(workspace.runs)
    if not known or not runs:
        _nothing_yet(has_tiles=bool(known))
        return
    collection, run, switches = _choose(workspace, known, runs)
    judged = held_out(workspace, run.name, collection.id)
    if not judged.tiles:
        _nothing_held_out(judged, run)
        return
    _say_what_is_judged(judged)
    result = kept_evaluation(workspace, run.name, collection.id, switches)
    if result is None:
        _offer(workspace, run, collection, switches, tiles=len(judged.tiles))
        return
    _show(_of_one_split(result, judged.tiles), judged.tiles, run=run.name, switches=switches)


def _nothing_yet(*, has_tiles: bool) -> None:
    if has_tiles:
        st.info("No run yet: train one, then judge it here.", icon=":material/model_training:")
        st.page_link(HERE / "train.py", label="Go to Train", icon=":material/model_training:")
    else:
        st.info("No tiles yet: open a folder or the sample first.", icon=":material/info:")
        st.page_link(HERE / "start.py", label="Go to Start", icon=":material/home:")


def _choose(workspace: Workspace, known: list[Collection], runs: list[Run]) -> tuple[Collection, Run, Switches]:
    first, second = st.columns(2)
    run = first.selectbox("Run", runs, format_func=lambda r: r.name, key="evaluate_run")
    collection = second.selectbox("Collection", known, format_func=lambda c: c.name, key="evaluate_collection")
    synthetic_note(collection)
    return collection, run, choose_switches(Subject(workspace, collection, run.name), key="evaluate")


def _nothing_held_out(judged: HeldOut, run: Run) -> None:
    if judged.trained_on:
        st.warning(
            f"Run {run.name} trained on every tile of this collection that has a mask ({_names(judged.trained_on)}). "
            "Train it on fewer tiles, or choose another collection.",
            icon=":material/warning:",
        )
    else:
        st.info(
            "No tile of this collection came with a mask, so there is no truth to judge by.", icon=":material/info:"
        )


def _say_what_is_judged(judged: HeldOut) -> None:
    sentence = f"Judged on {len(judged.tiles)} tiles with a mask: {_names([t.name for t in judged.tiles])}."
    if judged.trained_on:
        sentence += f" Left out, since the run trained on them: {_names(judged.trained_on)}."
    if judged.missing:
        sentence += f" Left out, since {len(judged.missing)} have no imported prediction: {_names(judged.missing)}."
    if judged.in_part:
        sentence += f" Judged in part, where the imported masks reach: {_names(judged.in_part)}."
    st.caption(sentence)


def _offer(workspace: Workspace, run: Run, collection: Collection, switches: Switches, *, tiles: int) -> None:
    """The button that starts the job, and the jobs while one runs."""
    st.info(f"Not computed yet for {run.name} with {describe(switches)}.", icon=":material/hourglass_empty:")
    st.caption(explain(switches, Subject(workspace, collection, run.name)))
    if st.button(
        f"Evaluate on {tiles} tiles",
        type="primary",
        icon=":material/analytics:",
        key="evaluate_start",
        disabled=evaluation_under_way(workspace, run.name, collection.id, switches),
    ):
        start_evaluation(workspace, run.name, collection.id, switches)
        st.session_state["evaluate_asked"] = True  # from here on a failure is shown too
        st.rerun()
    if evaluation_active(workspace) or st.session_state.get("evaluate_asked"):
        job_list(workspace, key="evaluate_jobs")


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


def _show(result: dict[str, Any], judged: Sequence[Tile], *, run: str, switches: Switches) -> None:
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
    _tiles(result, judged, run=run, switches=switches)
    st.download_button(
        "Report as one HTML file",
        lambda: report_html(result),
        file_name=f"evaluation-{run}.html",
        mime="text/html",
        icon=":material/download:",
    )


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


def _names(names: Sequence[str], limit: int = 12) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


page()
