import numpy as np
import pytest

from core.errors import InputError
from core.labels.formats import polygons
from core.labels.formats.polygons import Polygon, paint, trace
from core.labels.rasterising import rasterise_rings
from tests.core.labels.formats.rasters import blocks_and_specks


def painted(*given: Polygon, shape=(40, 60)):
    raster = np.full(shape, 255, np.uint8)
    missed = paint(raster, given)
    return raster, missed


def test_polygons_cover_the_same_pixels_as_strokes():
    generator = np.random.default_rng(0)
    for _ in range(20):
        rings = tuple(generator.uniform(-5, (65, 45), (generator.integers(3, 9), 2)).round(1) for _ in range(2))
        raster, _ = painted(Polygon(2, rings))
        box, mask = rasterise_rings([ring.tolist() for ring in rings], raster.shape)
        expected = np.full(raster.shape, 255, np.uint8)
        expected[box.slices][mask] = 2
        np.testing.assert_array_equal(raster, expected)


def test_a_later_polygon_lies_over_an_earlier_one_however_many_there_are(monkeypatch):
    monkeypatch.setattr(polygons, "_CHUNK", 50)
    given = [Polygon(n % 6, (np.array([(n, 0), (n + 20, 0), (n + 20, 30), (n, 30)], float),)) for n in range(40)]
    raster, _ = painted(*given)
    assert raster[5].tolist() == [min(column, 39) % 6 for column in range(59)] + [255]


def test_it_counts_the_polygons_that_cover_no_pixel():
    triangle = np.array([(1, 1), (9, 1), (1, 9)], float)
    assert painted(Polygon(0, (triangle,)), Polygon(0, (triangle + 100,)), Polygon(0, (triangle * 0.01,)))[1] == 2


def test_tracing_follows_holes_islands_and_touching_corners():
    raster = blocks_and_specks(1)
    again = np.full(raster.shape, 255, np.uint8)
    paint(again, trace(raster))
    np.testing.assert_array_equal(again, raster)


def test_endless_work_is_refused():
    zigzag = np.array([(x, 0 if x % 2 else 100_000) for x in range(2000)], float)
    with pytest.raises(InputError, match="too many long edges"):
        painted(Polygon(0, (zigzag,)), shape=(100_000, 4))
