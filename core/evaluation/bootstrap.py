"""Drawing whole tiles anew: for figures that no jackknife serves, such as those that are not smooth in their counts.

Each draw takes as many tiles as there are, with replacement. The percentile interval alone is far too narrow for a
handful of tiles (Hesterberg 2015, "What teachers should know about the bootstrap"), so the interval is the wider one,
on each side, of it and Student's: value +- t(n - 1) * sqrt(n / (n - 1)) * the standard deviation of the draws. For
scores and their differences see ``jackknife``, which was measured to be better.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from core.evaluation.jackknife import LEVEL, Interval

DRAWS = 2000


def draw_tiles(tiles: int, draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """How often each tile is taken in each draw: ``(draws, tiles)``."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(tiles, np.full(tiles, 1 / tiles), size=draws).astype(np.float64)


def drawn_interval(value: float, drawn: NDArray[np.float64], *, tiles: int, lowest: float, highest: float) -> Interval:
    """The 95 % interval of a figure from its values in the draws ``(draws,)``, within the range that is possible.

    ``tiles`` is how many carry any news of it: with one, the interval is the whole range. NaN draws are left out.
    """
    known = drawn[~np.isnan(drawn)]
    if tiles < 2 or known.size < 2:
        return lowest, highest
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    reach = student.ppf(1 - tail, tiles - 1) * np.sqrt(tiles / (tiles - 1)) * known.std(ddof=1)
    return max(lowest, float(min(low, value - reach))), min(highest, float(max(high, value + reach)))
