"""Evaluate, Curves: what more labels would bring, and what each technique is worth, from studies that were kept."""

from typing import Any

import streamlit as st

from core.catalog.catalogue import tiles
from core.errors import InputError
from core.evaluation.intervals import few_tiles_note
from core.evaluation.kept_studies import (
    CURVE_KIND,
    a10_command,
    kept_ablations,
    kept_learning_curve,
    learning_curve_arguments,
)
from core.evaluation.learning_intervals import curve_points
from pages.components.evaluate_choice import Choice
from pages.components.evaluate_drift import CHART_BAR
from pages.components.measuring_job import Measurement, measure_button
from pages.components.problems import plain
from pages.components.study_charts import ablation_figure, ablation_table, learning_figure, learning_table


def section(choice: Choice) -> None:
    """The whole section."""
    st.subheader("What would more labels bring?", anchor=False)
    _learning_curve(choice)
    st.subheader("What is each technique worth?", anchor=False)
    _ablations(choice)


def _learning_curve(choice: Choice) -> None:
    workspace, run, collection = choice.workspace, choice.run.name, choice.collection
    masked = sum(row.mask_path is not None for row in tiles(workspace, collection.id))
    kept = kept_learning_curve(workspace, run, collection.id)
    if kept is not None and kept["points"]:
        _show_curve(kept, collection.name)
    elif masked < 2:
        st.info(
            "A learning curve leaves tiles out and judges on them: it needs two tiles with a mask.",
            icon=":material/info:",
        )
        return
    else:
        st.info(
            f"Not measured yet. It fits the recipe of {plain(run)} on 5, 10, 25, 50 and 100 % of the labelled "
            f"instances of {masked} tiles, three times each, and judges every fit on tiles left out: minutes for a "
            "head on cached features.",
            icon=":material/hourglass_empty:",
        )
    try:
        arguments = learning_curve_arguments(workspace, run, collection)
    except InputError as error:
        st.caption(plain(str(error)))
        return
    if kept is None or "sentence" not in kept:  # a finished one is that of these tiles and labels
        measurement = Measurement(CURVE_KIND, f"Learning curve of {run} on {collection.name}", arguments)
        measure_button(workspace, measurement, label="Measure the learning curve", key="curve_start", primary=True)


def _show_curve(kept: dict[str, Any], collection: str) -> None:
    gathered = curve_points(kept["points"])
    if "sentence" in kept:
        st.success(plain(kept["sentence"]), icon=":material/show_chart:")
    else:
        st.warning("Not finished: these are the points so far.", icon=":material/hourglass_top:")
    st.plotly_chart(learning_figure(gathered, kept["points"], kept.get("curve")), key="curve_chart", config=CHART_BAR)
    judged = len(kept["points"][0].get("tiles", {}))
    note = few_tiles_note(judged) if judged else None
    if note:
        st.warning(note, icon=":material/warning:")
    for sentence in kept.get("skipped", []):
        st.caption(plain(sentence))
    st.caption(
        f"Measured on {judged or 'the'} tiles of {plain(collection)} with a mask, {kept['folds']}; recipe "
        f"{plain(kept['recipe'])}, labels: {plain(kept['labels'])}. Intervals are over tiles; the grey points are "
        "single draws of the labels. The curve tells of labels of this kind on tiles like these, not of other places."
    )
    score = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        learning_table(gathered),
        hide_index=True,
        column_config={"mIoU": score, "instances a class": st.column_config.NumberColumn(format="%.1f")},
    )


def _ablations(choice: Choice) -> None:
    studies = kept_ablations(choice.workspace)
    if not studies:
        st.info(
            "No ablation is kept here. `python -m core ablate` makes one; its file is shown once it lies in "
            "evaluations/studies of the workspace, wherever it was computed.",
            icon=":material/table_chart:",
        )
    else:
        name = st.selectbox("Study", list(studies), key="curves_study")
        _show_ablation(studies[name])
    with st.expander("Resize the whole tile, or cut patches? The command for that table", icon=":material/terminal:"):
        st.caption(
            "Four decoders on both, each judged on tiles left out: hours on a GPU, days without one. Memory and time "
            "of the same eight are measured by the benchmark resize_against_patches."
        )
        st.code(a10_command(choice.workspace, choice.collection), language="bash")


def _show_ablation(study: dict[str, Any]) -> None:
    st.plotly_chart(ablation_figure(study["table"]), key="ablation_chart", config=CHART_BAR)
    if study.get("note"):
        st.warning(study["note"], icon=":material/warning:")
    st.caption(
        f"Base: recipe {plain(study['recipe'])}. {plain(study['folds'])} over the tiles of {plain(study['data'])}; "
        f"labels: {plain(', '.join(study['labels']))}; seeds {', '.join(map(str, study['seeds']))}. Verdicts of "
        "single rows are not corrected for their number: of twenty rows without effect about one looks like one."
    )
    figure = st.column_config.NumberColumn
    st.dataframe(
        ablation_table(study["table"]),
        hide_index=True,
        column_config={
            "mIoU": figure(format="%.4f"),
            "change": figure(format="%+.4f"),
            "seconds a try": figure(format="%.1f"),
        },
    )
