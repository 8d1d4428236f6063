"""The Evaluate page."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.evaluation import held_out
from core.inference.switches import Switches
from core.jobs import queue
from core.progress import SilentProgress
from core.training.runs import list_runs
from core.workspace import WORKSPACE_VARIABLE, open_workspace
from tests.pages.runs_on_disk import add_run, keep_evaluation, keep_predictions, make_workspace

PAGE = Path(__file__).parents[2] / "pages" / "evaluate.py"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.ensure_running", lambda *_, **__: None)
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda *_, **__: None)
    return make_workspace(tmp_path)


@pytest.fixture(autouse=True)
def _links_in_words(monkeypatch):
    """A page run alone has no navigation to link into: a link is a caption here, and only for the test."""
    monkeypatch.setattr("streamlit.page_link", lambda target, **_: st.caption(f"link to {target.name}"))


def open_page():
    app = AppTest.from_file(str(PAGE), default_timeout=30)
    app.run()
    assert not app.exception
    return app


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def test_without_tiles_it_leads_to_start(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "empty"))
    open_workspace()
    assert "link to start.py" in texts(open_page().caption)


def test_without_a_run_it_leads_to_train(workspace):
    assert "link to train.py" in texts(open_page().caption)


def test_a_run_that_saw_every_mask_cannot_be_judged_here(workspace):
    add_run(workspace, "greedy", trained_on=6)
    app = open_page()
    assert "trained on every tile" in texts(app.warning)
    assert not app.button


def test_the_tiles_it_trained_on_are_listed_as_left_out(workspace):
    add_run(workspace, "first")
    captions = texts(open_page().caption)
    assert "Judged on 4 tiles with a mask: 2, 3, 4, 5" in captions
    assert "the run trained on them: 0, 1" in captions


def test_the_button_queues_the_job_that_predicts_and_scores(workspace):
    add_run(workspace, "first")
    app = open_page()
    app.button(key="evaluate_start").click().run()
    assert app.button(key="evaluate_start").disabled, "one evaluation must not be asked for twice"
    [job] = queue.jobs(workspace)
    assert job.kind == "evaluate-run"
    assert job.arguments[:3] == ("evaluate-run", "--run", "first")


def test_it_shows_the_score_with_its_interval_and_what_it_was_measured_on(workspace):
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.2)
    keep_evaluation(workspace, "first")
    app = open_page()
    figures = {metric.label: metric for metric in app.metric}
    assert 0.5 < float(figures["Mean IoU"].value) < 1
    assert "95 % interval" in figures["Mean IoU"].delta
    assert figures["Tiles"].value == "4"
    assert "Measured on 4 tiles of data" in texts(app.caption)
    assert "4 tiles only" in texts(app.warning)


def test_the_tiles_are_listed_worst_first(workspace):
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.4)
    keep_evaluation(workspace, "first")
    table = next(frame.value for frame in open_page().dataframe if "tile" in frame.value.columns)
    assert list(table["mIoU"]) == sorted(table["mIoU"])
    assert len(table) == 4


def test_other_switches_ask_for_an_evaluation_of_their_own(workspace):
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.2)
    keep_evaluation(workspace, "first")
    app = open_page()
    app.button_group(key="evaluate_refinement").set_value("crf").run()
    assert "Not computed yet for first with CRF" in texts(app.info)


@pytest.fixture
def judged(workspace):
    """Two runs that were evaluated, and one that was not."""
    for name, wrong in (("better", 0.1), ("worse", 0.5), ("unseen", 0.3)):
        add_run(workspace, name)
        keep_predictions(workspace, name, wrong=wrong)
    for name in ("better", "worse"):
        held_out.evaluate_run(workspace, run=name, collection_id=1, switches=Switches(), progress=SilentProgress())
    return workspace


def open_section(name, run="worse"):
    app = open_page()
    app.selectbox(key="evaluate_run").select(next(one for one in list_runs(open_workspace().runs) if one.name == run))
    app.button_group(key="evaluate_section").set_value(name).run()
    assert not app.exception
    return app


def test_the_rule_for_pixels_predicted_unlabelled_is_switched_and_named(judged):
    app = open_section("Scores")
    before = {metric.label: metric.value for metric in app.metric}
    assert "predicted unlabelled counts as wrong" in texts(app.caption)
    app.button_group(key="evaluate_rule").set_value("left out").run()
    assert "predicted unlabelled is left out" in texts(app.caption)
    after = {metric.label: metric.value for metric in app.metric}
    assert float(after["Mean IoU"]) > float(before["Mean IoU"])
    assert float(after["Pixel accuracy"]) > float(before["Pixel accuracy"])


def test_borders_have_their_figures_and_say_how_wide_they_are(judged):
    app = open_section("Scores")
    assert "interval" in next(metric.delta for metric in app.metric if metric.label == "Mean boundary IoU")
    table = next(frame.value for frame in app.dataframe if "share" in frame.value.columns)
    assert list(table["pixels"]) == [*(f"within {width} px of another class" for width in (3, 5, 10)), "all"]
    assert "0.5 % of the tile's diagonal" in texts(app.caption)


def test_an_evaluation_from_before_borders_were_counted_offers_to_count_them(workspace):
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.2)
    keep_evaluation(workspace, "first")
    app = open_page()
    assert "kept before borders were counted" in texts(app.info)
    app.button(key="evaluate_borders").click().run()
    assert [job.kind for job in queue.jobs(workspace)] == ["evaluate-run"]


def test_the_leaderboard_ranks_what_was_evaluated_and_offers_the_rest(judged):
    app = open_section("Leaderboard")
    table = next(frame.value for frame in app.dataframe if "rank" in frame.value.columns)
    assert list(table["run"]) == ["better", "worse"]
    assert list(table["rank"]) == ["1", "2"]
    assert table["against the best"].iloc[1] == "worse"
    assert "corrected for 1 comparison (Holm 1979)" in texts(app.caption)
    assert "4 tiles only" in texts(app.warning)
    app.button(key="leaderboard_evaluate_unseen").click().run()
    assert app.button(key="leaderboard_evaluate_unseen").disabled
    assert queue.jobs(judged)[0].arguments[:3] == ("evaluate-run", "--run", "unseen")


def test_a_leaderboard_of_one_says_that_it_takes_two(judged):
    app = open_section("Leaderboard")
    app.multiselect(key="leaderboard_rows").set_value(["better"]).run()
    assert not app.exception
    assert "takes at least two" in texts(app.info)
