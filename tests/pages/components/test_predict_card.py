"""Predict, kept predictions and the import on the Browse page."""

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.inference import imported, store_space
from core.inference.extent import Extent
from core.inference.predict_tiles import KIND
from core.inference.switches import Switches
from core.jobs import queue
from core.training.runs import list_runs
from core.workspace import WORKSPACE_VARIABLE
from tests.core.evaluation.masks import blobs, save
from tests.pages.runs_on_disk import SIZE, add_run, all_tiles, keep_predictions, make_workspace

PAGE = Path(__file__).parents[3] / "pages" / "browse.py"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.ensure_running", lambda *_, **__: None)
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda *_, **__: None)
    monkeypatch.setattr("streamlit.page_link", lambda target, **_: st.caption(f"link to {target.name}"))
    return make_workspace(tmp_path)


def open_page(**address):
    app = AppTest.from_file(str(PAGE), default_timeout=30)
    for name, value in address.items():
        app.query_params[name] = str(value)
    app.run()
    assert not app.exception
    return app


def open_tab(app, name):
    """Only the tab that is open is worked out."""
    app.session_state["browse_predictions"] = name
    app.run()
    assert not app.exception


def texts(elements):
    return " ".join(str(element.value) for element in elements)


def test_without_a_run_it_leads_to_train(workspace):
    assert "link to train.py" in texts(open_page().caption)


def test_the_job_is_the_command_line_of_what_is_chosen(workspace):
    add_run(workspace, "first")
    app = open_page()
    app.button_group(key="predict_refinement").set_value("guided").run()
    app.button(key="predict_start").click().run()
    (job,) = queue.jobs(workspace)
    assert job.kind == KIND
    assert job.arguments[:5] == ("predict-tiles", "--run", "first", "--collection", "1")
    assert "guided" in job.arguments
    assert "guided filter" in job.title


def test_an_open_tile_is_what_is_predicted(workspace):
    add_run(workspace, "first")
    app = open_page(tile=3)
    app.button(key="predict_start").click().run()
    (job,) = queue.jobs(workspace)
    assert job.arguments[5:7] == ("--tile", "2")


def test_several_runs_become_an_ensemble_of_equal_shares(workspace):
    for name in ("first", "second"):
        add_run(workspace, name)
    app = open_page()
    app.multiselect(key="predict_runs").set_value(["second", "first"]).run()
    app.button(key="predict_start").click().run()
    assert not app.exception
    (job,) = queue.jobs(workspace)
    assert job.arguments[2] == "mean-of-first-second"
    assert "mean-of-first-second" in {run.name for run in list_runs(workspace.runs)}


def test_a_folder_that_is_not_there_is_said_and_cannot_be_started(workspace):
    add_run(workspace, "first")
    app = open_page()
    app.button_group(key="predict_what_all").set_value("folder").run()
    app.text_input(key="predict_folder").set_value("/nowhere").run()
    assert "no folder /nowhere" in texts(app.warning)
    assert app.button(key="predict_start").disabled


def test_a_raster_is_predicted_with_a_refinement_and_refused_with_a_gate(workspace, tmp_path):
    add_run(workspace, "first")
    raster = tmp_path / "large.tif"
    raster.touch()
    app = open_page()
    app.button_group(key="predict_what_all").set_value("raster").run()
    app.text_input(key="predict_raster").set_value(str(raster)).run()
    app.slider(key="predict_gate").set_value(5).run()
    assert "without leaving classes out" in texts(app.warning)
    assert app.button(key="predict_start").disabled
    app.slider(key="predict_gate").set_value(0).run()
    app.button_group(key="predict_refinement").set_value("crf").run()
    app.button(key="predict_start").click().run()
    (job,) = queue.jobs(workspace)
    assert job.arguments[0] == "predict"
    assert job.arguments[job.arguments.index("--data") + 1] == str(raster)
    assert job.arguments[job.arguments.index("--refine") + 1] == "crf"


def test_kept_predictions_are_a_layer_of_the_map_that_says_how_many_tiles_have_one(workspace):
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.1)
    for path in workspace.predictions.glob("first/plain/1/[01]*"):
        path.unlink()
    app = open_page()
    over = app.selectbox(key="map_over")
    assert over.value == ""
    given, first = (next(one for one in over.options if words in one) for words in ("given masks", "first, "))
    over.select_index(over.options.index(given)).run()
    assert "6 of 6 tiles came with a mask" in texts(app.caption)
    app.selectbox(key="map_over").select_index(over.options.index(first)).run()
    assert not app.exception
    assert "4 of 6 tiles have this prediction." in texts(app.caption)


def test_what_is_kept_can_be_laid_over_its_tile_and_deleted(workspace):
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.1, switches=Switches("none", "guided"))
    app = open_page(tile=1)
    assert app.selectbox(key="overlay-1").value == "first, guided filter"
    open_tab(app, "Kept predictions")
    app.button(key="kept_delete").click().run()
    assert store_space.kept_groups(workspace) == []
    assert "Nothing is kept yet" in texts(app.caption)


def test_a_stale_prediction_is_told_where_it_is_shown(workspace):
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.1)
    (workspace.runs / "first" / "weights.safetensors").write_bytes(b"trained anew")
    assert "trained anew" in texts(open_page(tile=1).warning)


def test_imported_masks_become_a_run_and_what_is_missing_is_said(workspace, tmp_path):
    save(tmp_path / "foreign", "1", blobs(1, SIZE))
    app = open_page()
    open_tab(app, "Import predictions")
    app.text_input(key="predict_import_folder_0").set_value(str(tmp_path / "foreign")).run()
    app.text_input(key="predict_import_name_0").set_value("foreign").run()
    app.button(key="predict_import").click().run()
    assert not app.exception
    assert [run.name for run in list_runs(workspace.runs)] == ["foreign"]
    assert "Without a prediction: 0, 2" in texts(app.caption)


def test_an_imported_mask_that_is_smaller_than_its_tile_lies_where_it_is_said_to(workspace, tmp_path):
    save(tmp_path / "foreign", "1", blobs(1, (24, 30)))
    app = open_page()
    open_tab(app, "Import predictions")
    app.text_input(key="predict_import_folder_0").set_value(str(tmp_path / "foreign")).run()
    app.number_input(key="predict_import_at_0_x").set_value(10).run()
    app.number_input(key="predict_import_at_0_y").set_value(30).run()
    app.button(key="predict_import").click().run()
    (run,) = list_runs(workspace.runs)
    tile = next(tile for tile in all_tiles(workspace) if tile.name == "1")
    assert imported.extent(run.folder, tile.fingerprint) == Extent(30, 10, 24, 30)
