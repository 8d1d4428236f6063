"""The bilateral kernel exp(-|place|^2 / 2 s^2 - |colour|^2 / 2 c^2) of one image, in time that grows with its pixels.

A grid over (row, column, red, green, blue) of which only the occupied cells exist, as the simplified grid of Barron &
Poole (2016), "The fast bilateral solver". Pixels are *splatted* onto it, the grid is *blurred* by [1 2 1] / 4 along its
five axes, and *sliced* at the pixels. Colour goes to the nearest cell; place is shared bilinearly among four, since the
cells are tens of pixels wide and would show as blocks.

Splat, blur and slice together widen a point: by 1/2 (blur) + 1/6 (nearest, twice) cells squared along a colour axis, by
1/2 + 1/3 (bilinear, twice) along a place axis. The cell sizes make that the variance asked for. Missing cells make the
product of the five blurs depend on their order, so it is averaged with the reverse order, which keeps the kernel
symmetric.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from core.inference import crf_kernels
from core.inference.row_threads import in_row_bands, in_row_ranges

Planes = NDArray[np.float32]
"""``(height, width, classes)`` float32: class last, so that one pixel's classes lie side by side in memory."""

# Cells are numbered by five fields of one 64-bit word, each with room for a neighbour on both sides.
_FIELD_BITS = (14, 14, 10, 10, 10)
_FIELD_SHIFTS = tuple(int(sum(_FIELD_BITS[axis + 1 :])) for axis in range(5))
_CORNER_STEPS = np.array(
    [0, 1 << _FIELD_SHIFTS[1], 1 << _FIELD_SHIFTS[0], (1 << _FIELD_SHIFTS[0]) + (1 << _FIELD_SHIFTS[1])]
)
_PLACE_VARIANCE = 1 / 2 + 1 / 3
_COLOUR_VARIANCE = 1 / 2 + 1 / 6


class BilateralGrid:
    """The grid of one image (height, width, 3) uint8 RGB, with the kernel's symmetric normalisation.

    ``normaliser`` is (height, width) float32: D^-1/2 with D the kernel's sums over all pixels. Deviations are at least
    one pixel and one grey level.
    """

    def __init__(
        self, image: NDArray[np.uint8], *, deviation_pixels: tuple[float, float], deviation_grey_levels: float
    ) -> None:
        rows, row_share = _place(image.shape[0], deviation_pixels[0])
        columns, column_share = _place(image.shape[1], deviation_pixels[1])
        cells = _cells(image, rows, columns, deviation_grey_levels)
        used = _distinct(cells)
        corners = used[:, None] + _CORNER_STEPS
        occupied = _distinct(corners)
        numbers = np.empty(image.shape[:2], np.int32)
        in_row_ranges(crf_kernels.number_cells, (cells, used, numbers), image.shape[0])
        corner_numbers = np.searchsorted(occupied, corners).astype(np.int32)
        self._sharing = crf_kernels.Sharing(numbers, corner_numbers, row_share, column_share)
        # Rows of pixels between the same two rows of cells write to those two alone: every second band at once.
        self._bands = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), image.shape[0]]
        self._cells = occupied.size
        self._blurs = [_blur_matrix(occupied, axis) for axis in range(5)]
        ones = np.ones((*image.shape[:2], 1), np.float32)
        degree = np.zeros_like(ones)
        self.add_filtered(ones, ones[..., 0], degree, ones[..., 0])
        self.normaliser = np.reciprocal(np.sqrt(degree[..., 0]))  # never of zero: a pixel always hears itself

    def add_filtered(
        self, planes: Planes, before: NDArray[np.float32], target: Planes, after: NDArray[np.float32]
    ) -> None:
        """Add ``after`` * kernel(``before`` * ``planes``) to ``target``; the factors are (height, width) float32."""
        grid = np.zeros((self._cells, planes.shape[2]), np.float32)
        in_row_bands(crf_kernels.splat, (planes, before, self._sharing, grid), self._bands)
        forward, backward = _through(self._blurs, grid), _through(self._blurs[::-1], grid)
        forward += backward
        forward *= np.float32(0.5)
        in_row_ranges(crf_kernels.add_slice, (forward, after, self._sharing, target), planes.shape[0])


def _through(blurs: Sequence[sparse.csr_matrix], grid: NDArray[np.float32]) -> NDArray[np.float32]:
    for blur in blurs:
        grid = blur @ grid
    return grid


def _cells(
    image: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64], deviation_grey_levels: float
) -> NDArray[np.int64]:
    """The first of the four cells that each pixel is shared among, (height, width)."""
    colour_cell = deviation_grey_levels / np.sqrt(_COLOUR_VARIANCE)
    levels = np.floor(np.arange(256) / colour_cell).astype(np.int64) + 1
    cells = (rows << _FIELD_SHIFTS[0])[:, None] + (columns << _FIELD_SHIFTS[1])[None, :]
    for channel in range(3):
        cells += (levels << _FIELD_SHIFTS[2 + channel])[image[..., channel]]
    return cells


def place_cell(deviation: float) -> float:
    """The side of a cell along an axis of place, for the kernel's deviation there and in its unit."""
    return float(deviation / np.sqrt(_PLACE_VARIANCE))


def _place(length: int, deviation: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Along one axis: the cell below each pixel, from 1, and the share of the next cell."""
    cell = max(place_cell(deviation), length / (2 ** _FIELD_BITS[0] - 4))
    position = np.arange(length) / cell
    below = np.floor(position)
    return below.astype(np.int64) + 1, (position - below).astype(np.float32)


def _distinct(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """As ``np.unique``, by sorting, which is five times faster here than its hash table."""
    ordered = np.sort(cells, axis=None)
    first = np.ones(ordered.size, bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def _blur_matrix(occupied: NDArray[np.int64], axis: int) -> sparse.csr_matrix:
    """[1 2 1] / 4 along one axis between the occupied cells, given as sorted numbers."""
    step = np.int64(1) << _FIELD_SHIFTS[axis]
    neighbour = np.searchsorted(occupied, occupied + step)
    neighbour[neighbour == occupied.size] = 0
    lower = np.flatnonzero(occupied[neighbour] == occupied + step)
    upper = neighbour[lower]
    quarter = np.full(lower.size, 0.25, np.float32)
    shape = (occupied.size, occupied.size)
    upward = sparse.csr_matrix((quarter, (lower, upper)), shape=shape)
    return (sparse.identity(occupied.size, np.float32, "csr") * np.float32(0.5) + upward + upward.T).tocsr()
