"""Round trips of real masks: a DeepGlobe one, a fine-grained one, a foreign speckled one, and georeferenced ones."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from core.catalog.images import read_info, read_mask
from core.classes import UNLABELLED
from core.labels import exporting
from core.labels.formats.grid import Grid
from core.labels.formats.placed import Format
from core.labels.formats.recognise import read_file
from tests.core.labels.formats.rasters import read_back
from tests.core.labels.formats.test_round_trips import NAMES

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.exists(), reason=f"the real tiles are absent: {DATA}"),
]

MASKS = ["deepglobe/land-train/855_mask.png", "open/dubai-2448/700_mask.png", "fcn-predictions/266_pred.png"]
GEOREFERENCED = ["m_3907833_nw_17_1_lc.tif", "NAIP-VA-rgb.tif", "m_4709963_se_14_1_20200831.tif"]


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("mask", MASKS)
def test_a_real_mask_keeps_every_pixel(mask, kind, tmp_path):
    info = read_info(DATA / mask)
    raster = read_mask(DATA / mask, (info.height, info.width)).raster
    grid = Grid("t0", "t0_sat.jpg", info.width, info.height)
    laid = read_back(tmp_path, NAMES[kind], exporting.encode(kind, raster, grid), grid)
    np.testing.assert_array_equal(laid.raster, raster)


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("name", GEOREFERENCED)
def test_labels_on_a_real_georeferenced_tile_keep_every_pixel(name, kind, tmp_path):
    with rasterio.open(DATA / "open" / "naip-georeferenced" / name) as source:
        grid = Grid("t0", name, source.width, source.height, source.crs, source.transform)
        band = source.read(1)
    raster = (band // 40).astype(np.uint8)  # real edges, and more of them than any labels have
    raster[raster == 6] = UNLABELLED
    laid = read_back(tmp_path, NAMES[kind], exporting.encode(kind, raster, grid), grid)
    np.testing.assert_array_equal(laid.raster, raster)


def test_an_exported_deepglobe_mask_has_the_colours_of_the_original_byte_for_byte(tmp_path):
    original = DATA / MASKS[0]
    raster = read_mask(original, (2448, 2448)).raster
    path = tmp_path / "855_mask.png"
    path.write_bytes(exporting.encode(Format.DEEPGLOBE, raster, Grid("855", "855_sat.jpg", 2448, 2448)))
    with Image.open(original) as ours, Image.open(path) as theirs:
        assert ours.mode == theirs.mode == "RGB"
        assert ours.tobytes() == theirs.tobytes()


def test_a_foreign_land_cover_map_is_asked_for_and_then_laid(tmp_path):
    path = DATA / "open" / "naip-georeferenced" / "m_3907833_nw_17_1_nlcd.tif"
    reading = read_file(path)
    assert "holds the values 11, 21, 22, 23" in reading.question
    with rasterio.open(path) as source:
        grid = Grid("t0", path.name, source.width, source.height, source.crs, source.transform)
        water = source.read(1) == 11
    meanings = dict.fromkeys(reading.keys, UNLABELLED) | {"11": 4}
    np.testing.assert_array_equal(reading.content.place(grid, meanings, (0, 0)).raster == 4, water)
