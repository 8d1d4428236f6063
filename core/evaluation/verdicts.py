"""What may be said of many comparisons, and how many tiles a comparison would take."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student

from core.evaluation.jackknife import LEVEL

Verdict = Literal["better", "worse", "cannot tell"]

POWER = 0.8
MOST_TILES = 100_000
CORRECTION = "Holm 1979"


def holm(p_values: Mapping[Any, float]) -> dict[Any, float]:
    """The p-values corrected for their number, by the same keys: of all that fall below .05 none is a false alarm in
    95 of 100 such tables.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6: the
    smallest is multiplied by their number m, the next by m - 1, and so on; none may come below one before it.
    """
    corrected, least = {}, 0.0
    for rank, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, (len(p_values) - rank) * p))
        corrected[key] = least
    return {key: corrected[key] for key in p_values}


def verdict(value: float, p_value: float) -> Verdict:
    """Better or worse where the difference is told from 0 at the 5 % level."""
    if p_value >= 1 - LEVEL or value == 0:
        return "cannot tell"
    return "better" if value > 0 else "worse"


def tiles_needed(value: float, spread: float, *, tiles: int, effective: float) -> int | None:
    """About how many tiles it would take to tell a difference of ``value`` that ``tiles`` tiles cannot tell.

    ``spread`` is the paired standard deviation between tiles, in the unit of ``value``; ``effective`` is as how many
    of the tiles they count (``jackknife``), which grows in step. If the difference is as large as it looks, four of
    five comparisons on so many tiles (a power of 0.8) tell it at the 5 % level: the least n, to a few percent, with
    value * sqrt(n) / spread >= t(.975) + t(.8) (Chow, Shao & Wang 2008, "Sample Size Calculations in Clinical
    Research", section 3.1). None where there is no difference, or more than ``MOST_TILES`` were needed.
    """
    numbers = np.unique(np.geomspace(tiles + 1, MOST_TILES, 300).astype(np.int64))
    freedom = np.maximum(numbers * effective / tiles - 1, 1)
    reach = student.ppf((1 + LEVEL) / 2, freedom) + student.ppf(POWER, freedom)
    enough = (abs(value) * np.sqrt(numbers) >= reach * spread) & (value != 0)
    return int(numbers[enough.argmax()]) if enough.any() else None
