"""Are two small samples drawn from the same? Permutation tests and effect sizes.

The tests are exact whatever the distribution: under the null hypothesis every relabelling of the pooled sample is as
likely as the one that was seen (Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses"). Few members
limit what they can find: the least p-value that there can be is one in the number of relabellings.
"""

from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from core.evaluation.jackknife import LEVEL

MOST_RELABELLINGS = 20_000
"""All are tried where there are no more than these, else half as many are drawn."""
_CHUNK = 1000
_TOLERANCE = 1e-9  # relabellings that are mirror images differ by rounding alone


@dataclass(frozen=True, slots=True)
class EnergyTest:
    """The energy distance of two samples, as a share of the greatest there could be, 0 to 1, and its p-value."""

    coefficient: float
    p: float


@dataclass(frozen=True, slots=True)
class Effect:
    """A standardised difference of means, first minus second, with its 95 % interval and p-value.

    ``g`` and ``interval`` are None where neither sample has any spread.
    """

    g: float | None
    interval: tuple[float, float] | None
    p: float


def relabellings(first: int, second: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Ways to part the pooled sample: ``(ways, first + second)``, 1 for the first sample; row 0 is the one seen.

    All of them where there are at most ``MOST_RELABELLINGS``, else as many as half of that, drawn at random.
    """
    total = first + second
    if comb(total, first) <= MOST_RELABELLINGS:
        chosen = np.array(list(combinations(range(total), first)))
    else:
        generator = np.random.default_rng(seed)
        drawn = [generator.permutation(total)[:first] for _ in range(MOST_RELABELLINGS // 2 - 1)]
        chosen = np.array([np.arange(first), *drawn])
    labels = np.zeros((len(chosen), total))
    np.put_along_axis(labels, chosen, 1.0, axis=1)
    return labels


def least_p(first: int, second: int) -> float:
    """The least p-value that samples of these sizes can reach: so few members cannot be surer.

    In samples of one size every relabelling has a mirror image, which is as far apart.
    """
    ways = comb(first + second, first)
    if ways > MOST_RELABELLINGS:
        return 2 / MOST_RELABELLINGS
    return (2 if first == second else 1) / ways


def energy_test(distances: NDArray[np.float64], labels: NDArray[np.float64]) -> EnergyTest:
    """The energy distance of two samples (Székely and Rizzo 2013, "Energy statistics"), tested by permutation.

    It is nought only where both distributions are alike in every respect, and is the maximum mean discrepancy of the
    distance's kernel (Sejdinovic et al. 2013). The coefficient is 2 E|X-Y| - E|X-X'| - E|Y-Y'| over 2 E|X-Y|.

    Args:
        distances: ``(n, n)``, symmetric, between all members of the pooled sample.
        labels: of ``relabellings``.
    """
    first, second = labels[0].sum(), (1 - labels[0]).sum()
    statistics = []
    coefficient = 0.0
    for start in range(0, len(labels), _CHUNK):
        ones = labels[start : start + _CHUNK]
        others = 1 - ones
        towards = ones @ distances
        within_first = (towards * ones).sum(axis=1) / first**2
        between = (towards * others).sum(axis=1) / (first * second)
        within_second = ((others @ distances) * others).sum(axis=1) / second**2
        statistics.append(2 * between - within_first - within_second)
        if start == 0:
            coefficient = float(statistics[0][0] / (2 * between[0])) if between[0] > 0 else 0.0
    return EnergyTest(coefficient, _share_as_extreme(np.concatenate(statistics)))


def effect(values: NDArray[np.float64], labels: NDArray[np.float64]) -> Effect:
    """Hedges' g of the first sample against the second, and the permutation test of their means' difference.

    The interval is that of Hedges and Olkin (1985, chapter 5) with Student's quantile in place of the normal one, which
    widens it for few members. ``values`` are those of the pooled sample, ``(n,)``.
    """
    first, second = labels[0].sum(), (1 - labels[0]).sum()
    differences = labels @ values / first - (1 - labels) @ values / second
    p = _share_as_extreme(np.abs(differences))
    ones = labels[0] == 1
    freedom = first + second - 2
    squares = sum(float(np.square(part - part.mean()).sum()) for part in (values[ones], values[~ones]))
    if freedom < 1 or squares <= 0:
        return Effect(None, None, p)
    correction = 1 - 3 / (4 * freedom - 1)
    g = float(correction * differences[0] / sqrt(squares / freedom))
    error = sqrt((first + second) / (first * second) + g**2 / (2 * (first + second)))
    reach = float(student.ppf(0.5 + LEVEL / 2, freedom)) * error
    return Effect(g, (g - reach, g + reach), p)


def _share_as_extreme(statistics: NDArray[np.float64]) -> float:
    """The share of relabellings with a statistic as great as the first, which is the one that was seen."""
    margin = _TOLERANCE * max(1.0, abs(float(statistics[0])))
    return float(np.mean(statistics >= statistics[0] - margin))
