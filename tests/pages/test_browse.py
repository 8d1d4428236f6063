from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import index_folder, tiles
from core.progress import SilentProgress
from core.workspace import WORKSPACE_VARIABLE, Workspace, open_workspace
from tests.core.catalog.pictures import write_pair, write_picture

PAGES = Path(__file__).parents[2] / "pages"
AROUND = f"""
import streamlit as st
from pathlib import Path
pages = Path({str(PAGES)!r})
st.navigation([st.Page(pages / "browse.py", default=True), *(
    st.Page(pages / f"{{name}}.py", url_path=name) for name in ("start", "label", "train")
)]).run()
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    return open_workspace()


@pytest.fixture
def filled(workspace: Workspace, tmp_path: Path) -> Workspace:
    for name in ("119", "2774", "5"):
        write_pair(tmp_path / "land", name)
    write_picture(tmp_path / "land" / "bare_sat.jpg")
    (tmp_path / "land" / "broken_sat.jpg").write_bytes(b"")
    index_folder(workspace, tmp_path / "land", SilentProgress())
    return workspace


def _page(**query: str) -> AppTest:
    test = AppTest.from_string(AROUND, default_timeout=30)
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    return test


def _texts(test: AppTest) -> str:
    return "\n".join(str(part.value) for part in (*test.markdown, *test.caption, *test.subheader, *test.warning))


def test_an_empty_workspace_points_to_start(workspace: Workspace) -> None:
    test = _page()
    assert "No tiles yet" in test.info[0].value
    assert test.get("page_link")[0].proto.label == "Go to Start"


def test_the_collection_is_summed_up_while_no_tile_is_open(filled: Workspace) -> None:
    text = _texts(_page())
    assert "All 4 tiles" in text
    assert "**3** came with a mask" in text
    assert "**0** kept for the test" in text


def test_filters_in_the_address_are_applied(filled: Workspace) -> None:
    assert "1 of 4 tiles" in _texts(_page(labels="no labels yet"))
    both = _page(split="val", labels="mask given")
    expected = len(tiles(filled, 1, split="val", with_mask=True))
    assert f"{expected} of 4 tiles" in _texts(both)


def test_a_filter_that_nothing_passes_says_so(filled: Workspace) -> None:
    test = _page(view="Gallery", labels="labelled here")
    assert "No tile passes these filters" in test.info[0].value


def test_the_tile_in_the_address_is_opened_with_its_facts(filled: Workspace) -> None:
    row = next(tile for tile in tiles(filled, 1) if tile.name == "119")
    test = _page(tile=str(row.id))
    text = _texts(test)
    assert "Tile 119" in text
    assert "64 x 48 pixels" in text
    assert "train, in GLNet's list" in text
    assert "Label this tile" in [button.label for button in test.button]


@pytest.mark.parametrize("tile", ["9999", "abc", "-1", "99999999999999999999999"])
def test_an_address_with_no_such_tile_still_shows_the_page(filled: Workspace, tile: str) -> None:
    assert "All 4 tiles" in _texts(_page(tile=tile))


def test_a_link_to_a_tile_opens_its_collection(filled: Workspace, tmp_path: Path) -> None:
    write_pair(tmp_path / "other", "77")
    index_folder(filled, tmp_path / "other", SilentProgress())
    row = next(tile for tile in tiles(filled, 1) if tile.name == "5")
    test = _page(tile=str(row.id))
    assert test.selectbox[0].value == "land"
    assert "Tile 5" in _texts(test)


def test_what_was_wrong_is_listed(filled: Workspace) -> None:
    test = _page()
    assert test.expander[0].label == "1 things to know about these files"
    assert "0 bytes" in test.table[0].value.to_string()


def test_the_sample_is_called_synthetic(workspace: Workspace) -> None:
    write_pair(workspace.sample, "1")
    index_folder(workspace, workspace.sample, SilentProgress())
    assert "synthetic sample" in _texts(_page())
