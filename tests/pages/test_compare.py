"""The Compare page."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.inference.switches import Switches
from core.jobs import queue
from core.workspace import WORKSPACE_VARIABLE
from pages.components.compare_view import parse_view
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


def open_page(**sides):
    """The page once the desk has told of its sides: the name of each one's run, or that and its facts."""
    app = AppTest.from_file(PAGE, default_timeout=30)
    if sides:
        told = {letter: side if isinstance(side, tuple) else (side, {}) for letter, side in sides.items()}
        view = {letter: {"run": run, "facts": facts} for letter, (run, facts) in told.items()}
        app.session_state["compare_desk_1"] = {"view": {"tile": 3, **view}}
    app.run()
    assert not app.exception
    return app


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def test_before_the_desk_told_anything_nothing_is_said_of_all_tiles(workspace):
    app = open_page()
    assert not app.subheader
    assert not app.error


def test_the_same_run_twice_is_pointed_out(workspace):
    assert "same run" in texts(open_page(a="good", b="good").info)
    assert not open_page(a="good", b=("good", {"tta": "d4"})).info


def test_one_button_queues_the_evaluations_that_are_missing(workspace):
    keep_evaluation(workspace, "good")
    app = open_page(a="good", b="bad")
    app.button(key="compare_evaluate").click().run()
    assert [job.arguments[2] for job in queue.jobs(workspace)] == ["bad"]


def test_the_verdict_over_all_held_out_tiles_names_the_better_one(workspace):
    for name in ("good", "bad"):
        keep_evaluation(workspace, name)
    app = open_page(a="good", b="bad")
    assert "A is better than B" in texts(app.markdown)
    assert "4 tiles that neither trained on" in texts(app.caption)
    assert "A is worse than B" in texts(open_page(a="bad", b="good").markdown)


@pytest.mark.parametrize(
    ("b", "sentence"),
    [
        ("gone", "no run 'gone'"),
        (("bad", {"nothing": 1}), "B: The switches were not understood"),
        (("bad", {"tta": "sideways"}), "B: These switches are not known"),
        ("../good", "no run '../good'"),
    ],
)
def test_a_side_that_names_nothing_is_one_sentence_on_a_page_that_stays(workspace, b, sentence):
    assert sentence in texts(open_page(a="good", b=b).error).replace("\\", "")


def test_what_the_desk_told_is_read_as_two_sides():
    a, b = parse_view({"tile": 1, "a": {"run": "x", "facts": {"tta": "d4"}}, "b": {"run": "y", "facts": {}}})
    assert (a.letter, a.run, a.switches) == ("A", "x", Switches("d4"))
    assert (b.letter, b.run, b.switches) == ("B", "y", Switches())
    assert parse_view(None) is None
