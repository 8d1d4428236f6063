"""Predicting the selected tiles."""

import streamlit as st

from core.inference.imported import KIND as IMPORTED
from core.inference.predict_tiles import KIND, predict_arguments
from core.inference.switches import Switches
from core.training.runs import list_runs
from pages.components.browsing import Browsing
from pages.components.measuring_job import Measurement, start, under_way
from pages.components.problems import plain


def predict_panel(browsing: Browsing, chosen: list[int]) -> None:
    """The button; what is behind it is made only while it is open."""
    panel = st.popover("Predict", icon=":material/auto_awesome:", key="browse_predict", on_change="rerun")
    if not panel.open:
        return
    with panel, st.container(width=300):
        runs = [run.name for run in list_runs(browsing.workspace.runs) if run.card.head != IMPORTED]
        if not runs:
            st.caption("There is no run yet that could predict; train one.")
            return
        run = str(st.selectbox("Run", runs, key="browse_predict_run"))
        names = [browsing.table.rows[number].name for number in chosen]
        spread = [part for name in names for part in ("--tile", name)]
        job = Measurement(
            KIND,
            f"Predict {len(names)} selected tiles of {browsing.collection.name} with {run}",
            [*predict_arguments(run, browsing.collection.id, Switches()), *spread],
        )
        busy = under_way(browsing.workspace, job)
        if st.button(
            "Predicting" if busy else f"Predict {len(names)}",
            type="primary",
            icon=":material/play_arrow:",
            disabled=busy,
            key="browse_predict_start",
        ):
            start(browsing.workspace, job)
            st.session_state["predict_asked"] = True  # the jobs are shown below, under Predictions
            st.rerun()
        st.caption(plain("Without switches; the form under Predictions has them. The sidebar shows how far it is."))
