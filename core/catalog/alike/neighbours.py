"""Neighbouring tiles: pictures whose edges continue each other.

Of two edges that may meet (the right of one and the left of the other, or the lower and the upper) the outermost
pixels are compared, in luma and chroma, as they are and by their change along the edge, by normalised correlation: two
matrix products for all pairs. The scheme is that of solvers of jigsaw puzzles (Cho, Avidan and Freeman, A probabilistic
image jigsaw puzzle solver, CVPR 2010; Gallagher, Jigsaw puzzles with pieces of unknown orientation, CVPR 2012), which
also take an edge only where each is the other's best and the second best is clearly worse.

The thresholds were chosen on pieces of 37 real tiles. There, at JPEG quality 92, 96 % of 904 meeting edges of 612
pixels are found and all of 156 of 1224 pixels, none wrong, and none of 1184 pieces that have no neighbour seems to have
one. Of drawn scenes that nothing was chosen on, all 240 edges are found, none wrong (2026-11-22; measured anew by
``tests/benchmarks/browse``).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.catalog.alike.looks import BOTTOM, LEFT, RIGHT, TOP
from core.progress import PartProgress, Progress

MIN_CORRELATION = 0.42
"""Of the two edges, less ``COLOUR_PENALTY`` for each grey level by which their mean colours differ."""

MIN_LEAD = 0.1
"""How much better than the second best, of either edge, a match has to be."""

COLOUR_PENALTY = 0.02
"""For a level of 255, of red, green or blue, whichever differs most: 99 % of the edges that meet are within 5 levels. A
tile whose brightness alone was changed finds no neighbour."""

RIGHT_OF, BELOW = "right", "below"

_CHROMA_WEIGHT = 2.0
"""Chroma varies less than luma, and tells the more: with 1, ten fewer of 904 edges were found."""

_TO_LUMA_CHROMA = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""From RGB to Y, Cb and Cr, ITU-T T.871."""

_LEAST_SHOWN = 0.5
"""An edge of which less than this share shows something is compared with none: black meets black anywhere."""

_BLOCK = 1000
_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two tiles by their row: the second lies ``side`` ('right' or 'below') of the first; their edges' correlation."""

    first: int
    second: int
    side: str
    score: float


def find_neighbours(borders: NDArray[np.float16], sizes: NDArray[np.int64], progress: Progress) -> list[Neighbours]:
    """Find the neighbours among tiles.

    Args:
        borders: float16 (n, 4, samples, 3) as ``looks.borders_of`` makes.
        sizes: int64 (n, 2), height and width of each tile in pixels: only edges of one length can meet.
        progress: may stop the work by raising ``CancelledError``.

    Takes time with the square of n, in matrix products, and memory for 1000 times n floats.
    """
    meetings = [
        (side, ending, beginning, np.flatnonzero(sizes[:, axis] == length))
        for side, ending, beginning, axis in ((RIGHT_OF, RIGHT, LEFT, 0), (BELOW, BOTTOM, TOP, 1))
        for length in np.unique(sizes[:, axis])
    ]
    found = []
    for number, (side, ending, beginning, rows) in enumerate(meetings):
        step = PartProgress(progress, number, len(meetings), side)
        ends, begins = _Edges.of(borders[rows, ending]), _Edges.of(borders[rows, beginning])
        found += [
            Neighbours(int(rows[first]), int(rows[second]), side, score)
            for first, second, score in _mutual_best(ends.profiles, begins.profiles, step)
            if score - COLOUR_PENALTY * np.abs(ends.means[first] - begins.means[second]).max() >= MIN_CORRELATION
        ]
    return found


@dataclass(frozen=True, slots=True)
class _Edges:
    """What edges are compared by: rows of length 1, or 0 where an edge shows too little; and their mean RGB, (n, 3)."""

    profiles: _Floats
    means: _Floats

    @classmethod
    def of(cls, edges: NDArray[np.float16]) -> "_Edges":
        """Of edges (n, samples, 3), RGB; what is black throughout a sample is no picture."""
        rgb = edges.astype(np.float32)
        shown: NDArray[np.bool_] = np.any(rgb > 0, axis=2)
        means = rgb.sum(axis=1) / np.maximum(shown.sum(axis=1), 1)[:, None]
        colours = np.where(shown[..., None], rgb - means[:, None], 0) @ _TO_LUMA_CHROMA.T
        colours *= np.array([1, _CHROMA_WEIGHT, _CHROMA_WEIGHT], np.float32)
        change = np.where((shown[:, 1:] & shown[:, :-1])[..., None], np.diff(colours, axis=1), 0)
        profiles: _Floats = np.concatenate([_unit(colours), _unit(change)], axis=1) / np.sqrt(np.float32(2))
        profiles[shown.mean(axis=1) < _LEAST_SHOWN] = 0
        return cls(profiles, means)


def _unit(values: _Floats) -> _Floats:
    rows = values.reshape(len(values), -1)
    unit: _Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3)
    return unit


def _mutual_best(ends: _Floats, begins: _Floats, progress: Progress) -> list[tuple[int, int, float]]:
    """Pairs of an end and a beginning that are each other's best by far, with their product."""
    count = len(ends)
    best_of_end, best_of_begin = _Best(count), _Best(count)
    for start in range(0, count, _BLOCK):
        progress.update(start, count, f"{start:,} of {count:,} edges compared")
        products = ends[start : start + _BLOCK] @ begins.T
        numbers = np.arange(start, start + len(products))
        products[numbers - start, numbers] = -1  # no tile lies beside itself
        best_of_end.see(products, numbers, np.arange(count))
        best_of_begin.see(products.T, np.arange(count), numbers)
    pairs = []
    for first in np.flatnonzero(best_of_end.score >= MIN_CORRELATION).tolist():
        second = int(best_of_end.partner[first])
        score = float(best_of_end.score[first])
        lead = score - max(best_of_end.second[first], best_of_begin.second[second])
        if best_of_begin.partner[second] == first and lead >= MIN_LEAD:
            pairs.append((first, second, score))
    return pairs


class _Best:
    """The best partner of each edge and the score of the second best, of the blocks that were seen so far."""

    def __init__(self, count: int) -> None:
        self.score = np.full(count, -1, np.float32)
        self.second = np.full(count, -1, np.float32)
        self.partner = np.full(count, -1, np.intp)

    def see(self, products: _Floats, edges: NDArray[np.intp], partners: NDArray[np.intp]) -> None:
        """Take in ``products`` (edges, partners) of these edges with these partners."""
        order = np.argmax(products, axis=1)
        rows = np.arange(len(edges))
        top = products[rows, order]
        products[rows, order] = -1
        runner_up = products.max(axis=1)
        products[rows, order] = top
        better = top > self.score[edges]
        self.second[edges] = np.where(
            better, np.maximum(self.score[edges], runner_up), np.maximum(self.second[edges], top)
        )
        self.partner[edges] = np.where(better, partners[order], self.partner[edges])
        self.score[edges] = np.maximum(self.score[edges], top)
