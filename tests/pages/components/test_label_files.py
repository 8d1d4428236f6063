"""The panel of files on the Label page; what it calls is tested in core."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.classes import UNLABELLED
from core.labels import journal
from core.labels.formats import deepglobe, index_png
from core.workspace import WORKSPACE_VARIABLE
from tests.core.labels.painting import brush, is_on_disk, new_workspace


def panel():
    from core.catalog.catalogue import tile
    from core.workspace import open_workspace
    from pages.components.label_files import label_files

    label_files(open_workspace(), tile(open_workspace(), 1))


@pytest.fixture
def opened(tmp_path, monkeypatch):
    workspace, tiles = new_workspace(tmp_path / "workspace", tiles=2)
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    return workspace, tiles


@pytest.fixture
def app(opened):
    found = AppTest.from_function(panel, default_timeout=30).run()
    assert not found.exception
    return found


OURS = np.full((40, 60), UNLABELLED, np.uint8)
OURS[:20] = 3


def upload(app, name, content):
    app.file_uploader[0].upload(name, content, "application/octet-stream").run()
    assert not app.exception
    return app


def button(app, label):
    [found] = [each for each in app.button if each.label == label]
    return found


def test_a_mask_is_recognised_previewed_and_imported(opened, app):
    workspace, tiles = opened
    upload(app, "t0_mask.png", deepglobe.encode(OURS))
    said = [each.value for each in app.markdown]
    assert any("DeepGlobe mask (RGB)" in text for text in said)
    assert "Labels **1,200** pixels (forest 100%)." in said
    button(app, "Import into tile t0").click().run()
    assert is_on_disk(workspace, tiles[0], OURS)


def test_a_bad_file_is_refused_with_its_sentence(app):
    upload(app, "t0.geojson", b'{"type": "Feat')
    [error] = app.error
    assert "is not valid JSON" in error.value
    assert not [each for each in app.button if each.label.startswith("Import")]


def test_values_of_unsettled_meaning_are_asked_for(app):
    upload(app, "t0.png", index_png.encode(np.full((40, 60), 42, np.uint8)))
    assert "holds the values 42, which are not 0 to 5 and 255" in app.warning[0].value
    assert not [each for each in app.button if each.label.startswith("Import")]


def test_a_file_that_is_named_like_another_tile_is_pointed_out(app):
    upload(app, "t1_mask.png", deepglobe.encode(OURS))
    assert "is named like tile t1, and this is t0" in app.warning[0].value.replace("\\", "")


def test_a_suggestion_leaves_the_labels_alone(opened, app):
    workspace, tiles = opened
    upload(app, "foreign.png", deepglobe.encode(OURS))
    app.radio(key="label_files_as").set_value("suggestion").run()
    button(app, "Show as suggestion").click().run()
    assert journal.state(workspace, tiles[0].id).sequence == 0
    assert not app.error


def test_without_labels_there_is_nothing_to_pack(opened, app):
    workspace, tiles = opened
    app.radio(key="label_files_which").set_value("all labelled tiles").run()
    assert button(app, "Pack a zip").disabled
    journal.apply(workspace, tiles[1].id, brush([(30, 20)]))
    assert not button(app.run(), "Pack a zip").disabled
