"""How far a score of summed counts would move on other tiles: the jackknife over whole tiles, and Student's t.

Pixels of one tile are alike, so tiles are the units, never pixels. Each tile in turn is left out, the counts of the
others are summed and scored, and the scatter of these scores gives the standard error (Efron & Tibshirani 1993, "An
Introduction to the Bootstrap", chapter 11). As units are few and unequal this is the delete-a-cluster estimate that
MacKinnon, Nielsen & Webb (2023, "Fast and reliable jackknife and bootstrap methods for cluster-robust inference",
Journal of Applied Econometrics) advise: CV3J, about the mean of the scores, for the interval of one score. For a
difference it is CV3, about the score of all tiles, and without its factor (n - 1) / n: a little greater, so that false
alarms stay below 5 % at every number of tiles.

Student's t has as many degrees of freedom as there are *effective* tiles less one: (sum w)^2 / sum w^2 with w a tile's
true pixels of the class (Kish 1965, "Survey Sampling"), so that ten tiles of which one holds all the water count as
one. For a mean over classes w is the mean of the classes' shares.

Why not the bootstrap: measured by simulation (``make bench``, chapter 'intervals'), its percentile and BCa intervals
hold the truth in 47 to 87 % of the cases instead of 95 % up to 11 tiles; this holds it in 94 to 97 %.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

LEVEL = 0.95

Interval = tuple[float, float]
Score = Callable[[NDArray[Any]], NDArray[np.float64]]
"""Counts of any shape ``(..., rest)`` to scores ``(..., k)``, NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with its standard error and the degrees of freedom of that; 0 where nothing is known of the spread."""

    value: float
    error: float
    freedom: float

    def interval(self, *, lowest: float, highest: float) -> Interval:
        """The 95 % interval within the range that is possible; all of it where the spread is not known."""
        if self.freedom == 0:
            return lowest, highest
        reach = float(student.ppf((1 + LEVEL) / 2, self.freedom)) * self.error
        return max(lowest, self.value - reach), min(highest, self.value + reach)

    @property
    def p_value(self) -> float:
        """How likely a value this far from 0 would be if 0 were the truth (two-sided); 1 where nothing is known."""
        if self.freedom == 0 or self.value == 0:
            return 1.0
        if self.error == 0:
            return 0.0
        return float(2 * student.sf(abs(self.value) / self.error, self.freedom))


def left_out(counts: NDArray[Any], score: Score) -> NDArray[np.float64]:
    """The scores ``(tiles, k)`` of counts ``(tiles, rest)`` with each tile left out in turn."""
    return score(counts.sum(axis=0) - counts)


def estimate(
    value: float, without: NDArray[np.float64], weights: NDArray[np.float64], *, about_value: bool
) -> Estimate:
    """A score, from the scores ``(tiles,)`` without each tile and the tiles' ``weights`` (``tile_weights``).

    ``about_value``: for a difference, which has the greater standard error; otherwise for a score.
    """
    tiles = len(without)
    if (weights > 0).sum() < 2:
        return Estimate(value, 0.0, 0.0)
    if about_value:
        variance = ((without - value) ** 2).sum()
    else:
        variance = (tiles - 1) / tiles * ((without - without.mean()) ** 2).sum()
    return Estimate(value, float(np.sqrt(variance)), max(1.0, 1 / float((weights**2).sum()) - 1))


def tile_weights(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """How much of each class lies on each tile: true pixels ``(tiles, classes)`` to ``(tiles, classes + 1)``.

    Each column sums to 1, or to 0 for a class that no tile has; the last is the mean over the classes that occur.
    """
    total = pixels.sum(axis=0)
    shares = pixels / np.maximum(total, 1)
    mean = shares.sum(axis=1) / max(1, int((total > 0).sum()))
    return np.concatenate([shares, mean[:, None]], axis=1)
