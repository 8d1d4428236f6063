"""Scores on a coarse grid brought to the pixels of an image of any height, rows after rows.

Interpolates linearly between the centres of cells (or of working pixels), as ``CellGrid.interpolation`` does, and
holds no more than the rows that the next pixels need.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, ClassRaster

Scores = NDArray[np.float32]
EmitPixels = Callable[[int, Scores], None]
"""Takes the first pixel row's number and ``(6, rows, width)`` float32 scores, which may be overwritten."""

_PIXELS_AT_ONCE = 1 << 16  # six classes of them stay in the processor's cache
_GRID_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Taps:
    """Where pixels along one axis take their scores from: cell ``first``, the next one, and the next one's share."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: NDArray[np.float32]

    @property
    def is_identity(self) -> bool:
        """Whether every pixel is a cell of its own."""
        return not self.share.any() and bool((self.first == np.arange(len(self.first))).all())


def taps(pixels: int, cells: int, cells_per_pixel: float) -> Taps:
    """The taps of ``pixels`` on ``cells``; beyond the first and the last cell's centre that cell counts alone."""
    place = np.clip((np.arange(pixels) + 0.5) * cells_per_pixel - 0.5, 0, cells - 1)
    first = np.minimum(place.astype(np.intp), max(cells - 2, 0))
    return Taps(first, np.minimum(first + 1, cells - 1), (place - first).astype(np.float32))


class RowEnlarger:
    """Takes rows of scores from the top down and emits rows of pixels as soon as they can be told."""

    def __init__(self, down: Taps, across: Taps, emit: EmitPixels) -> None:
        self._down, self._across, self._emit = down, across, emit
        self._held: Scores = np.empty((CLASS_COUNT, 0, int(across.second[-1]) + 1), np.float32)
        self._top = 0  # the grid row that is held first
        self._next = 0  # the pixel row that is emitted next

    def add(self, rows: Scores) -> None:
        """Take the next ``(6, rows, cells)`` float32; columns beyond the last tap are left out. It is copied."""
        for start in range(0, rows.shape[1], _GRID_ROWS_AT_ONCE):
            part = rows[:, start : start + _GRID_ROWS_AT_ONCE, : self._held.shape[2]]
            self._held = np.concatenate([self._held, part], axis=1)
            self._emit_ready()

    def _emit_ready(self) -> None:
        bottom = self._top + self._held.shape[1]
        end = int(np.searchsorted(self._down.second, bottom, side="left"))
        if end > self._next:
            self._emit_pixels(end)
        keep = int(self._down.first[min(self._next, len(self._down.first) - 1)])
        if keep > self._top:
            self._held = self._held[:, min(keep - self._top, self._held.shape[1]) :]
            self._top = min(keep, bottom)

    def _emit_pixels(self, end: int) -> None:
        wide = self._widened()
        rows = max(1, _PIXELS_AT_ONCE // wide.shape[2])
        for top in range(self._next, end, rows):
            part = slice(top, min(top + rows, end))
            band = wide[:, self._down.first[part] - self._top]
            share = self._down.share[part, None]
            if share.any():
                band += (wide[:, self._down.second[part] - self._top] - band) * share
            self._emit(top, band)
        self._next = end

    def _widened(self) -> Scores:
        if self._across.is_identity:
            return self._held
        wide = self._held[:, :, self._across.first]
        wide += (self._held[:, :, self._across.second] - wide) * self._across.share
        return wide


def most_probable(scores: Scores) -> ClassRaster:
    """The class of the highest score of ``(6, rows, width)``, the lower index where two are equal; uint8."""
    best, classes = scores[0].copy(), np.zeros(scores.shape[1:], np.uint8)
    for index in range(1, len(scores)):
        classes[scores[index] > best] = index
        np.maximum(best, scores[index], out=best)
    return classes
