"""The Train page."""

import shlex
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.alike.related import RelatedPair, keep_pairs
from core.catalog.catalogue import collections, tiles
from core.catalog.splitting.plans import NewSplit, Place, keep, users
from core.catalog.splitting.users import RECORD_OPTION, parse_record
from core.jobs import queue
from core.labels import raster
from core.training import forecast_process
from core.training.forecast import Forecast
from core.workspace import WORKSPACE_VARIABLE, Workspace, open_workspace
from tests.pages.runs_on_disk import add_run, make_workspace

PAGES = Path(__file__).parents[2] / "pages"
AROUND = f"""
import streamlit as st
from pathlib import Path
pages = Path({str(PAGES)!r})
st.navigation([st.Page(pages / "train.py", default=True), *(
    st.Page(pages / f"{{name}}.py", url_path=name) for name in ("start", "browse", "label", "evaluate", "compare")
)]).run()
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    monkeypatch.setattr("core.jobs.worker.ensure_running", lambda *_, **__: None)
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda *_, **__: None)
    return make_workspace(tmp_path)


def open_page() -> AppTest:
    app = AppTest.from_string(AROUND, default_timeout=30)
    app.run()
    assert not app.exception
    return app


def start_button(app: AppTest):
    return next(button for button in app.button if button.label == "Start training")


def test_without_tiles_it_leads_to_start(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "empty"))
    open_workspace()
    app = open_page()
    assert "No tiles yet" in app.info[0].value
    assert not app.button


def test_it_shows_what_is_labelled_before_the_start(workspace):
    table = open_page().dataframe[0].value
    assert list(table["class"]) == ["urban", "agriculture", "rangeland", "forest", "water", "barren"]
    assert table["instances"].sum() > 0
    assert table["labelled pixels"].sum() > 0


def test_start_queues_the_command_line_that_anybody_could_type(workspace):
    app = open_page()
    start_button(app).click().run()
    assert not app.exception
    (job,) = queue.jobs(workspace)
    assert job.kind == "fit"
    assert job.arguments[0] == "fit"
    named = dict(zip(job.arguments[1::2], job.arguments[2::2], strict=True))
    assert named["--out"] == str(workspace.runs / "head-1")
    assert named["--device"] == job.device
    training = {a for a in job.arguments if a.startswith("train_tiles=")}
    validation = {a for a in job.arguments if a.startswith("validation_tiles=")}
    assert len(training) == len(validation) == 1
    names = [set(next(iter(v)).partition("=")[2].split(",")) for v in (training, validation)]
    assert names[0].isdisjoint(names[1]), "a tile must never both train and judge"


def test_a_name_that_is_taken_or_not_a_name_cannot_start(workspace):
    add_run(workspace, "taken")
    app = open_page()
    field = next(one for one in app.text_input if one.label == "Name of the run")
    for name, words in (("taken", "already"), ("../up", "letters"), ("", "letters")):
        field.set_value(name).run()
        assert words in app.warning[0].value
        assert start_button(app).disabled


def test_a_run_that_waits_in_the_queue_holds_its_name_and_the_next_one_is_proposed(workspace):
    app = open_page()
    start_button(app).click().run()
    field = next(one for one in app.text_input if one.label == "Name of the run")
    assert field.value == "head-2"
    assert not start_button(app).disabled
    field.set_value("head-1").run()
    assert start_button(app).disabled
    assert "already" in app.warning[0].value


def test_without_painted_labels_it_leads_to_the_label_page(workspace):
    app = open_page()
    app.radio[0].set_value("painted").run()
    assert not app.exception
    assert any("not painted" in note.value for note in app.info)
    assert all(button.label != "Start training" for button in app.button)


def test_one_class_alone_cannot_be_trained_on(workspace):
    tile = tiles(workspace, collections(workspace)[0].id)[0]
    painted = raster.empty(tile).copy()
    painted[:30] = 3
    raster.save(raster.mask_path(workspace, tile), painted, "test")
    app = open_page()
    assert app.radio[0].value == "painted"
    assert "at least two classes" in app.warning[0].value
    assert start_button(app).disabled


def test_finished_runs_are_listed(workspace):
    add_run(workspace, "first")
    app = open_page()
    assert "first" in set(app.dataframe[-1].value["run"])


def test_changed_settings_go_into_the_command_line_that_is_shown(workspace):
    app = AppTest.from_string(AROUND, default_timeout=30)
    app.session_state["recipe_group_Head"] = True
    app.run()
    next(one for one in app.number_input if one.key == "recipe_0_l2").set_value(0.5).run()
    assert not app.exception
    shown = app.code[0].value
    start_button(app).click().run()
    (job,) = queue.jobs(workspace)
    assert "l2=0.5" in job.arguments
    assert "name=head-changed" in job.arguments
    assert shown == shlex.join(["python", "-m", "core", *job.arguments])


def test_a_class_with_one_instance_is_warned_of_before_the_start(workspace):
    tile = tiles(workspace, collections(workspace)[0].id)[0]
    painted = raster.empty(tile).copy()
    painted[:30, :30], painted[:30, 31:60], painted[40:60, :20] = 3, 1, 3
    raster.save(raster.mask_path(workspace, tile), painted, "test")
    app = open_page()
    assert any("Only one instance of agriculture is labelled" in text.value for text in app.markdown)
    assert not start_button(app).disabled


def test_a_forecast_is_measured_by_the_same_settings_and_shown(workspace, monkeypatch):
    asked = []
    monkeypatch.setattr(forecast_process, "start", lambda _workspace, _key, arguments: asked.append(list(arguments)))
    app = open_page()
    next(button for button in app.button if button.label == "Measure").click().run()
    (arguments,) = asked
    start_button(app).click().run()
    (job,) = queue.jobs(workspace)
    out = job.arguments.index("--out")
    assert arguments == ["forecast", *job.arguments[1:out], *job.arguments[out + 2 :]]


def test_a_forecast_that_was_measured_is_shown_with_its_bounds(workspace, monkeypatch):
    told = Forecast(
        classes={},
        warnings=["Only one instance of water is labelled."],
        frozen_parameters=4_357_952,
        trained_parameters=13_590,
        seconds=130,
        reading_seconds=30,
        memory_bytes=2**30,
        device_memory_bytes=None,
        tiles=4,
        uncached_tiles=1,
        cacheable=True,
        at_most=True,
        device="cpu",
        how="Measured just now on this machine.",
    )
    monkeypatch.setattr(forecast_process, "look", lambda *_: forecast_process.ForecastState("done", forecast=told))
    texts = [text.value for text in open_page().markdown]
    for words in ("at most 2 min", "1.0 GiB", "13,590", "one instance of water"):
        assert any(words in text for text in texts), words


@pytest.mark.parametrize(("preset", "pictures"), [("head", 1), ("decoder", 8)])
def test_what_training_will_see_is_shown_where_somebody_looks(workspace, preset, pictures):
    app = AppTest.from_string(AROUND, default_timeout=30)
    app.session_state["preview_box"] = True
    app.session_state["recipe_preset"] = preset
    app.run()
    assert not app.exception
    assert not app.error
    assert len(app.get("image")) == pictures


def test_a_run_that_keeps_to_a_named_split_is_recorded_under_it_and_a_leak_is_warned_of(workspace):
    first, second = tiles(workspace, collections(workspace)[0].id)[:2]
    places = {first.name: Place("train"), second.name: Place("val")}
    made = keep(workspace, first.collection_id, NewSplit("mine", "by hand", places), followed=True)
    related = [RelatedPair(first.id, second.id, "neighbours", 0.9, "right")]
    keep_pairs(workspace, first.collection_id, images={t.id: t.fingerprint for t in (first, second)}, pairs=related)
    app = open_page()
    assert any("Split 'mine'" in note.value for note in app.caption)
    assert any("some belong together: 1 pair of neighbours" in note.value for note in app.warning)
    start_button(app).click().run()
    (job,) = queue.jobs(workspace)
    record = parse_record(job.arguments[job.arguments.index(RECORD_OPTION) + 1])
    assert record.name == "mine"
    assert users(workspace, made.id) == ["head-1"]


def test_tiles_that_do_not_keep_to_the_split_are_said_to(workspace):
    first, second = tiles(workspace, collections(workspace)[0].id)[:2]
    places = {first.name: Place("train"), second.name: Place("val")}
    keep(workspace, first.collection_id, NewSplit("mine", "by hand", places), followed=True)
    app = open_page()
    next(one for one in app.multiselect if one.label == "Training tiles").set_value([second.name]).run()
    assert any("not count as trained under it" in note.value for note in app.caption)
    start_button(app).click().run()
    (job,) = queue.jobs(workspace)
    assert RECORD_OPTION not in job.arguments
