"""Evaluate: how good a run is on tiles that it never trained on, where it is wrong, and how sure one can be."""

from collections.abc import Callable

import streamlit as st

from core.catalog.catalogue import collections
from core.tables import Collection
from core.training.runs import Run, list_runs
from core.workspace import Workspace, open_workspace
from pages.components import (
    evaluate_areas,
    evaluate_confidence,
    evaluate_confusion,
    evaluate_curves,
    evaluate_drift,
    evaluate_leaderboard,
    evaluate_scores,
    evaluate_truth,
)
from pages.components.evaluate_choice import Choice
from pages.components.nothing_yet import nothing_yet
from pages.components.offset_choice import Subject
from pages.components.switches import choose_switches
from pages.components.synthetic import synthetic_note

_SUBJECT = "Scores of a run on whole tiles that it never trained on, each with the interval that it can be off by."

SECTIONS: dict[str, Callable[[Choice], None]] = {
    "Scores": evaluate_scores.section,
    "Leaderboard": evaluate_leaderboard.section,
    "Confusion": evaluate_confusion.section,
    "Confidence": evaluate_confidence.section,
    "Truth": evaluate_truth.section,
    "Drift": evaluate_drift.section,
    "Areas": evaluate_areas.section,
    "Curves": evaluate_curves.section,
}


def page() -> None:
    """The whole page."""
    workspace = open_workspace()
    known, runs = collections(workspace), list_runs(workspace.runs)
    if not known or not runs:
        st.title("Evaluate")
        st.caption(_SUBJECT)
        nothing_yet(has_tiles=bool(known))
        return
    choice = _choose(workspace, known, runs)
    section = st.segmented_control(
        "Section", list(SECTIONS), default="Scores", required=True, key="evaluate_section", label_visibility="collapsed"
    )
    SECTIONS[str(section)](choice)


def _choose(workspace: Workspace, known: list[Collection], runs: list[Run]) -> Choice:
    title, first, second = st.columns(3, vertical_alignment="bottom")
    title.title("Evaluate", help=_SUBJECT)
    run = first.selectbox("Run", runs, format_func=lambda r: r.name, key="evaluate_run")
    collection = second.selectbox("Collection", known, format_func=lambda c: c.name, key="evaluate_collection")
    synthetic_note(collection)
    switches = choose_switches(Subject(workspace, collection, run.name), key="evaluate")
    return Choice(workspace, collection, run, switches)


page()
