"""What is written in any format is read back pixel for pixel."""

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.labels import exporting
from core.labels.formats.grid import Grid
from core.labels.formats.placed import Format
from tests.core.labels.formats.rasters import IN_DEGREES, ON_THE_GROUND, PLAIN, blocks_and_specks, read_back

NAMES = {
    Format.DEEPGLOBE: "t0_mask.png",
    Format.INDEX: "t0_classes.png",
    Format.GEOTIFF: "t0_classes.tif",
    Format.GEOJSON: "t0.geojson",
    Format.COCO: "t0_annotations.json",
}


@pytest.mark.parametrize("grid", [PLAIN, ON_THE_GROUND, IN_DEGREES], ids=["plain", "rotated", "degrees"])
@pytest.mark.parametrize("kind", list(Format))
def test_a_round_trip_keeps_every_pixel(kind, grid, tmp_path):
    raster = blocks_and_specks()
    laid = read_back(tmp_path, NAMES[kind], exporting.encode(kind, raster, grid), grid)
    np.testing.assert_array_equal(laid.raster, raster)


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (257, 3)])
def test_a_round_trip_keeps_every_pixel_of_tiny_tiles(kind, shape, tmp_path):
    raster = blocks_and_specks(3, shape, block=2)
    raster[0, 0] = 4  # a file of nothing is refused
    grid = Grid("t0", "t0_sat.jpg", shape[1], shape[0])
    laid = read_back(tmp_path, NAMES[kind], exporting.encode(kind, raster, grid), grid)
    np.testing.assert_array_equal(laid.raster, raster)


@pytest.mark.parametrize("kind", list(Format))
def test_a_round_trip_keeps_a_tile_of_one_class(kind, tmp_path):
    raster = np.full(PLAIN.shape, 5, np.uint8)
    raster[100:200, 100:200] = UNLABELLED
    laid = read_back(tmp_path, NAMES[kind], exporting.encode(kind, raster, PLAIN), PLAIN)
    np.testing.assert_array_equal(laid.raster, raster)
