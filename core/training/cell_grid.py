"""Where the cells of a tile lie.

A tile is brought to the recipe's ground resolution (the *working size*) and parted into cells of 8 x 8 working
pixels, from the top left; the last row and column of cells may stick out over the edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CELL = 8
"""The side of a cell in working pixels: the stride that all encoder stages are brought to."""


@dataclass(frozen=True, slots=True)
class CellGrid:
    """The geometry of one tile: its own size, its working size and its number of cells, all (rows, columns).

    ``metres_per_pixel`` of the tile is (y, x), None where nobody needs to know.
    """

    size: tuple[int, int]
    working: tuple[int, int]
    metres_per_pixel: tuple[float, float] | None = None

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return -(-self.working[0] // CELL), -(-self.working[1] // CELL)

    def cell_of_pixel(self, axis: int) -> NDArray[np.int64]:
        """For each pixel row (axis 0) or column (axis 1) of the tile, the cell row or column that it lies in."""
        pixel = np.arange(self.size[axis]) + 0.5
        return (pixel * (self.working[axis] / self.size[axis]) / CELL).astype(np.int64)

    def interpolation(self, axis: int) -> NDArray[np.float32]:
        """Linear interpolation from cell centres to pixel centres along one axis.

        Returns ``(pixels, cells)`` float32 with at most two weights a row that sum to 1. Pixels beyond the first
        or last cell centre take that cell's value.
        """
        pixels, cells = self.size[axis], self.cells[axis]
        place = (np.arange(pixels) + 0.5) * (self.working[axis] / pixels) / CELL - 0.5
        place = np.clip(place, 0, cells - 1)
        lower = np.minimum(place.astype(np.int64), max(cells - 2, 0))
        share = (place - lower).astype(np.float32)
        matrix = np.zeros((pixels, cells), np.float32)
        matrix[np.arange(pixels), lower] = 1 - share
        if cells > 1:
            matrix[np.arange(pixels), lower + 1] = share
        return matrix


def cell_grid(size: tuple[int, int], *, metres_per_pixel: tuple[float, float], resolution_m: float) -> CellGrid:
    """The grid of a tile of ``size`` (height, width) pixels; ``metres_per_pixel`` is (y, x).

    A tile that is coarser than ``resolution_m`` is not enlarged: nothing would be gained.
    """
    height, width = (
        max(1, min(length, round(length * metres / resolution_m)))
        for length, metres in zip(size, metres_per_pixel, strict=True)
    )
    return CellGrid(size, (height, width), metres_per_pixel)
