from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import index_folder
from core.catalog.images import write_mask
from core.progress import SilentProgress
from core.workspace import WORKSPACE_VARIABLE, Workspace, open_workspace
from tests.core.catalog.geography.geo_pictures import write_geotiff
from tests.core.catalog.pictures import write_picture
from tests.pages.test_browse import AROUND

UTM = Affine(2, 0, 500_000, 0, -2, 5_000_000)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    return open_workspace()


def _page(workspace: Workspace, data: Path, **query: str) -> AppTest:
    index_folder(workspace, data, SilentProgress())
    test = AppTest.from_string(AROUND, default_timeout=30)
    for name, value in {"view": "Geographic", **query}.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception
    return test


def test_where_no_tile_has_a_place_the_page_says_how_to_mend_it(workspace: Workspace, tmp_path: Path) -> None:
    write_picture(tmp_path / "data/1_sat.jpg")
    test = _page(workspace, tmp_path / "data")
    assert any("The only tile of this collection has no coordinates" in info.value for info in test.info)
    assert any("gdal_edit.py -a_srs" in code.value for code in test.code)


def test_tiles_without_a_place_are_counted_and_named(workspace: Workspace, tmp_path: Path) -> None:
    write_geotiff(tmp_path / "data/here.tif", "EPSG:32633", UTM)
    write_geotiff(tmp_path / "data/lost_[1].tif", None, UTM)
    test = _page(workspace, tmp_path / "data")
    assert any("1 tile has no place on this map" in part.label for part in test.expander)
    assert any("lost\\_\\[1\\]" in part.value for part in test.markdown)


def test_a_base_map_is_off_until_it_is_switched_on_and_says_what_that_means(
    workspace: Workspace, tmp_path: Path
) -> None:
    write_geotiff(tmp_path / "data/here.tif", "EPSG:32633", UTM)
    test = _page(workspace, tmp_path / "data")
    (toggle,) = [one for one in test.toggle if one.label == "Online base map"]
    assert toggle.value is False
    toggle.set_value(True).run()
    assert any("OpenStreetMap's server learns" in part.value for part in test.caption)


def test_bands_of_the_address_are_offered_where_a_tile_has_them(workspace: Workspace, tmp_path: Path) -> None:
    write_geotiff(tmp_path / "data/here.tif", "EPSG:32633", UTM)
    test = _page(workspace, tmp_path / "data", geo_bands="3, 2, 1")
    (bands,) = [one for one in test.selectbox if one.label == "Red, green, blue"]
    assert bands.value == "3, 2, 1"
    assert not any("near infrared" in option for option in bands.options)


def test_what_lies_over_the_images_lives_in_the_address(workspace: Workspace, tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "data/here.tif", "EPSG:32633", UTM)
    write_mask(path.with_name("here_mask.png"), np.full((90, 120), 3, np.uint8))
    test = _page(workspace, tmp_path / "data", over="masks")
    (over,) = [one for one in test.selectbox if one.label == "Over the images"]
    assert over.value == "masks"
    assert any("1 of 1 tiles came with a mask" in part.value for part in test.caption)
    over.set_value("").run()
    assert "over" not in test.query_params
    assert not any("came with a mask" in part.value for part in test.caption)
