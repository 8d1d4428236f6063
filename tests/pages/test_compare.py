"""The Compare page."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import queue
from core.workspace import WORKSPACE_VARIABLE
from tests.pages.runs_on_disk import add_run, keep_evaluation, keep_predictions, make_workspace

PAGE = Path(__file__).parents[2] / "pages" / "compare.py"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.ensure_running", lambda *_, **__: None)
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda *_, **__: None)
    workspace = make_workspace(tmp_path)
    for name, wrong in (("good", 0.1), ("bad", 0.6)):
        add_run(workspace, name)
        keep_predictions(workspace, name, wrong=wrong)
    return workspace


def open_page():
    app = AppTest.from_file(PAGE, default_timeout=30)
    app.run()
    assert not app.exception
    return app


def choose(app, *, a, b):
    app.selectbox(key="compare_run_A").select(a)
    app.selectbox(key="compare_run_B").select(b)
    app.run()
    assert not app.exception
    return app


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def test_the_same_run_twice_is_pointed_out(workspace):
    assert "same run" in texts(choose(open_page(), a="good", b="good").info)


def test_scores_on_this_tile_need_no_evaluation(workspace):
    app = choose(open_page(), a="good", b="bad")
    table = next(frame.value for frame in app.dataframe if frame.value["class"].iloc[0] == "mean")
    assert table["A"].iloc[0] > table["B"].iloc[0]


def test_one_button_queues_the_evaluations_that_are_missing(workspace):
    keep_evaluation(workspace, "good")
    app = choose(open_page(), a="good", b="bad")
    app.button(key="compare_evaluate").click().run()
    assert [job.arguments[2] for job in queue.jobs(workspace)] == ["bad"]


def test_the_verdict_over_all_held_out_tiles_names_the_better_one(workspace):
    for name in ("good", "bad"):
        keep_evaluation(workspace, name)
    app = choose(open_page(), a="good", b="bad")
    assert "A is better than B" in texts(app.markdown)
    assert "A is worse than B" in texts(choose(app, a="bad", b="good").markdown)
    assert "4 tiles that neither trained on" in texts(app.caption)


def test_a_tile_that_a_run_trained_on_is_marked_as_no_test(workspace):
    app = open_page()
    tile = app.selectbox(key="compare_tile_1")
    trained = next(option for option in tile.options if option.startswith("0 "))
    tile.select(trained).run()
    assert "trained on tile 0" in texts(app.warning)


def test_a_prediction_that_cannot_be_made_says_why(workspace):
    app = open_page()
    app.button_group(key="compare_A_tta").set_value("flips").run()
    assert not app.exception
    assert app.error
