"""The loops of the CRF over pixels, compiled: numpy would need the whole picture in memory several times over.

Each takes a range of rows, leaves the interpreter's lock, and touches nothing that another range touches, so that
plain threads share the work and the result does not depend on their number. The first call ever compiles them, which
takes seconds; from then on they lie on disk.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Loop = TypeVar("Loop", bound=Callable[..., None])
Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]
Range = tuple[int, int]
"""The first row and the one after the last."""

FLOOR = np.float32(1e-5)
"""Probabilities are cut here: no class is ruled out for good."""


class Sharing(NamedTuple):
    """How pixels share themselves among the cells of a grid.

    ``numbers`` (height, width): which of ``corners`` (n, 4) a pixel's four cells are: upper left, upper right, lower
    left, lower right. ``row_share`` (height,) is what goes to the lower two, ``column_share`` (width,) to the right.
    """

    numbers: Numbers
    corners: Numbers
    row_share: Floats
    column_share: Floats


class Between(NamedTuple):
    """For each of many pixels along an axis the two of few that it lies between, and the share of the ``second``."""

    first: Numbers
    second: Numbers
    share: Floats


def _compiled(loop: Loop) -> Loop:
    """By numba, without the interpreter's lock, kept on disk."""
    made: Any = numba.njit(nogil=True, cache=True, fastmath=True)(loop)
    compiled: Loop = made
    return compiled


@_compiled
def number_cells(cells: NDArray[np.int64], used: NDArray[np.int64], numbers: Numbers, rows: Range) -> None:
    """The places of ``cells`` (height, width) in the sorted ``used``: neighbours are often in the same cell."""
    width = cells.shape[1]
    for y in range(rows[0], rows[1]):
        number = 0
        for x in range(width):
            cell = cells[y, x]
            if used[number] != cell:
                low, high = 0, used.size - 1
                while low < high:
                    middle = (low + high) >> 1
                    if used[middle] < cell:
                        low = middle + 1
                    else:
                        high = middle
                number = low
            numbers[y, x] = number


@_compiled
def splat(planes: Floats, weight: Floats, sharing: Sharing, grid: Floats, rows: Range) -> None:
    """Add ``planes`` (height, width, classes) times ``weight`` to the four cells of each pixel in ``grid``."""
    numbers, corners, row_share, column_share = sharing
    width, classes = planes.shape[1], planes.shape[2]
    one = np.float32(1)
    for y in range(rows[0], rows[1]):
        below, above = row_share[y], one - row_share[y]
        for x in range(width):
            right = column_share[x]
            own = weight[y, x]
            left = own * (one - right)
            right = own * right
            number = numbers[y, x]
            a, b, c, d = corners[number, 0], corners[number, 1], corners[number, 2], corners[number, 3]
            for k in range(classes):
                value = planes[y, x, k]
                upper, lower = above * value, below * value
                grid[a, k] += upper * left
                grid[b, k] += upper * right
                grid[c, k] += lower * left
                grid[d, k] += lower * right


@_compiled
def add_slice(grid: Floats, weight: Floats, sharing: Sharing, planes: Floats, rows: Range) -> None:
    """Add to ``planes`` (height, width, classes) what ``grid`` holds at each pixel, times ``weight``."""
    numbers, corners, row_share, column_share = sharing
    width, classes = planes.shape[1], planes.shape[2]
    one = np.float32(1)
    for y in range(rows[0], rows[1]):
        below, above = row_share[y], one - row_share[y]
        for x in range(width):
            right, own = column_share[x], weight[y, x]
            left = own * (one - right)
            right = own * right
            upper_left, upper_right, lower_left, lower_right = above * left, above * right, below * left, below * right
            number = numbers[y, x]
            a, b, c, d = corners[number, 0], corners[number, 1], corners[number, 2], corners[number, 3]
            for k in range(classes):
                planes[y, x, k] += (
                    upper_left * grid[a, k]
                    + upper_right * grid[b, k]
                    + lower_left * grid[c, k]
                    + lower_right * grid[d, k]
                )


@_compiled
def update(unary: Floats, message: Floats, weights: tuple[Floats, Floats], rows: Range) -> None:
    """Mean field's step: ``message`` becomes the marginals unary * exp(message), scaled to sum to 1, times a weight.

    ``weights`` are by row and by column, and multiplied. No shift by the greatest message is needed: messages lie
    between 0 and the sum of the CRF's weights.
    """
    width, classes = unary.shape[1], unary.shape[2]
    for y in range(rows[0], rows[1]):
        for x in range(width):
            total = np.float32(0)
            for k in range(classes):
                value = unary[y, x, k] * math.exp(message[y, x, k])
                message[y, x, k] = value
                total += value
            factor = weights[0][y] * weights[1][x] / total
            for k in range(classes):
                message[y, x, k] *= factor


@_compiled
def last_update(
    probabilities: Floats, message: Floats, taps: tuple[Between, Between], marginals: Floats, rows: Range
) -> None:
    """As ``update``, with ``message`` (height, width, classes) interpolated to (classes, full height, full width).

    ``taps`` are those of the full rows and columns in the message.
    """
    classes, width = probabilities.shape[0], probabilities.shape[2]
    vertical, horizontal = taps
    one = np.float32(1)
    for y in range(rows[0], rows[1]):
        top, bottom, below = vertical.first[y], vertical.second[y], vertical.share[y]
        above = one - below
        for x in range(width):
            near, far, right = horizontal.first[x], horizontal.second[x], horizontal.share[x]
            left = one - right
            total = np.float32(0)
            for k in range(classes):
                told = above * (left * message[top, near, k] + right * message[top, far, k]) + below * (
                    left * message[bottom, near, k] + right * message[bottom, far, k]
                )
                value = max(probabilities[k, y, x], FLOOR) * math.exp(told)
                marginals[k, y, x] = value
                total += value
            factor = one / total
            for k in range(classes):
                marginals[k, y, x] *= factor
