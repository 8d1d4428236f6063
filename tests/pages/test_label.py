"""The page around the canvas; the canvas itself is driven with the mouse in tests/browser."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import collections, index_folder, tiles
from core.labels import journal
from core.progress import SilentProgress
from core.workspace import WORKSPACE_VARIABLE, open_workspace
from tests.core.labels.painting import brush

PAGES = Path(__file__).parents[2] / "pages"

# The page links to its neighbours, so it needs a navigation around it; theirs are not run.
AROUND = f"""
import streamlit as st
from pathlib import Path
pages = Path({str(PAGES)!r})
st.navigation([st.Page(pages / "label.py", default=True), *(
    st.Page(pages / f"{{name}}.py", url_path=name) for name in ("start", "train") if (pages / f"{{name}}.py").exists()
)]).run()
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    return open_workspace()


@pytest.fixture
def three_tiles(workspace, tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    for name in ("1", "2", "10"):
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / f"{name}_sat.jpg")
    index_folder(workspace, folder, SilentProgress(), synthetic=True)
    [home] = collections(workspace)
    return tiles(workspace, home.id)


def run(**query):
    app = AppTest.from_string(AROUND, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def test_without_tiles_the_page_says_where_to_open_a_folder(workspace):
    [message] = run().info
    assert "Open a folder or the sample on the Start page" in message.value


def test_the_first_tile_is_open_and_previous_leads_nowhere(three_tiles):
    app = run()
    assert app.selectbox(key="label_pick").value == three_tiles[0].id
    assert [button.disabled for button in app.button] == [True, False]
    assert any("1 of 3" in caption.value for caption in app.caption)


def test_an_address_opens_its_tile_and_next_goes_on(three_tiles):
    app = run(tile=str(three_tiles[1].id))
    assert app.selectbox(key="label_pick").value == three_tiles[1].id
    app.button[1].click().run()
    assert app.selectbox(key="label_pick").value == three_tiles[2].id
    assert app.query_params["tile"] == str(three_tiles[2].id)
    assert [button.disabled for button in app.button] == [False, True]


def test_choosing_from_the_list_opens_that_tile(three_tiles):
    app = run()
    app.selectbox(key="label_pick").select(three_tiles[2].id).run()
    assert app.query_params["tile"] == str(three_tiles[2].id)


@pytest.mark.parametrize("asked", ["999", "x", "../1", "9" * 40])
def test_an_address_of_no_tile_is_said_and_the_first_tile_opens(three_tiles, asked):
    app = run(tile=asked)
    assert "not in this workspace" in app.warning[0].value
    assert app.selectbox(key="label_pick").value == three_tiles[0].id


def test_the_list_tells_which_tiles_are_labelled_and_the_sample_is_named(workspace, three_tiles):
    journal.apply(workspace, three_tiles[1].id, brush([(20, 20)]))
    app = run()
    assert [("labelled" in option) for option in app.selectbox(key="label_pick").options] == [False, True, False]
    assert any("synthetic sample" in element.value for element in app.markdown)
