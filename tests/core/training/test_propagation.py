import numpy as np

from core.classes import UNLABELLED
from core.training.cell_grid import cell_grid
from core.training.cells import label_cells
from core.training.propagation import WEIGHT, spread, with_spread

SIZE = 32
GRID = cell_grid((SIZE, SIZE), metres_per_pixel=(1.0, 1.0), resolution_m=1.0)
QUARTERS = np.kron(np.arange(4, dtype=np.uint16).reshape(2, 2), np.ones((8, 8), np.uint16))
"""Four pieces of 16 x 16 pixels at half resolution."""


def labelled(*boxes):
    raster = np.full((SIZE, SIZE), UNLABELLED, np.uint8)
    for rows, columns, value in boxes:
        raster[rows, columns] = value
    return raster


def test_a_label_spreads_to_the_rest_of_its_superpixel_and_no_further():
    raster = labelled((slice(0, 12), slice(0, 12), 3))
    found = spread(raster, QUARTERS)
    assert (found[raster == 3] == UNLABELLED).all()
    assert (found[:16, :16][raster[:16, :16] != 3] == 3).all()
    assert (found[16:] == UNLABELLED).all()
    assert (found[:, 16:] == UNLABELLED).all()


def test_labels_that_disagree_spread_nowhere_and_a_few_stray_pixels_are_outvoted():
    half = labelled((slice(0, 8), slice(0, 16), 3), (slice(8, 12), slice(0, 16), 1))
    assert (spread(half, QUARTERS) == UNLABELLED).all()
    stray = labelled((slice(0, 12), slice(0, 12), 3), (slice(0, 1), slice(0, 10), 1))
    assert (spread(stray, QUARTERS)[12:16, :16] == 3).all()


def test_a_sliver_of_a_label_says_nothing_of_a_superpixel():
    assert (spread(labelled((slice(0, 16), slice(13, 19), 3)), QUARTERS)[:16] == 3).sum() == 0


def test_nothing_labelled_is_nothing_spread_and_odd_sizes_fit():
    assert (spread(labelled(), QUARTERS) == UNLABELLED).all()
    odd = labelled((slice(0, 12), slice(0, 12), 3))[:31, :29]
    assert spread(odd, QUARTERS[:, :15]).shape == (31, 29)


def test_spread_cells_count_for_less_than_a_person_s():
    raster = labelled((slice(0, 8), slice(0, 16), 3))
    own = label_cells(raster, GRID)
    found = with_spread(own, spread(raster, QUARTERS), GRID)
    assert found.classes[:2, :2].tolist() == [[3, 3], [3, 3]]
    assert found.weights[:2, :2].tolist() == [[1, 1], [WEIGHT, WEIGHT]]
    assert (found.classes[2:] == UNLABELLED).all()
    assert (found.counts == own.counts).all()


def test_with_nothing_spread_the_cells_are_as_they_were():
    raster = labelled((slice(0, 5), slice(3, 16), 3), (slice(20, 30), slice(0, 9), 1))
    own = label_cells(raster, GRID)
    found = with_spread(own, labelled(), GRID)
    assert (found.classes == own.classes).all()
    assert np.allclose(found.weights, own.weights)
