"""The sections Confusion, Confidence and Truth of the Evaluate page."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import collections
from core.evaluation.confidence import confidence_run
from core.evaluation.truth_judgements import judgements
from core.inference.imported import import_predictions
from core.inference.switches import Switches
from core.jobs import queue
from core.labels.mending import places_to_mend
from core.progress import SilentProgress
from core.workspace import WORKSPACE_VARIABLE
from tests.core.evaluation.masks import blobs, save, worsen
from tests.core.evaluation.sure_runs import make_sure_workspace
from tests.pages.runs_on_disk import SIZE, keep_evaluation

PAGE = Path(__file__).parents[2] / "pages" / "evaluate.py"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.ensure_running", lambda *_, **__: None)
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda *_, **__: None)
    monkeypatch.setattr("streamlit.page_link", lambda target, **_: st.caption(f"link to {target}"))
    return make_sure_workspace(tmp_path)


def compute(workspace, run="sure"):
    home = collections(workspace)[0].id
    confidence_run(workspace, run=run, collection_id=home, switches=Switches(), progress=SilentProgress())


def open_section(name):
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.session_state["evaluate_section"] = name
    app.run()
    assert not app.exception
    return app


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def test_confusion_begins_with_the_largest_mistake_and_the_tiles_that_have_it(workspace):
    keep_evaluation(workspace, "sure")
    app = open_section("Confusion")
    assert "taken for barren" in texts(app.markdown)
    assert "Measured on 4 tiles" in texts(app.caption)
    assert list(app.dataframe[0].value.columns)[:2] == ["tile", "ha"]


def test_fix_these_puts_places_into_the_queue_and_goes_to_label(workspace, monkeypatch):
    keep_evaluation(workspace, "sure")
    gone_to = []
    monkeypatch.setattr("streamlit.switch_page", lambda page, query_params: gone_to.append((page.name, query_params)))
    app = open_section("Confusion")
    app.button(key="confusion_send").click().run()
    [(page, query)] = gone_to
    sent = places_to_mend(workspace, collections(workspace)[0].id)
    assert page == "label.py"
    assert int(query["tile"]) in sent
    assert app.session_state["label_rule"] == "mistakes sent from Evaluate"


@pytest.mark.parametrize("section", ["Confidence", "Truth"])
def test_what_was_not_computed_yet_is_offered_as_one_job(workspace, section):
    app = open_section(section)
    app.button(key="confidence_start").click().run()
    assert app.button(key="confidence_start").disabled
    [job] = queue.jobs(workspace)
    assert job.arguments[:3] == ("confidence-run", "--run", "sure")


def test_confidence_says_what_it_says_and_what_is_right_with_intervals(workspace):
    compute(workspace)
    app = open_section("Confidence")
    figures = {metric.label: metric for metric in app.metric}
    assert "95 % interval" in figures["Calibration error"].delta
    assert "On average the run says" in texts(app.markdown)
    assert "4 tiles only" in texts(app.warning)
    assert "each tile takes the temperature that fits the others" in texts(app.caption)


def test_an_imported_run_says_that_it_has_no_confidence_and_shows_its_false_positives(workspace, tmp_path):
    for index in range(6):
        save(tmp_path / "theirs", str(index), worsen(blobs(index, SIZE), 0.2, seed=index))
    home = collections(workspace)[0].id
    import_predictions(workspace, tmp_path / "theirs", name="theirs", collection_id=home, progress=SilentProgress())
    compute(workspace, "theirs")
    app = open_section("Confidence")
    app.selectbox(key="evaluate_run").set_value(app.selectbox(key="evaluate_run").options.index("theirs"))
    app.selectbox(key="evaluate_run").select("theirs").run()
    assert "does not say how sure it is" in texts(app.info)
    app.session_state["evaluate_section"] = "Truth"
    app.run()
    assert "nothing to rank doubtful labels by" in texts(app.info)


def test_a_verdict_is_kept_the_next_region_shown_and_undo_brings_it_back(workspace):
    compute(workspace)
    app = open_section("Truth")
    first = texts(app.markdown)
    assert "1 of" in first
    app.button(key="truth_label wrong").click().run()
    home = collections(workspace)[0].id
    [row] = judgements(workspace, home)
    assert (row.verdict, row.annotator) == ("label wrong", "local")
    assert texts(app.markdown) != first
    app.button(key="truth_undo").click().run()
    assert judgements(workspace, home) == []
    assert "1 of" in texts(app.markdown)


def test_a_skipped_region_is_not_judged_and_comes_back_on_wish(workspace):
    compute(workspace)
    app = open_section("Truth")
    for _ in range(200):
        if "skipped" in texts(app.info):
            break
        app.button(key="truth_skip").click().run()
    assert judgements(workspace, collections(workspace)[0].id) == []
    app.button(key="truth_again").click().run()
    assert "1 of" in texts(app.markdown)


def test_scores_with_and_without_disputed_pixels_stand_side_by_side(workspace):
    keep_evaluation(workspace, "sure")
    compute(workspace)
    app = open_section("Truth")
    app.button(key="truth_ambiguous").click().run()
    assert "disputed pixels" in texts(app.markdown)
    assert list(app.table[0].value.columns) == ["all labelled pixels", "without disputed"]
    assert "favours it" in texts(app.caption)
