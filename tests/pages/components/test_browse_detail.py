from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import index_folder, tiles
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import WORKSPACE_VARIABLE, open_workspace
from tests.core.catalog.pictures import write_pair
from tests.pages.test_browse import AROUND


@pytest.fixture
def tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tile:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    for name in ("1", "2_with_*stars*"):
        write_pair(tmp_path / "land", name)
    index_folder(open_workspace(), tmp_path / "land", SilentProgress())
    return next(tile for tile in tiles(open_workspace(), 1) if tile.name.startswith("2"))


def _page(**query: str) -> AppTest:
    test = AppTest.from_string(AROUND, default_timeout=30)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def _headings(test: AppTest) -> list[str]:
    return [part.value for part in test.subheader]


def test_the_open_tile_is_named_as_it_is_and_can_be_closed(tile: Tile) -> None:
    test = _page(tile=str(tile.id))
    assert "Tile 2\\_with\\_\\*stars\\*" in _headings(test)
    test.button(key="close_tile").click().run()
    assert "land" in _headings(test)
    assert "tile" not in test.query_params


def test_a_file_that_is_gone_is_told_and_the_rest_of_the_panel_stands(tile: Tile) -> None:
    Path(tile.image_path).unlink()
    test = _page(tile=str(tile.id))
    assert "is no longer there" in test.error[0].value
    assert "64 x 48 pixels" in "".join(part.value for part in test.markdown)


def test_tiles_like_this_one_are_asked_for_in_the_gallery(tile: Tile) -> None:
    test = _page(tile=str(tile.id), split="train")
    next(button for button in test.button if button.label == "Tiles like this one").click().run()
    wanted = {"view": "Gallery", "order": "alike", "alike": str(tile.id), "split": "train"}
    assert wanted.items() <= dict(test.query_params).items()


def test_without_a_look_at_the_tiles_the_map_lies_by_name_and_says_what_to_do(tile: Tile) -> None:
    test = _page(layout="likeness")
    assert any("They lie by name" in caption.value for caption in test.caption)
    assert "Look at the tiles" in [button.label for button in test.button]
    assert test.selectbox(key="map_layout").value == "likeness"
