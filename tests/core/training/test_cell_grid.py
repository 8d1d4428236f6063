import numpy as np
import pytest

from core.training.cell_grid import cell_grid


def test_a_deepglobe_tile_at_one_metre_has_153_cells_a_side():
    grid = cell_grid((2448, 2448), metres_per_pixel=(0.5, 0.5), resolution_m=1.0)
    assert (grid.working, grid.cells) == ((1224, 1224), (153, 153))


def test_rows_and_columns_scale_by_their_own_ground_resolution():
    grid = cell_grid((400, 400), metres_per_pixel=(0.5, 0.25), resolution_m=1.0)
    assert grid.working == (200, 100)


def test_a_coarse_tile_is_never_enlarged():
    assert cell_grid((300, 200), metres_per_pixel=(5, 5), resolution_m=1.0).working == (300, 200)


def test_even_a_single_pixel_has_a_cell():
    assert cell_grid((1, 1), metres_per_pixel=(0.1, 0.1), resolution_m=1.0).cells == (1, 1)


@pytest.mark.parametrize("size", [(2448, 2448), (250, 131), (1, 5)])
def test_each_pixel_lies_in_one_of_the_cells(size):
    grid = cell_grid(size, metres_per_pixel=(0.5, 0.5), resolution_m=1.0)
    for axis in (0, 1):
        cells = grid.cell_of_pixel(axis)
        assert cells.min() == 0
        assert cells.max() == grid.cells[axis] - 1
        assert (np.diff(cells) >= 0).all()


def test_interpolation_of_the_cell_centres_gives_the_pixel_centres():
    grid = cell_grid((256, 256), metres_per_pixel=(0.5, 0.5), resolution_m=1.0)
    centres = (np.arange(grid.cells[0]) + 0.5) * 16  # in pixels of the tile
    pixels = grid.interpolation(0) @ centres.astype(np.float32)
    inside = np.s_[8:-8]
    assert np.allclose(pixels[inside], (np.arange(256) + 0.5)[inside], atol=1e-3)
    assert np.allclose(grid.interpolation(0).sum(axis=1), 1)


def test_pixels_beyond_the_last_cell_centre_take_its_value():
    matrix = cell_grid((32, 32), metres_per_pixel=(0.5, 0.5), resolution_m=1.0).interpolation(1)
    assert matrix[0].tolist() == [1, 0]
    assert matrix[-1].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("resolution_m", "cell"),
    [(0.5, 16), (1.0, 8), (2.0, 8), (0.6, 16), (0.1, 32)],
    ids=["as it is", "halved", "cells are no smaller than 8 pixels", "nearest by ratio", "nor larger than 32"],
)
def test_a_cell_of_so_many_metres_is_the_power_of_two_that_comes_nearest(resolution_m, cell):
    grid = cell_grid((2448, 2448), metres_per_pixel=(0.1, 0.1), resolution_m=resolution_m, cell_m=8.0)
    assert grid.cell == cell
    assert grid.cells == tuple(-(-side // cell) for side in grid.working)


def test_cells_of_a_tile_that_is_coarser_than_the_recipe_asks_still_measure_as_much():
    grid = cell_grid((256, 256), metres_per_pixel=(1.0, 1.0), resolution_m=0.5, cell_m=8.0)
    assert (grid.working, grid.cell, grid.cells) == ((256, 256), 8, (32, 32))


def test_pixels_find_their_cells_and_weights_at_any_size_of_cell():
    grid = cell_grid((96, 64), metres_per_pixel=(0.5, 0.5), resolution_m=0.5, cell_m=8.0)
    assert np.array_equal(grid.cell_of_pixel(0), np.arange(96) // 16)
    weights = grid.interpolation(1)
    assert weights.shape == (64, 4)
    assert weights[8:24].argmax(axis=1).tolist() == [0] * 8 + [1] * 8
