"""Rows of scores brought to pixels: the same as all at once, whatever comes in at a time."""

import numpy as np
import pytest

from core.inference.enlarging import RowEnlarger, most_probable, taps
from core.training.cell_grid import cell_grid


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (120, 77), (7, 300)])
@pytest.mark.parametrize("rows_at_once", [1, 3, 100])
@pytest.mark.parametrize("resolution", [0.5, 1.0, 1.3])
def test_rows_come_out_as_the_grid_interpolates_them(size, rows_at_once, resolution):
    grid = cell_grid(size, metres_per_pixel=(0.5, 0.5), resolution_m=resolution)
    scores = np.random.default_rng(0).random((6, *grid.cells), np.float32)
    found, tops = np.full((6, *size), np.nan, np.float32), []

    def emit(top, rows):
        tops.append(top)
        found[:, top : top + rows.shape[1]] = rows

    down, across = (
        taps(pixels, cells, working / pixels / grid.cell)
        for pixels, cells, working in zip(size, grid.cells, grid.working, strict=True)
    )
    enlarger = RowEnlarger(down, across, emit)
    for top in range(0, grid.cells[0], rows_at_once):
        enlarger.add(scores[:, top : top + rows_at_once])
    expected = grid.interpolation(0) @ scores @ grid.interpolation(1).T
    assert np.allclose(found, expected, atol=1e-5)
    assert tops == sorted(tops)


def test_scores_of_the_pixels_themselves_pass_unchanged():
    scores = np.random.default_rng(0).random((6, 40, 30), np.float32)
    found = np.full_like(scores, np.nan)

    def emit(top, rows):
        found[:, top : top + rows.shape[1]] = rows

    enlarger = RowEnlarger(taps(40, 40, 1), taps(30, 30, 1), emit)
    enlarger.add(scores[:, :11])
    enlarger.add(scores[:, 11:])
    assert np.array_equal(found, scores)


def test_the_most_probable_class_is_the_lower_one_of_two_equal_ones():
    scores = np.zeros((6, 1, 3), np.float32)
    scores[4, 0, 1] = scores[2, 0, 1] = 1
    scores[5, 0, 2] = 2
    assert most_probable(scores).tolist() == [[0, 2, 5]]
