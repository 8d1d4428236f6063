"""Overlapping windows over an image of any size, and the running mean of what a network says of them.

Windows are spread evenly and lie on a grid, so that a pixel's weights over all windows that see it are the product of
one figure by row and one by column. They are made to sum to one beforehand (``WindowPlan.shares``): what windows say
is added up and never divided, and no map of weights is kept. Only the rows that a later window still sees are held.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from core.classes import CLASS_COUNT
from core.errors import InputError
from core.inference.pipeline import run_overlapped
from core.progress import Progress

_logger = logging.getLogger(__name__)

Weighting = Literal["hann", "gaussian"]
Corner = tuple[int, int]
"""Row and column of a window's first pixel."""
Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Infer = Callable[[Pixels, Sequence[Corner]], Scores]
"""``(n, h, w, 3)`` uint8 windows and their corners to ``(n, 6, h, w)`` float32 that may be written to."""
Emit = Callable[[int, Scores], None]
"""Takes the first row's number and ``(6, rows, width)`` of finished rows, a view that is overwritten afterwards."""

OVERLAP = 0.25
"""Share of a window that the next one sees as well."""
LEAST_WEIGHT = 1e-3
"""Of a window's border pixels along one axis: never 0, for at the image's edge nobody else sees them."""
GAUSSIAN_DEVIATION = 0.125
"""Of a window's side: the figure of MONAI's sliding_window_inference."""

CPU_BATCH_PIXELS = 1 << 18
"""On the CPU so many pixels at once fill the cores; more would take memory only."""
DEVICE_BATCH = 64
_WORTH_IT = 0.95  # a larger batch stays when a window then takes this share of the time, or less
_TRIES = 2  # batches of a size before it is judged: the first one sets up


@dataclass(frozen=True)
class WindowPlan:
    """Where the windows lie: ``rows`` and ``columns`` are their first pixels along each axis.

    ``size`` and ``window`` are (height, width) in pixels. The windows cover all of ``size`` and lie within it.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    weighting: Weighting = "hann"

    @property
    def corners(self) -> list[Corner]:
        """The corners of all windows, row by row."""
        return [(top, left) for top in self.rows for left in self.columns]

    @cached_property
    def shares(self) -> tuple[Scores, Scores]:
        """By axis ``(windows, side)`` float32: the share of each pixel's mean that a window has along that axis."""
        down, across = (
            _shares(length, side, starts, self.weighting)
            for length, side, starts in zip(self.size, self.window, (self.rows, self.columns), strict=True)
        )
        return down, across


def plan_windows(
    size: tuple[int, int],
    window: tuple[int, int],
    *,
    overlap: float = OVERLAP,
    weighting: Weighting = "hann",
    step: int = 1,
) -> WindowPlan:
    """Windows over ``size`` (height, width), evenly spread, that overlap by at least the share ``overlap``.

    With ``step`` every window begins at a multiple of it, which may take a pixel or so of the overlap. Where the image
    is smaller than a window, or its size no multiple of ``step``, the plan's size is larger and the caller pads.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"an overlap is a share of at least 0 and less than 1, not {overlap}")
    covered = [max(side, -(-length // step) * step) for length, side in zip(size, window, strict=True)]
    rows, columns = (
        tuple(starts(length, side, overlap=overlap, step=step)) for length, side in zip(covered, window, strict=True)
    )
    return WindowPlan((covered[0], covered[1]), window, rows, columns, weighting)


def starts(length: int, window: int, *, overlap: float = OVERLAP, step: int = 1) -> list[int]:
    """Where windows begin that cover ``length`` pixels, evenly spread; ``length - window`` a multiple of ``step``."""
    stride = max(step, round(window * (1 - overlap)) // step * step)
    count = 1 + -(-(length - window) // stride)
    return [round(start / step) * step for start in np.linspace(0, length - window, max(1, count))]


def weights(length: int, weighting: Weighting = "hann") -> NDArray[np.float64]:
    """The weight of a window's pixels along one axis: ``(length,)``, greatest in the middle, never 0.

    'hann' is Hann's window at pixel centres, 'gaussian' the bell curve that MONAI weighs windows with.
    """
    if weighting == "hann":
        curve = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    else:
        curve = np.exp(-(((np.arange(length) - (length - 1) / 2) / (GAUSSIAN_DEVIATION * length)) ** 2) / 2)
    lifted: NDArray[np.float64] = np.maximum(curve, LEAST_WEIGHT)
    return lifted


def _shares(length: int, side: int, begins: Sequence[int], weighting: Weighting) -> Scores:
    own = weights(side, weighting)
    total = np.zeros(length)
    for start in begins:
        total[start : start + side] += own
    return np.stack([own / total[start : start + side] for start in begins]).astype(np.float32)


class TooLargeError(InputError):
    """One window alone is more than memory holds; smaller ones may do."""


class RunningMean:
    """Adds up windows in the plan's order and emits rows as soon as no later window sees them.

    Holds ``(6, window height, width)`` float32, whatever the image's height.
    """

    def __init__(self, plan: WindowPlan, emit: Emit) -> None:
        self._plan, self._emit = plan, emit
        self._rows: Scores = np.zeros((CLASS_COUNT, plan.window[0], plan.size[1]), np.float32)
        self._line = 0

    def add(self, number: int, scores: Scores | None) -> None:
        """Add ``(6, h, w)`` float32 of the window ``number``, which is overwritten; None where there is nothing."""
        line, column = divmod(number, len(self._plan.columns))
        while self._line < line:
            self._next_line()
        if scores is not None:
            down, across = self._plan.shares
            scores *= down[line][:, None] * across[column]
            left = self._plan.columns[column]
            self._rows[:, :, left : left + self._plan.window[1]] += scores

    def end(self) -> None:
        """Emit what is left."""
        while self._line < len(self._plan.rows):
            self._next_line()

    def _next_line(self) -> None:
        top, height = self._plan.rows[self._line], self._plan.window[0]
        self._line += 1
        below = self._plan.rows[self._line] if self._line < len(self._plan.rows) else top + height
        done = below - top
        self._emit(top, self._rows[:, :done])
        self._rows[:, : height - done] = self._rows[:, done:]
        self._rows[:, height - done :] = 0


class BatchSize:
    """How many windows go through the network at once, found by trying.

    It doubles while a window then takes less time, up to ``most``, and halves for good when memory runs out.
    """

    def __init__(self, most: int) -> None:
        self.size = 1
        self._most = max(1, most)
        self._settled = self._most == 1
        self._best: tuple[float, int] | None = None
        self._tried: list[float] = []

    def measured(self, count: int, seconds: float) -> None:
        """Hear that ``count`` windows took so long."""
        if self._settled or count != self.size:
            return
        self._tried.append(seconds / count)
        if len(self._tried) < _TRIES:
            return
        found, self._tried = min(self._tried), []
        if self._best is not None and found > self._best[0] * _WORTH_IT:
            self.size, self._settled = self._best[1], True
            return
        self._best = (found, self.size)
        if self.size * 2 > self._most:
            self._settled = True
        else:
            self.size *= 2

    def halve(self) -> None:
        """Take half as many from now on. Raises ``ValueError`` where one is too much already."""
        if self.size == 1:
            raise ValueError("a batch of one window cannot be halved")
        self.size //= 2
        self._settled = True
        _logger.warning("The device ran out of memory; going on with %d windows at a time.", self.size)


def most_at_once(window: tuple[int, int], device: torch.device) -> int:
    """The most windows of (height, width) that are worth trying at a time."""
    return DEVICE_BATCH if device.type == "cuda" else max(1, CPU_BATCH_PIXELS // (window[0] * window[1]))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, numpy or onnxruntime says that there is not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    told = str(error).lower()
    return isinstance(error, Exception) and any(
        sign in told for sign in ("can't allocate memory", "failed to allocate memory", "bad allocation", "bad_alloc")
    )


def blend(
    plan: WindowPlan,
    windows: Iterator[Pixels | None],
    infer: Infer,
    emit: Emit,
    *,
    batch: BatchSize,
    progress: Progress,
    message: str,
) -> None:
    """Take an image through a network window by window and emit its rows, from the top, as they are finished.

    ``windows`` are the plan's, in its order, None where nothing is to be seen. They are read in a thread and added up
    in another (``emit`` is called there) while the network works in the caller's. ``progress`` is told once per
    window. Raises what any of them raises; ``TooLargeError`` where one window alone is more than memory holds.
    """
    mean = RunningMean(plan, emit)
    corners = plan.corners

    def batches() -> Generator[list[tuple[int, Pixels | None]], None, None]:
        held: list[tuple[int, Pixels | None]] = []
        for pair in enumerate(windows):
            held.append(pair)
            if sum(pixels is not None for _, pixels in held) >= batch.size:
                yield held
                held = []
        if held:
            yield held

    def work(held: list[tuple[int, Pixels | None]]) -> list[tuple[int, Scores | None]]:
        if len(corners) > 1:
            progress.update(held[0][0], len(corners), message)
        seen = [(number, pixels) for number, pixels in held if pixels is not None]
        scores = infer_within_memory(infer, [p for _, p in seen], [corners[n] for n, _ in seen], batch)
        found = dict(zip((number for number, _ in seen), scores, strict=True))
        return [(number, found.get(number)) for number, _ in held]

    def finish(results: list[tuple[int, Scores | None]]) -> None:
        for number, scores in results:
            mean.add(number, scores)
        if results[-1][0] == len(corners) - 1:
            mean.end()

    run_overlapped(batches(), work, finish)


def infer_within_memory(
    infer: Infer, windows: Sequence[Pixels], corners: Sequence[Corner], batch: BatchSize
) -> list[Scores]:
    """``(6, h, w)`` float32 of each window; halves the batch where memory runs out.

    Raises ``TooLargeError`` where one window alone is too much.
    """
    found: list[Scores] = []
    while len(found) < len(windows):
        part = slice(len(found), len(found) + batch.size)
        start = time.perf_counter()
        try:
            scores = infer(np.stack(windows[part]), corners[part])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if batch.size == 1:
                raise _too_large(windows[0]) from error
            batch.halve()
            continue
        batch.measured(len(scores), time.perf_counter() - start)
        found.extend(scores)
    return found


def _too_large(window: Pixels) -> TooLargeError:
    height, width = window.shape[:2]
    return TooLargeError(
        f"There is not enough memory to predict a window of {width} x {height} pixels at once; close other programs, "
        "or choose smaller windows (patches)."
    )
