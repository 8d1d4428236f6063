import numpy as np
import pytest
from scipy import ndimage

from core.classes import UNLABELLED
from core.errors import InputError
from core.labels import filling


def filled(raster, seed):
    box, mask = filling.region(raster, seed)
    whole = np.zeros(raster.shape, bool)
    whole[box.slices] = mask
    assert mask.any(axis=1)[[0, -1]].all(), "the box is the smallest"
    assert mask.any(axis=0)[[0, -1]].all(), "the box is the smallest"
    return whole


@pytest.mark.parametrize("seed", range(10))
def test_a_fill_takes_the_region_around_the_seed_and_no_pixel_that_touches_at_a_corner_only(seed):
    generator = np.random.default_rng(seed)
    raster = generator.choice([0, 3, UNLABELLED], (30, 50)).astype(np.uint8)
    row, column = int(generator.integers(30)), int(generator.integers(50))
    regions, _ = ndimage.label(raster == raster[row, column], [[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    assert np.array_equal(filled(raster, (column + 0.9, row + 0.1)), regions == regions[row, column])


def test_an_empty_tile_is_filled_whole():
    assert filled(np.full((8, 9), UNLABELLED, np.uint8), (4, 4)).all()


@pytest.mark.parametrize("seed", [(-0.1, 3), (3, 8), (9, 3), (-1e6, 1e6)])
def test_a_seed_outside_the_tile_is_one_sentence(seed):
    with pytest.raises(InputError, match="outside the tile; click on the image"):
        filling.region(np.zeros((8, 9), np.uint8), seed)
