"""Near duplicates: the same picture, encoded again, cropped a little, brighter, turned or mirrored.

Two steps. First all pairs are compared by their outlines at 12 x 12, in the 8 positions of a square, by normalised
correlation: brightness and contrast cancel out, a crop of 2 % changes little at this size. What passes is aligned:
``cv2.findTransformECC`` (Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient
maximization, TPAMI 2008) looks for the affine move that makes the correlation greatest, at 96 x 96 and without the
coarse shading, in which any two fields may agree.

On 49 tiles (37 of DeepGlobe, 4 of Dubai, 8 synthetic), through JPEG at quality 50, crops of 2 % on one to four sides,
brightness, contrast, gamma and all of these together, the correlation was .966 at least; between 784 quarter-sided
pieces of these tiles, no two the same, it was .743 at most (2026-11-22; ``tests/benchmarks/browse``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.inference.tta import transforms
from core.progress import PartProgress, Progress

MIN_CORRELATION = 0.9
"""Of the aligned outlines, without the coarse shading."""

_COARSE_SIDE = 12
_COARSE_CORRELATION = 0.85
_SHADING_SIGMA = 4.0
"""Of the Gaussian that is taken off the outline, in its pixels: coarser shading tells nothing."""

_MOST_CANDIDATES = 8
"""Pairs a tile that are aligned, the likeliest first: among many smooth tiles any two agree coarsely."""

_LARGEST_CHANGE = 0.15
"""How far the aligning move may be from none, as a share of the picture's side: a crop is a small one."""

_ALIGNING = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
_BLOCK = 1000

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two tiles by their row, the first the smaller one, and the correlation of their aligned outlines, to 1."""

    first: int
    second: int
    score: float


def near_duplicates(outlines: NDArray[np.uint8], progress: Progress) -> list[NearDuplicate]:
    """Find the near duplicates among tiles with these outlines, uint8 (n, side, side) as ``looks.outline_of`` makes.

    Takes time with the square of n, in matrix products, and memory for 1000 times n floats. Raises
    ``CancelledError``.
    """
    candidates = _candidates(outlines, PartProgress(progress, 0, 2, "pictures"))
    aligning = PartProgress(progress, 1, 2, "pairs")
    found: dict[tuple[int, int], float] = {}
    for number, (first, second, position) in enumerate(candidates):
        if number % 100 == 0:
            aligning.update(number, len(candidates), f"{number:,} of {len(candidates):,} aligned")
        moved = np.ascontiguousarray(_POSITIONS[position].forward(outlines[second]))
        score = aligned_correlation(outlines[first], moved)
        if score >= MIN_CORRELATION:
            found[first, second] = max(score, found.get((first, second), 0.0))
    return [NearDuplicate(first, second, score) for (first, second), score in found.items()]


def aligned_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """The correlation of two outlines where one is moved so that it is greatest; 0 where no small move aligns them."""
    still = np.eye(2, 3, dtype=np.float32)
    try:
        score, move = cv2.findTransformECC(
            _without_shading(first), _without_shading(second), still.copy(), cv2.MOTION_AFFINE, _ALIGNING
        )
    except cv2.error:  # it does not converge: the two have nothing in common
        return 0.0
    largest = np.array([[_LARGEST_CHANGE, _LARGEST_CHANGE, _LARGEST_CHANGE * len(first)]] * 2)
    return float(score) if (np.abs(move - still) <= largest).all() else 0.0


_POSITIONS = transforms("d4")


def _without_shading(outline: NDArray[np.uint8]) -> _Floats:
    picture = outline.astype(np.float32)
    return np.asarray(picture - cv2.GaussianBlur(picture, (0, 0), _SHADING_SIGMA), np.float32)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Pairs by the rows of their tiles, the position of the second, and how far they agree; (pairs,) each."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    position: NDArray[np.intp]
    agreement: _Floats

    @classmethod
    def joined(cls, parts: Sequence["_Candidates"]) -> "_Candidates":
        """The pairs of all parts."""
        columns = ([getattr(part, name) for part in parts] for name in cls.__slots__)
        return cls(*(np.concatenate(column) for column in columns))

    def likeliest(self) -> "_Candidates":
        """Those that are among the few likeliest of either tile, the likeliest first."""
        order = np.argsort(-self.agreement, kind="stable")
        first, second = self.first[order], self.second[order]
        few = (_place_among_equals(first) < _MOST_CANDIDATES) | (_place_among_equals(second) < _MOST_CANDIDATES)
        kept = order[few]
        return _Candidates(first[few], second[few], self.position[kept], self.agreement[kept])


def _candidates(outlines: NDArray[np.uint8], progress: Progress) -> list[tuple[int, int, int]]:
    """Pairs of rows, the first the smaller one, and a position of the second in which they agree coarsely."""
    if len(outlines) < 2:
        return []
    coarse = _coarse(outlines)
    turned = [_unit(np.stack([position.forward(picture) for picture in coarse])) for position in _POSITIONS]
    upright = _unit(coarse)
    parts = []
    for start in range(0, len(coarse), _BLOCK):
        progress.update(start, len(coarse), f"{start:,} of {len(coarse):,} compared")
        for position, others in enumerate(turned):
            # Only later tiles: a pair in all positions of its second has been seen in all positions of its first.
            agreement = upright[start : start + _BLOCK] @ others[start:].T
            first, second = np.nonzero(agreement >= _COARSE_CORRELATION)
            first, second = first[second > first], second[second > first]
            found = agreement[first, second]
            # At once: where thousands of tiles agree, all their pairs would fill the memory.
            part = _Candidates(first + start, second + start, np.full_like(first, position), found).likeliest()
            parts.append(part)
    likeliest = _Candidates.joined(parts).likeliest()
    columns = (likeliest.first, likeliest.second, likeliest.position)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _place_among_equals(values: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each value how many equal ones come before it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.searchsorted(ordered, ordered)
    places = np.empty_like(order)
    places[order] = np.arange(len(values)) - begins
    return places


def _coarse(outlines: NDArray[np.uint8]) -> _Floats:
    sides = outlines.shape[1] // _COARSE_SIDE
    blocks = outlines.reshape(len(outlines), _COARSE_SIDE, sides, _COARSE_SIDE, sides)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float32)


def _unit(pictures: _Floats) -> _Floats:
    """Pictures as rows of mean 0 and length 1; of one colour, as 0."""
    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    unit: _Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3)
    return unit
