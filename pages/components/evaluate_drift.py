"""Evaluate, Drift: is the collection like what the run was trained on, and does its recipe hold in other regions?"""

from typing import Any

import streamlit as st

from core.catalog.catalogue import tile
from core.errors import InputError
from core.evaluation.drift_of_run import KIND, drift_arguments, kept_drift, tiles_to_compare
from core.workspace import Workspace
from pages.components.drift_charts import nearest_html, shift_figure, shift_table
from pages.components.evaluate_choice import Choice, how_many
from pages.components.hold_out_card import hold_out_card
from pages.components.measuring_job import Measurement, measure_button
from pages.components.problems import plain

CHART_BAR = {"displaylogo": False, "modeBarButtons": [["toImage"]]}
_BOXES = {"alike": st.success, "different": st.error, "cannot tell": st.warning}
_ICONS = {"alike": ":material/check_circle:", "different": ":material/notifications_active:"}
_ROWS = 3


def section(choice: Choice) -> None:
    """The whole section."""
    workspace, run, collection = choice.workspace, choice.run.name, choice.collection
    try:
        new, training = tiles_to_compare(workspace, run, collection.id)
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
    else:
        _comparison(choice, new=len(new), training=len(training))
    hold_out_card(choice, config=CHART_BAR)


def _comparison(choice: Choice, *, new: int, training: int) -> None:
    workspace, run, collection = choice.workspace, choice.run.name, choice.collection
    st.caption(
        f"Compares the images of {new} tiles of {plain(collection.name)} with the {training} tiles here that "
        f"run {plain(run)} was trained on. It needs no truth, and the switches above play no part."
    )
    result = kept_drift(workspace, run, collection.id)
    if result is not None:
        _verdict(result)
        _shifts_and_neighbours(workspace, result)
        _measured_on(result)
    else:
        st.info("Not compared yet, or the run or the tiles are others now.", icon=":material/hourglass_empty:")
    measurement = Measurement(KIND, f"Drift of {collection.name} from {run}", drift_arguments(run, collection.id))
    measure_button(
        workspace,
        measurement,
        label="Compare again" if result else "Compare with the training tiles",
        key="drift_start",
        primary=result is None,
    )


def _verdict(result: dict[str, Any]) -> None:
    verdict = result["verdict"]
    _BOXES[verdict](plain(result["sentence"]), icon=_ICONS.get(verdict, ":material/help:"))
    st.markdown(result["distance"])
    if result["left_out"]:
        st.warning(" ".join(plain(sentence) for sentence in result["left_out"]), icon=":material/warning:")


def _shifts_and_neighbours(workspace: Workspace, result: dict[str, Any]) -> None:
    left, right = st.columns([5, 4], gap="large")
    with left:
        st.plotly_chart(shift_figure(result["shifts"]), key="drift_shifts", config=CHART_BAR)
        st.caption(
            "Whiskers are 95 % intervals; the grey band is what counts as less than large (0.8). Red: p below 0.05 by "
            f"permutation of tiles, corrected for {len(result['shifts'])} rows. The run has learnt its training tiles, "
            "so some loss of confidence on new ones is usual; another mixture of classes is no fault by itself."
        )
    with right:
        st.markdown("**The farthest new tiles, and the training tiles nearest to them**")
        rows = _neighbours(workspace, result)
        st.html(nearest_html(rows[:_ROWS]))
        if len(rows) > _ROWS:
            with st.expander(f"Further new tiles ({len(rows) - _ROWS})"):
                st.html(nearest_html(rows[_ROWS:]))
    with st.expander("All figures", icon=":material/table:"):
        figure = st.column_config.NumberColumn(format="%.3g")
        st.dataframe(
            shift_table(result["shifts"]),
            hide_index=True,
            column_config=dict.fromkeys(("new", "training", "g", "p, corrected"), figure),
        )


def _neighbours(workspace: Workspace, result: dict[str, Any]) -> list[tuple[Any, str, list[Any]]]:
    """The new tiles with their nearest training tiles, the farthest first."""
    rows = sorted(zip(result["tiles"], result["new"], strict=True), key=lambda row: -float(row[0]["distance"]))
    return [
        (
            tile(workspace, new["id"]),
            f"further than {found['further_than']:.0%} of the training tiles are from their nearest",
            [tile(workspace, result["training"][index]["id"]) for index in found["nearest"]],
        )
        for found, new in rows
    ]


def _measured_on(result: dict[str, Any]) -> None:
    measured = result["measured_on"]
    st.caption(
        f"Measured on {how_many(result['new_tiles'])} of {plain(measured['collection'])} against "
        f"{result['training_tiles']} training tiles of run {plain(measured['run'])}; {measured['day']} UTC. "
        "Energy distance of mean features and of six colour statistics, tested by permutation of whole tiles (least "
        f"p-value possible: {result['least_p']:.2g}), corrected by Holm."
    )
