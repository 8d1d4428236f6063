from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from core.catalog.catalogue import index_folder, tiles
from core.catalog.geography.display import OWN_DISPLAY_FROM, Display, GeoPictures
from core.catalog.images import count_bands, read_image
from core.catalog.tile_pictures import TilePictures
from core.errors import InputError
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import open_workspace
from tests.core.catalog.geography.geo_pictures import smooth, write_geotiff

UTM = Affine(2, 0, 500_000, 0, -2, 5_000_000)
FOUR = np.concatenate([smooth(120, 90), smooth(120, 90)[:1] // 2])


def _opened(folder: Path, pixels: np.ndarray, nodata: float | None = None) -> tuple[GeoPictures, Tile]:
    write_geotiff(folder / "data/a.tif", "EPSG:32633", UTM, pixels=pixels, nodata=nodata)
    workspace = open_workspace(folder / "ws")
    report = index_folder(workspace, folder / "data", SilentProgress())
    (tile,) = tiles(workspace, report.collection_id)
    return GeoPictures(workspace, TilePictures(workspace)), tile


@pytest.mark.parametrize(
    "display", [Display(), Display((4, 1, 2)), Display(None, (0.5, 99.5)), Display((1, 1, 1), (2, 98))]
)
def test_a_display_goes_through_an_address_and_back(display: Display) -> None:
    assert Display.from_query(display.to_query()) == display


@pytest.mark.parametrize(
    "query",
    [
        {"bands": "1,2"},
        {"bands": "0,1,2"},
        {"bands": "1,2,999"},
        {"stretch": "98-2"},
        {"stretch": "1-200"},
        {"stretch": "x"},
    ],
)
def test_another_display_is_refused_in_one_sentence(query: dict[str, str]) -> None:
    with pytest.raises(InputError, match="not '"):
        Display.from_query(query)


def test_bands_are_shown_as_they_are_chosen(tmp_path: Path) -> None:
    pictures, tile = _opened(tmp_path, FOUR)
    assert count_bands(Path(tile.image_path)) == 4
    level = pictures.levels(tile, Display((4, 1, 2)), OWN_DISPLAY_FROM + 1)[0]
    assert (level[..., :3] == np.moveaxis(FOUR[[3, 0, 1]], 0, -1)).all()
    assert (pictures.levels(tile, Display(), 1000)[0][..., :3] == np.moveaxis(FOUR[:3], 0, -1)).all()


def test_the_stretch_of_8_bit_bands_is_by_percentiles_when_it_is_asked_for(tmp_path: Path) -> None:
    dark = (smooth(120, 90) // 4).astype(np.uint8)
    pictures, tile = _opened(tmp_path, dark)
    level = pictures.levels(tile, Display(None, (0, 100)), 1000)[0]
    assert (level[..., :3].min(), level[..., :3].max()) == (0, 255)


def test_16_bit_bands_are_stretched_anyway(tmp_path: Path) -> None:
    pictures, tile = _opened(tmp_path, smooth(120, 90).astype(np.uint16) * 200 + 1000)
    assert np.ptp(pictures.levels(tile, Display(), 1000)[0]) == 255


def test_a_tile_without_the_bands_shows_nothing_and_hides_nothing(tmp_path: Path) -> None:
    pictures, tile = _opened(tmp_path, FOUR)
    assert not any(level.any() for level in pictures.levels(tile, Display((5, 1, 2)), 1000))
    with pytest.raises(InputError, match="has 4 bands, not 5"):
        read_image(Path(tile.image_path), bands=(5, 1, 2))


@pytest.mark.parametrize("longest", [100, 1000], ids=["thumbnail", "whole"])
def test_what_has_no_data_is_seen_through_and_mixes_with_nothing(tmp_path: Path, longest: int) -> None:
    bright = np.full((3, 90, 120), 200, np.uint8)
    bright[:, :, 60:] = 0
    pictures, tile = _opened(tmp_path, bright, nodata=0)
    for level in pictures.levels(tile, Display(), longest)[:3]:
        middle = level.shape[1] // 2
        assert level.shape[2] == 4
        assert (level[:, : middle - 4, 3] == 255).all()
        assert (level[:, middle + 4 :] == 0).all()


def test_below_the_size_from_which_own_bands_show_nothing_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, tile = _opened(tmp_path, FOUR)
    monkeypatch.setattr("core.catalog.geography.display.read_image", lambda *_, **__: pytest.fail("was decoded"))
    grey = pictures.levels(tile, Display((4, 1, 2)), OWN_DISPLAY_FROM)[0]
    assert (grey == pictures.specks([tile.fingerprint], Display((4, 1, 2)), lambda _: {})[0]).all()


def test_specks_are_read_once_and_grey_for_what_is_not_found(tmp_path: Path) -> None:
    pictures, tile = _opened(tmp_path, FOUR)
    asked = []

    def find(numbers: list[int]) -> dict[int, Tile]:
        asked.append(numbers)
        return {0: tile}

    first = pictures.specks([tile.fingerprint, "gone"], Display(), find)
    again = pictures.specks([tile.fingerprint], Display(), find)
    assert asked == [[0, 1]]
    assert np.abs(first[0].mean(axis=(0, 1)) - read_image(Path(tile.image_path)).mean(axis=(0, 1))).max() < 4
    assert (again[0] == first[0]).all()
    assert np.ptp(first[1], axis=(0, 1)).max() == 0
