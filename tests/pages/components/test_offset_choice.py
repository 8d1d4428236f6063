"""Fitted offsets as a switch of the pages."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from core.atomic import write_json
from core.catalog.catalogue import collections
from core.catalog.images import fingerprint
from core.inference.run_offsets import OFFSETS
from core.inference.switches import Switches
from core.inference.thresholds import FittedOffsets
from core.jobs import queue
from core.workspace import WORKSPACE_VARIABLE
from tests.pages.runs_on_disk import add_run, make_workspace

FOUND = (0.3, 0.0, 0.0, -0.2, 0.0, 0.0)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.ensure_running", lambda *_, **__: None)
    workspace = make_workspace(tmp_path)
    add_run(workspace, "first")
    return workspace


def judged_on_tiles(workspace):
    card = workspace.runs / "first" / "card.json"
    write_json(card, {**json.loads(card.read_text()), "validation_tiles": {"4": "a", "5": "b"}})


def fit_to(workspace, offsets):
    folder = workspace.runs / "first"
    fitted = FittedOffsets(
        offsets=offsets,
        strength=1.0 if any(offsets) else 0.0,
        before=0.4,
        after=0.45,
        pixels=900,
        tiles={"4": "a", "5": "b"},
        switches=Switches().key,
        weights=fingerprint(folder / "weights.safetensors"),
    )
    write_json(folder / OFFSETS, fitted.model_dump(mode="json"))


def script():
    import streamlit as st

    from core.catalog.catalogue import collections
    from core.workspace import open_workspace
    from pages.components.offset_choice import Subject
    from pages.components.switches import choose_switches

    workspace = open_workspace()
    subject = Subject(workspace, collections(workspace)[0], "first")
    st.session_state["chosen"] = choose_switches(subject, key="k")


def with_fitted():
    app = AppTest.from_function(script, default_timeout=30).run()
    app.button_group(key="k_offset_way").set_value("fitted").run()
    assert not app.exception
    return app


def said(app):
    return " ".join(str(element.value) for element in app.caption)


def test_fitted_offsets_are_taken_and_say_what_they_were_fitted_on(workspace):
    judged_on_tiles(workspace)
    fit_to(workspace, FOUND)
    app = with_fitted()
    assert app.session_state["chosen"].offsets == FOUND
    assert "900 labelled pixels of the run's validation tiles 4, 5" in said(app)
    assert "from 0.400 to 0.450" in said(app)
    app.button_group(key="k_tta").set_value("flips").run()
    assert "fitted with another test-time augmentation" in said(app)


def test_offsets_that_did_not_hold_up_are_no_switch(workspace):
    judged_on_tiles(workspace)
    fit_to(workspace, (0.0,) * 6)
    app = with_fitted()
    assert app.session_state["chosen"] == Switches()
    assert "did not hold up" in said(app)


def test_where_there_are_none_one_click_queues_their_fit_after_the_switches_that_are_chosen(workspace):
    judged_on_tiles(workspace)
    app = with_fitted()
    assert app.session_state["chosen"] == Switches()
    app.button_group(key="k_refinement").set_value("guided").run()
    app.button(key="k_offset_fit").click().run()
    (job,) = queue.jobs(workspace)
    data = collections(workspace)[0].root
    assert job.arguments[:5] == ("fit-offsets", "--run", str(workspace.runs / "first"), "--data", data)
    assert "guided" in job.arguments
    assert app.button(key="k_offset_fit").disabled


def test_a_run_without_validation_tiles_says_why_it_can_have_none(workspace):
    app = with_fitted()
    assert "trained without validation tiles" in said(app)
    assert not app.button
