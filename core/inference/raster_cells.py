"""A head over a raster of any height: each block is encoded once, and the head sees the rows that its windows reach.

The features of the rows still open are held over the raster's whole width, so a head's windows see across the borders
of blocks just as they do within a tile, and no window is computed twice.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.inference.enlarging import RowEnlarger, taps
from core.inference.pipeline import run_overlapped
from core.inference.predict import Segmenter, head_logits
from core.inference.raster_source import Pixels, RasterSource, Strip, blocks
from core.inference.tta import View
from core.inference.windows import TooLargeError, is_out_of_memory
from core.progress import Progress
from core.training.cell_grid import CellGrid
from core.training.features import Features
from core.training.onnx_encoder import memory_held
from models.heads import ConvolutionalHead, EnsembleHead, Head

HALO = 96
"""What a block sees beyond itself on each side, in working pixels; a multiple of every stride."""
BLOCK = 1152 - 2 * HALO
"""The longest side of a block in working pixels. The encoder's memory grows with its area: 0.4 GB at 1152 x 1152."""

_CELLS_AT_ONCE = 256  # of a row, for which a head's float32 copy of the features is made
_LEAST = 1e-7  # keeps the logarithm of an averaged probability finite

EmitPixels = Callable[[int, NDArray[np.float32]], None]
Piece = tuple[int, int]
"""First working pixel of a block along one axis, and one past its last."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block to encode: ``pixels`` with what lies around it, None where there is no picture; where it begins there."""

    line: int
    column: int
    pixels: Pixels | None
    seen_from: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The features of a block's own cells ``(views, channels, rows, columns)`` float16; None for no picture."""

    line: int
    column: int
    features: NDArray[np.float16] | None


@memory_held()
def predict_cells(
    segmenter: Segmenter,
    source: RasterSource,
    views: Sequence[View],
    emit: EmitPixels,
    *,
    block: int = BLOCK,
    progress: Progress,
) -> None:
    """Emit rows of logits (of log probabilities over several ``views``), at the raster's pixels, from the top.

    ``views`` are symmetries at scale 1, ``block`` is the longest side of a block in working pixels. Raises
    ``TooLargeError`` where one is more than memory holds, and what reading, ``emit`` and ``progress`` raise.
    """
    run = _CellRun(segmenter, source, tuple(views), emit, block)
    total = len(run.lines) * len(run.columns)

    def work(piece: _Block) -> _Encoded:
        done = piece.line * len(run.columns) + piece.column
        progress.update(done, total, f"Predicting the raster, block {done + 1} of {total}")
        try:
            return run.encode(piece)
        except Exception as error:
            if is_out_of_memory(error):
                raise TooLargeError("There is not enough memory to encode a block of the raster.") from error
            raise

    run_overlapped(run.read(), work, run.finish)


def head_reach(head: Head) -> int:
    """How many cells away a head looks, on each side."""
    if isinstance(head, EnsembleHead):
        return max(head_reach(member) for member in head.members)  # type: ignore[arg-type]
    if isinstance(head, ConvolutionalHead):
        return max(*head.DILATIONS, *(window // 2 for window in head.WINDOWS))
    windows: tuple[int, ...] = head.windows
    return max(window // 2 for window in windows)


class _CellRun:
    """One raster under way: the reader's strip of pixels, the stitcher's strip of features."""

    def __init__(
        self, segmenter: Segmenter, source: RasterSource, views: tuple[View, ...], emit: EmitPixels, block: int
    ) -> None:
        self._segmenter, self._source, self._views = segmenter, source, views
        # The metres of a working pixel: what makes a block's own grid have the cells of the whole raster's.
        self._metres = tuple(
            metres / scale for metres, scale in zip(source.metres_per_pixel, source.working_per_pixel, strict=True)
        )
        self._cell = segmenter.extractor.grid(source.size, source.metres_per_pixel).cell
        self._cells = (-(-source.working[0] // self._cell), -(-source.working[1] // self._cell))
        self.lines, self.columns = (blocks(length, block) for length in source.working)
        self._reach = head_reach(segmenter.head)
        deepest = max(-(-(end - start) // self._cell) for start, end in self.lines) + 2 * self._reach
        channels = segmenter.extractor.channels
        self._features = np.zeros((len(views), channels, deepest, self._cells[1]), np.float16)
        self._first = 0  # the row of cells that is held first
        self._filled = 0  # rows that are held whole
        self._done = 0  # rows of cells that the head has seen
        down, across = (
            taps(pixels, cells, scale / self._cell)
            for pixels, cells, scale in zip(source.size, self._cells, source.working_per_pixel, strict=True)
        )
        self._enlarger = RowEnlarger(down, across, emit)

    def read(self) -> Generator[_Block, None, None]:
        """The blocks row by row, each with up to ``HALO`` working pixels around it."""
        strip = Strip(self._source, max(end - start for start, end in self.lines) + 2 * HALO)
        for line, (top, bottom) in enumerate(self.lines):
            from_row = max(top - HALO, 0)
            seen = strip.rows(from_row, min(bottom + HALO, self._source.working[0]))
            for column, (left, right) in enumerate(self.columns):
                part = slice(max(left - HALO, 0), right + HALO)
                pixels = np.ascontiguousarray(seen.pixels[:, part]) if seen.valid[part].any() else None
                yield _Block(line, column, pixels, (from_row, part.start))
        strip.end()

    def encode(self, block: _Block) -> _Encoded:
        """The features of a block's own cells, in every view."""
        if block.pixels is None:
            return _Encoded(block.line, block.column, None)
        size = (block.pixels.shape[0], block.pixels.shape[1])
        grid = CellGrid(size, size, (self._metres[0], self._metres[1]), self._cell)
        own = tuple(
            slice((start - seen) // self._cell, -(-(end - seen) // self._cell))
            for (start, end), seen in zip(
                (self.lines[block.line], self.columns[block.column]), block.seen_from, strict=True
            )
        )
        maps: list[Features] = [
            self._segmenter.extractor.extract(block.pixels, grid, transform=view.symmetry)[:, own[0], own[1]]
            for view in self._views
        ]
        return _Encoded(block.line, block.column, np.stack(maps))

    def finish(self, encoded: _Encoded) -> None:
        """Lay a block's features beside the others; with the last of a line the head sees what it can."""
        (top, bottom), (left, right) = self.lines[encoded.line], self.columns[encoded.column]
        rows = slice(top // self._cell - self._first, -(-bottom // self._cell) - self._first)
        columns = slice(left // self._cell, -(-right // self._cell))
        self._features[:, :, rows, columns] = 0 if encoded.features is None else encoded.features
        if encoded.column == len(self.columns) - 1:
            self._filled = rows.stop
            self._see(last=encoded.line == len(self.lines) - 1)

    def _see(self, *, last: bool) -> None:
        end = self._first + self._filled - (0 if last else self._reach)
        if end > self._done:
            self._enlarger.add(self._logits(self._done, end))
            self._done = end
        keep = max(self._done - self._reach, 0) - self._first
        self._features[:, :, : self._filled - keep] = self._features[:, :, keep : self._filled].copy()
        self._first += keep
        self._filled -= keep

    def _logits(self, top: int, bottom: int) -> NDArray[np.float32]:
        """Of the rows of cells ``top`` to ``bottom``: ``(6, rows, columns)``."""
        above, below = max(top - self._reach, self._first), min(bottom + self._reach, self._first + self._filled)
        pieces = []
        for left in range(0, self._cells[1], _CELLS_AT_ONCE):
            right = min(left + _CELLS_AT_ONCE, self._cells[1])
            from_column = max(left - self._reach, 0)
            seen = self._features[:, :, above - self._first : below - self._first, from_column : right + self._reach]
            logits = [head_logits(self._segmenter.head, one, self._segmenter.extractor.device) for one in seen]
            mean = logits[0] if len(logits) == 1 else _mean(logits)
            pieces.append(mean[:, top - above : bottom - above, left - from_column : right - from_column].numpy())
        return np.concatenate(pieces, axis=2)


def _mean(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(logits)).softmax(dim=1).mean(dim=0).clamp(min=_LEAST).log()
