"""What comes after the network on a raster of any size: the same switches as on a tile, in the same order.

Where every pixel is decided by itself, rows are done as they come. Where a refinement or a small region needs what lies
around a pixel, the rows that are still needed are held and finished block by block: each block sees the raster as far
beyond its border as the switches look (``raster_reach``), and only its own pixels are kept.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.errors import InputError
from core.inference.predict import Probabilities
from core.inference.raster_reach import Piece, Reach
from core.inference.raster_source import RasterSource, Strip
from core.inference.regions import Sides
from core.inference.switches import Switches
from core.inference.thresholds import apply_offsets
from core.inference.tile_prediction import decided, refined
from core.inference.windows import Scores, is_out_of_memory
from core.progress import Progress

Keep = Callable[[ClassRaster, NDArray[np.uint8] | None], None]
"""Takes the next ``(rows, width)`` classes, and ``(6, rows, width)`` probabilities times 255 where they are kept."""

_ROOT_STEPS = 255
_SQUARES = np.square(np.arange(_ROOT_STEPS + 1, dtype=np.float32) / _ROOT_STEPS)


class Finisher(Protocol):
    """Takes rows of scores from the top down."""

    def add(self, scores: Scores, valid: NDArray[np.bool_]) -> None:
        """Take the next ``(6, rows, width)`` logits, or logarithms of probabilities, and which pixels are any good."""


class RowFinisher:
    """Finishes rows as they come: offsets and abstaining, which ask no neighbour."""

    def __init__(self, source: RasterSource, switches: Switches, keep: Keep, *, probabilities: bool) -> None:
        self._metres = source.metres_per_pixel
        self._switches, self._keep, self._probabilities = switches, keep, probabilities

    def add(self, scores: Scores, valid: NDArray[np.bool_]) -> None:
        """Finish them. The greatest score has the greatest probability, so these are made where they are asked for."""
        if not (self._probabilities or self._switches.any_after_network):
            self._keep(decided(scores, self._switches, metres_per_pixel=self._metres, valid=valid), None)
            return
        shares = _softmax(scores)
        if self._switches.offsets:
            shares = apply_offsets(shares, self._switches.offsets)
        classes = decided(shares, self._switches, metres_per_pixel=self._metres, valid=valid)
        self._keep(classes, _scaled(shares, valid) if self._probabilities else None)


class BlockFinisher:
    """Holds rows until a line of blocks has all that it looks at, and finishes it.

    What is held are the roots of probabilities in 256 steps, as the workspace keeps a network's, and the picture, which
    is read a second time for it: nothing waits in memory from the network's reader to here.
    """

    def __init__(
        self,
        picture: RasterSource,
        switches: Switches,
        reach: Reach,
        keep: Keep,
        *,
        probabilities: bool,
        progress: Progress,
    ) -> None:
        """``picture`` is the raster as it is, opened for this finisher alone."""
        self._picture, self._switches, self._keep = picture, switches, keep
        self._probabilities, self._progress = probabilities, progress
        self._lines, self._columns = (reach.pieces(length, axis) for axis, length in enumerate(picture.size))
        width = picture.size[1]
        depth = max(line.seen_last - line.seen_first for line in self._lines)
        self._strip = Strip(picture, depth)
        self._roots = np.empty((CLASS_COUNT, depth, width), np.uint8)
        self._valid = np.empty((depth, width), np.bool_)
        self._top = 0  # the row that is held first
        self._held = 0  # rows that are held
        self._line = 0  # the line that is finished next

    def add(self, scores: Scores, valid: NDArray[np.bool_]) -> None:
        """Hold them, and finish the lines that now have all that they look at."""
        taken = 0
        while taken < len(valid):
            line = self._lines[self._line]
            count = min(line.seen_last - self._top - self._held, len(valid) - taken)
            part, into = slice(taken, taken + count), slice(self._held, self._held + count)
            shares = _softmax(scores[:, part])
            np.rint(np.sqrt(shares, out=shares) * _ROOT_STEPS, out=self._roots[:, into], casting="unsafe")
            self._valid[into] = valid[part]
            self._held += count
            taken += count
            while self._line < len(self._lines) and self._top + self._held >= self._lines[self._line].seen_last:
                self._finish_line(self._lines[self._line])

    def _finish_line(self, line: Piece) -> None:
        pixels = self._strip.rows(line.seen_first, line.seen_last).pixels
        self._picture.valid.clear()  # told already by whoever reads for the network
        shape = (line.last - line.first, self._picture.size[1])
        classes = np.full(shape, UNLABELLED, np.uint8)
        scaled = np.zeros((CLASS_COUNT, *shape), np.uint8) if self._probabilities else None
        for number, column in enumerate(self._columns):
            done = self._line * len(self._columns) + number
            total = len(self._lines) * len(self._columns)
            self._progress.update(done, total, f"Refining the raster, block {done + 1} of {total}")
            own = slice(column.first, column.last)
            if self._valid[line.first - self._top : line.last - self._top, own].any():
                try:
                    classes[:, own], shares = self._finish(line, column, pixels)
                except Exception as error:
                    if is_out_of_memory(error):
                        raise InputError(
                            "There is not enough memory to refine a block of the raster; close other programs, or "
                            "choose smaller lengths for the refinement."
                        ) from error
                    raise
                if scaled is not None:
                    scaled[:, :, own] = shares
        self._keep(classes, scaled)
        self._line += 1
        if self._line < len(self._lines):
            self._drop(self._lines[self._line].seen_first)

    def _finish(self, line: Piece, column: Piece, pixels: NDArray[np.uint8]) -> tuple[ClassRaster, NDArray[np.uint8]]:
        """The classes and probabilities times 255 of one block's own pixels."""
        metres, (height, width) = self._picture.metres_per_pixel, self._picture.size
        rows = slice(line.seen_first - self._top, line.seen_last - self._top)
        valid = self._valid[rows, column.seen]
        shares = _SQUARES[self._roots[:, rows, column.seen]]
        shares[:, ~valid] = 1.0  # where there is no picture no class is likelier than another
        shares /= shares.sum(axis=0)
        image = np.ascontiguousarray(pixels[:, column.seen])
        shares = refined(shares, image, self._switches, metres_per_pixel=metres)
        inner = (line.decided, column.decided)
        shares, valid = np.ascontiguousarray(shares[:, *inner]), valid[inner]
        sides = Sides(
            top=line.decided_first > 0,
            bottom=line.decided_last < height,
            left=column.decided_first > 0,
            right=column.decided_last < width,
        )
        classes = decided(shares, self._switches, metres_per_pixel=metres, valid=valid, open_sides=sides)
        own = (line.own, column.own)
        return classes[own], _scaled(shares[:, *own], valid[own])

    def _drop(self, top: int) -> None:
        """Rows above ``top`` are needed no more."""
        gone = top - self._top
        left = self._held - gone
        for held in (*self._roots, self._valid):
            held[:left] = held[gone : self._held]
        self._top, self._held = top, left


def _softmax(scores: Scores) -> Probabilities:
    return torch.from_numpy(scores).softmax(dim=0).numpy()


def _scaled(shares: Probabilities, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.rint(shares * 255).astype(np.uint8) * valid
