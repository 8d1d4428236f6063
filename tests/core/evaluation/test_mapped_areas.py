"""Mapped areas of tiles and of polygons across them."""

import numpy as np
import pytest

from core.catalog.maps.mosaic import lay_out
from core.errors import InputError
from core.evaluation.mapped_areas import pixels_inside, total_area, touched
from core.tables import Tile


def tile(number, metres=(0.5, 2.0)):
    across, down = metres
    return Tile(id=number, name=str(number), width=10, height=20, metres_per_pixel_x=across, metres_per_pixel_y=down)


def test_areas_go_by_the_ground_sampling_distance_in_both_directions():
    pixels = {1: np.array([10, 0, 0, 0, 0, 0, 1]), 2: np.array([1, 0, 0, 0, 0, 0, 0])}
    assert total_area(pixels, [tile(1), tile(2, metres=(1, 3))]).tolist() == [13, 0, 0, 0, 0, 0, 1]


def test_a_polygon_across_two_tiles_counts_its_part_of_each():
    mosaic = lay_out([tile(1), tile(2)])
    first, second = mosaic.places
    assert second.left > first.left + 10, "the tiles lie side by side"
    raster = np.zeros((20, 10), np.uint8)
    left, top, right, bottom = first.left + 7, 2, second.left + 3, 6
    ring = [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert [place.tile.id for place in touched(mosaic, ring)] == [1, 2]
    assert pixels_inside(raster, first, ring)[0] == 3 * 4
    assert pixels_inside(raster, second, ring)[0] == 3 * 4


def test_a_polygon_between_tiles_counts_nothing():
    mosaic = lay_out([tile(1), tile(2)])
    ring = [(10.1, 0), (10.6, 0), (10.6, 5)]
    assert touched(mosaic, ring) == []
    assert pixels_inside(np.zeros((20, 10), np.uint8), mosaic.places[0], ring).sum() == 0


@pytest.mark.parametrize("corners", [2, 5001])
def test_what_is_no_polygon_is_refused(corners):
    with pytest.raises(InputError, match="corners"):
        touched(lay_out([tile(1)]), [(0.0, 0.0)] * corners)
