"""Where the cells of a tile lie.

A tile is brought to the recipe's ground resolution (the *working size*) and parted into square cells of 8 or more
working pixels, from the top left; the last row and column of cells may stick out over the edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CELL = 8
"""The side of the smallest cells in working pixels, and of all where nothing else is said."""
LARGEST_CELL = 32
"""The side of the largest cells: the coarsest stride of the usual encoders."""


@dataclass(frozen=True, slots=True)
class CellGrid:
    """The geometry of one tile: its own size, its working size and its number of cells, all (rows, columns).

    ``metres_per_pixel`` of the tile is (y, x), None where nobody needs to know. ``cell`` is the side of a cell in
    working pixels: the stride that all encoder stages are brought to.
    """

    size: tuple[int, int]
    working: tuple[int, int]
    metres_per_pixel: tuple[float, float] | None = None
    cell: int = CELL

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return -(-self.working[0] // self.cell), -(-self.working[1] // self.cell)

    def cell_of_pixel(self, axis: int) -> NDArray[np.int64]:
        """For each pixel row (axis 0) or column (axis 1) of the tile, the cell row or column that it lies in."""
        pixel = np.arange(self.size[axis]) + 0.5
        return (pixel * (self.working[axis] / self.size[axis]) / self.cell).astype(np.int64)

    def interpolation(self, axis: int) -> NDArray[np.float32]:
        """Linear interpolation from cell centres to pixel centres along one axis.

        Returns ``(pixels, cells)`` float32 with at most two weights a row that sum to 1. Pixels beyond the first
        or last cell centre take that cell's value.
        """
        pixels, cells = self.size[axis], self.cells[axis]
        place = (np.arange(pixels) + 0.5) * (self.working[axis] / pixels) / self.cell - 0.5
        place = np.clip(place, 0, cells - 1)
        lower = np.minimum(place.astype(np.int64), max(cells - 2, 0))
        share = (place - lower).astype(np.float32)
        matrix = np.zeros((pixels, cells), np.float32)
        matrix[np.arange(pixels), lower] = 1 - share
        if cells > 1:
            matrix[np.arange(pixels), lower + 1] = share
        return matrix


def cell_grid(
    size: tuple[int, int],
    *,
    metres_per_pixel: tuple[float, float],
    resolution_m: float,
    cell_m: float | None = None,
) -> CellGrid:
    """The grid of a tile of ``size`` (height, width) pixels; ``metres_per_pixel`` is (y, x).

    A tile that is coarser than ``resolution_m`` is not enlarged: nothing would be gained. Cells are of 8 x 8 working
    pixels, or with ``cell_m`` of 8, 16 or 32, whichever comes nearest to that many metres on the ground, so that cells
    and the windows that are counted in them mean the same at every resolution.
    """
    height, width = (
        max(1, min(length, round(length * metres / resolution_m)))
        for length, metres in zip(size, metres_per_pixel, strict=True)
    )
    working_m = min(size[0] * metres_per_pixel[0] / height, size[1] * metres_per_pixel[1] / width)
    return CellGrid(size, (height, width), metres_per_pixel, CELL if cell_m is None else _side(cell_m / working_m))


def _side(pixels: float) -> int:
    """The power of two nearest to a number of pixels, by ratio, of those that a cell can be."""
    return int(np.clip(2 ** round(np.log2(pixels)), CELL, LARGEST_CELL))
