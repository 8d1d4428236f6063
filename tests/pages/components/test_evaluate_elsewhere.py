"""The sections of Evaluate on drift, areas and curves, each by itself."""

import json

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import collections
from core.evaluation import drift_of_run, hold_out, kept_studies
from core.inference.tile_observer import TileObserver
from core.jobs import queue
from core.progress import SilentProgress
from core.training import ablation, learning_curve
from core.training.recipe import dump_recipe, load_recipe
from core.workspace import WORKSPACE_VARIABLE
from pages.components.area_map import last_ring
from tests.core.evaluation.profiles import drawn_tile
from tests.pages.runs_on_disk import add_run, keep_evaluation, keep_predictions, make_workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.ensure_running", lambda *_, **__: None)
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda *_, **__: None)
    monkeypatch.setattr("streamlit.page_link", lambda target, **_: st.caption(f"link to {target.name}"))
    made = make_workspace(tmp_path)
    add_run(made, "first")
    (made.runs / "first" / "recipe.toml").write_text(dump_recipe(load_recipe("head")))
    return made


def open_section(name):
    def script(name):
        from importlib import import_module

        from core.catalog.catalogue import collections
        from core.inference.switches import Switches
        from core.training.runs import list_runs
        from core.workspace import open_workspace
        from pages.components.evaluate_choice import Choice

        workspace = open_workspace()
        choice = Choice(workspace, collections(workspace)[0], list_runs(workspace.runs)[0], Switches())
        import_module(f"pages.components.evaluate_{name}").section(choice)

    app = AppTest.from_function(script, default_timeout=30, kwargs={"name": name})
    app.run()
    assert not app.exception
    return app


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def test_drift_that_was_not_measured_is_offered_as_a_job(workspace):
    app = open_section("drift")
    assert "Compares the images of 4 tiles of data with the 2 tiles" in texts(app.caption)
    app.button(key="drift_start").click().run()
    assert queue.jobs(workspace)[0].arguments[:3] == ("drift", "--run", "first")
    assert app.button(key="drift_start").disabled, "one comparison must not be asked for twice"


def test_drift_that_was_measured_is_told_in_one_sentence_with_its_measure(workspace, monkeypatch):
    seen = type("Seen", (), {"observe": lambda self, tile, progress: drawn_tile(tile.id)})()
    monkeypatch.setattr(TileObserver, "open", classmethod(lambda cls, workspace, run: seen))
    drift_of_run.compute_drift(workspace, run="first", collection_id=1, progress=SilentProgress())
    app = open_section("drift")
    assert "was trained on" in texts([*app.success, *app.warning, *app.error])
    assert "Measured on 4 tiles of data against 2 training tiles of run first" in texts(app.caption)


def test_a_run_that_saw_every_tile_leaves_the_regions_alone_to_be_measured(workspace):
    card = workspace.runs / "first" / "card.json"
    everything = {str(number): tile.fingerprint for number, tile in enumerate(drift_of_run.tiles(workspace, 1))}
    card.write_text(json.dumps({**json.loads(card.read_text()), "training_tiles": everything}))
    app = open_section("drift")
    assert "trained on every tile" in texts(app.info)
    app.button(key="hold_out_start").click().run()
    assert queue.jobs(workspace)[0].arguments[0] == "hold-out"


def test_regions_left_out_are_shown_with_their_interval(workspace):
    path = kept_studies.hold_out_file(workspace, "first", 1)
    path.parent.mkdir(parents=True)
    result = {
        "format": hold_out.FORMAT,
        "tiles": 6,
        "regional": {"miou": 0.4, "iou": {}},
        "random": {"miou": 0.5, "iou": {}},
        "difference": {"value": -0.1, "interval": [-0.15, -0.05], "verdict": "worse"},
        "groups": [{"name": "north", "tiles": ["0", "1"], "regional": 0.4, "random": 0.5}],
        "note": None,
        "regions": "3 clusters of likeness",
        "draws": 3,
        "recipe": "head",
        "labels": "full masks",
        "day": "2026-01-01T00:00",
    }
    path.write_text(json.dumps(result))
    said = texts(open_section("drift").markdown)
    assert "score lower than a random split says, by 0.100" in said
    assert "-0.150 to -0.050" in said


def test_areas_without_a_prediction_lead_to_browse(workspace):
    app = open_section("areas")
    assert "No tile of data is predicted" in texts(app.info)
    assert "link to browse.py" in texts(app.caption)


def test_areas_without_a_judgement_are_counted_only(workspace):
    keep_predictions(workspace, "first", wrong=0.2)
    app = open_section("areas")
    assert "Counted only" in texts(app.warning)
    assert list(app.dataframe[0].value.columns) == ["class", "counted, ha"]


def test_areas_are_estimated_with_both_intervals_and_their_assumption(workspace):
    keep_predictions(workspace, "first", wrong=0.2)
    keep_evaluation(workspace, "first")
    app = open_section("areas")
    table = app.dataframe[0].value
    assert {"95 % interval over tiles, ha", "by formula, ha"} <= set(table.columns)
    assert "The judged tiles stand for the area" in texts(app.caption)
    whole = float(table["counted, ha"].sum())
    app.button_group(key="areas_scope").set_value("one tile").run()
    assert float(app.dataframe[0].value["counted, ha"].sum()) < whole


def test_the_drawing_that_was_made_last_is_the_area():
    square = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, -4], [0, 0]]]}
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    drawings = [{"geometry": line}, {"geometry": square}]
    assert last_ring({"all_drawings": drawings}) == [(0, 0), (4, 0), (4, 4)]
    assert last_ring({"all_drawings": None}) is None
    assert last_ring(None) is None


def test_curves_that_were_not_measured_say_what_makes_them(workspace):
    app = open_section("curves")
    assert "Not measured yet" in texts(app.info)
    assert "python -m core ablate" in texts(app.info)
    assert "sight=resized" in texts(app.code)
    app.button(key="curve_start").click().run()
    assert queue.jobs(workspace)[0].arguments[0] == "learning-curve"


def test_a_finished_curve_and_an_ablation_are_shown(workspace):
    path = kept_studies.learning_curve_file(workspace, "first", collections(workspace)[0].id)
    path.parent.mkdir(parents=True)
    points = [{"seed": 0, "share": share, "instances": share / 2, "miou": 0.2 + share / 400} for share in (5, 25, 100)]
    curve = {
        "format": learning_curve.FORMAT,
        "points": points,
        "curve": {"a": 0.6, "b": 0.5, "c": 0.5},
        "sentence": "With 50 instances a class the curve stands at 0.450.",
        "recipe": "head",
        "labels": "full masks",
        "folds": "3 folds by whole tile",
        "skipped": [],
    }
    path.write_text(json.dumps(curve))
    rows = [
        {
            "name": "base",
            "techniques": "",
            "against": "base",
            "failed": None,
            "miou": 0.4,
            "seconds": 3.0,
            "difference": None,
        },
        {
            "name": "l2=2",
            "techniques": "D1",
            "against": "base",
            "failed": None,
            "miou": 0.41,
            "seconds": 3.0,
            "difference": {"value": 0.01, "interval": [-0.02, 0.04], "verdict": "cannot tell"},
        },
        {"name": "odd", "techniques": "", "against": "base", "failed": "Cannot be fitted."},
    ]
    study = {
        "format": ablation.FORMAT,
        "table": rows,
        "recipe": "head",
        "folds": "Leave one tile out",
        "data": "tiles",
        "labels": ["full masks"],
        "seeds": [0],
        "note": None,
    }
    folder = kept_studies.studies_folder(workspace)
    folder.mkdir(parents=True)
    (folder / "head.json").write_text(json.dumps(study))
    app = open_section("curves")
    assert "the curve stands at 0.450" in texts(app.success)
    shown = next(frame.value for frame in app.dataframe if "verdict" in frame.value.columns)
    assert list(shown["verdict"]) == ["what the others change", "cannot tell", "Cannot be fitted."]
    assert not any(button.key == "curve_start" for button in app.button)
