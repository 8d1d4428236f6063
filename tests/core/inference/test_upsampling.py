import numpy as np
import pytest
import torch

from core.inference.predict import upsampled_probabilities
from core.inference.upsampling import class_raster
from core.training.cell_grid import CellGrid, cell_grid

GRIDS = {
    "cells that fit": cell_grid((96, 160), metres_per_pixel=(0.5, 0.5), resolution_m=1),
    "cells that stick out": cell_grid((101, 67), metres_per_pixel=(0.5, 0.7), resolution_m=1),
    "a tile at the working resolution": CellGrid((50, 33), (50, 33)),
    "one cell": CellGrid((7, 5), (7, 5)),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_the_classes_are_those_of_the_greatest_probability(grid):
    logits = np.random.default_rng(0).normal(0, 3, (6, *grid.cells)).astype(np.float32)
    expected = upsampled_probabilities(torch.from_numpy(logits), grid).argmax(axis=0)
    found = class_raster(logits, grid)
    assert (found.shape, found.dtype) == (grid.size, np.uint8)
    assert (found == expected).mean() > 0.999  # a pixel midway between two classes may fall either way


def test_of_equal_classes_the_lower_index_is_taken():
    assert (class_raster(np.zeros((6, 2, 2), np.float32), CellGrid((16, 16), (16, 16))) == 0).all()
