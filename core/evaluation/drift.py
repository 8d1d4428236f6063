"""Is a collection like what a run was trained on? Told from the images alone, without any truth.

A classifier that was good where it was trained is no longer to be believed where the images are others: another city,
season, sensor or light. Each tile is taken for one member of a sample (its pixels are alike), and the new tiles are
compared with the run's training tiles:

- features: the energy distance between the tiles' mean features, tested by permutation;
- colours: the same between six colour statistics (``tile_profiles``);
- each single statistic, the confidence and the predicted class shares: Hedges' g, tested by permutation.

The verdict rests on the first two, corrected by Holm for being two. Everything below it explains; those p-values are
corrected for the number of rows. Confidence and class shares are no part of the verdict: a run is surer on tiles that
it has learnt, and another mixture of classes alone need not make it wrong.

Measured with tiles of DeepGlobe alone, 37 parted at random into 9 training tiles and 4 new ones: 3 % were called
different. Four tiles of Dubai against 9 of DeepGlobe: all of 150.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_NAMES
from core.evaluation.jackknife import LEVEL
from core.evaluation.tile_profiles import COLOUR_STATISTICS, TileProfile
from core.evaluation.two_samples import effect, energy_test, least_p, relabellings
from core.evaluation.verdicts import holm

Verdict = Literal["alike", "different", "cannot tell"]

FEW = 10
"""Samples with fewer tiles find only large differences."""
NEAREST = 3
_ALPHA = 1 - LEVEL


@dataclass(frozen=True, slots=True)
class GroupTest:
    """The energy test of one group of figures; ``corrected`` is the p-value after Holm."""

    group: str
    coefficient: float
    p: float
    corrected: float


@dataclass(frozen=True, slots=True)
class StatisticShift:
    """One figure's mean over the new and the training tiles, and how far they are apart.

    ``g`` is Hedges' g (new minus training) with its 95 % ``interval``, None without any spread; ``corrected`` the
    p-value after Holm over all rows.
    """

    group: str
    name: str
    new: float
    training: float
    g: float | None
    interval: tuple[float, float] | None
    p: float
    corrected: float


@dataclass(frozen=True, slots=True)
class TileDistance:
    """How far a new tile's features lie from the training tiles'.

    ``nearest`` holds the indices of the nearest training tiles, ``distance`` is to the first of them, in standard
    deviations of a cell's features. ``further_than`` is the share of the training tiles that lie nearer to another
    training tile than that, each left out in turn.
    """

    distance: float
    further_than: float
    nearest: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """The comparison of a collection's tiles with the training tiles; ``least_p`` is the least p-value possible."""

    verdict: Verdict
    groups: tuple[GroupTest, ...]
    shifts: tuple[StatisticShift, ...]
    tiles: tuple[TileDistance, ...]
    new_tiles: int
    training_tiles: int
    least_p: float

    def as_dict(self) -> dict[str, Any]:
        """The comparison as a JSON-able dictionary."""
        return asdict(self)


def compare_profiles(new: Sequence[TileProfile], training: Sequence[TileProfile]) -> Drift:
    """Compare new tiles with training tiles.

    Raises ``ValueError`` for no new tile or fewer than two training tiles.
    """
    if not new or len(training) < 2:
        raise ValueError("drift needs a new tile and two training tiles")
    both = [*new, *training]
    labels = relabellings(len(new), len(training))
    between = feature_distances(both)
    tests = {"features": energy_test(between, labels), "colours": energy_test(_colour_distances(both), labels)}
    least = least_p(len(new), len(training))
    corrected = holm({name: test.p for name, test in tests.items()})
    return Drift(
        verdict=_verdict(min(corrected.values()), least * len(tests)),
        groups=tuple(GroupTest(name, test.coefficient, test.p, corrected[name]) for name, test in tests.items()),
        shifts=tuple(_shifts(both, labels, len(new))),
        tiles=tuple(_distances_to_training(between, len(new))),
        new_tiles=len(new),
        training_tiles=len(training),
        least_p=least,
    )


def feature_distances(profiles: Sequence[TileProfile]) -> NDArray[np.float64]:
    """The distances between tiles' mean features, ``(n, n)``, in standard deviations of a cell over all of them.

    The root of the mean square over the channels. That all tiles set the scale, and not the training tiles alone, keeps
    the permutation test exact.
    """
    means = np.stack([one.feature_means for one in profiles])
    squares = np.stack([one.feature_squares for one in profiles]).mean(axis=0)
    return _root_mean_square(means, np.sqrt(np.maximum(squares - means.mean(axis=0) ** 2, 0)))


def verdict_sentence(drift: Drift, *, collection: str, run: str) -> str:
    """What the comparison says, in one sentence or two."""
    new, trained = f"{drift.new_tiles} tile{'s' * (drift.new_tiles > 1)}", f"{drift.training_tiles} training tiles"
    if drift.verdict == "cannot tell":
        return (
            f"Cannot tell whether {collection} is like what run {run} was trained on: {new} and {trained} are "
            f"too few for any test (its p-value cannot get below {drift.least_p:.2g})."
        )
    p_values = ", ".join(f"{group.group} p = {_p(group.corrected)}" for group in drift.groups)
    if drift.verdict == "alike":
        few = min(drift.new_tiles, drift.training_tiles) < FEW
        caution = " With so few tiles, only a large difference would have been noticed." if few else ""
        return (
            f"{collection} looks like what run {run} was trained on: its {new} differ from the {trained} by "
            f"no more than chance ({p_values}).{caution}"
        )
    which = " and ".join(group.group for group in drift.groups if group.corrected <= _ALPHA)
    return (
        f"{collection} differs from what run {run} was trained on: the {which} of its {new} differ from those of the "
        f"{trained} by more than chance ({p_values}). Expect lower scores; label some of these tiles and "
        "train on them too."
    )


def distance_sentence(drift: Drift) -> str:
    """How far the new tiles lie, against how far the training tiles lie from each other."""
    middle = float(np.median([tile.further_than for tile in drift.tiles]))
    beyond = sum(tile.further_than == 1 for tile in drift.tiles)
    return (
        f"The middle one of the new tiles lies further from its nearest training tile than {middle:.0%} of the "
        f"training tiles do from theirs; {beyond} of {drift.new_tiles} lie further than all of them."
    )


def _verdict(p: float, least: float) -> Verdict:
    """``p`` and the ``least`` that it could be, both corrected."""
    if p <= _ALPHA:
        return "different"
    return "cannot tell" if least > _ALPHA else "alike"


def _colour_distances(profiles: Sequence[TileProfile]) -> NDArray[np.float64]:
    colours = np.stack([one.colours for one in profiles])
    return _root_mean_square(colours, colours.std(axis=0))


def _root_mean_square(values: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = values / np.where(scale > 0, scale, 1)
    squares = np.square(scaled).mean(axis=1)
    products = scaled @ scaled.T / scaled.shape[1]
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
    np.fill_diagonal(distances, 0)
    return distances


def _shifts(both: Sequence[TileProfile], labels: NDArray[np.float64], new: int) -> list[StatisticShift]:
    rows = [("colours", name, np.array([one.colours[i] for one in both])) for i, name in enumerate(COLOUR_STATISTICS)]
    rows += _predicted(both)
    effects = [effect(values, labels) for _, _, values in rows]
    corrected = holm({number: one.p for number, one in enumerate(effects)})
    return [
        StatisticShift(
            group,
            name,
            new=float(values[:new].mean()),
            training=float(values[new:].mean()),
            g=found.g,
            interval=found.interval,
            p=found.p,
            corrected=corrected[number],
        )
        for number, ((group, name, values), found) in enumerate(zip(rows, effects, strict=True))
    ]


def _predicted(both: Sequence[TileProfile]) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Confidence and class shares, where a run was asked."""
    confidences = [one.confidence for one in both if one.confidence is not None]
    shares = [one.class_shares for one in both if one.class_shares is not None]
    if len(confidences) < len(both) or len(shares) < len(both):
        return []
    by_class = np.stack(shares)
    return [
        ("confidence", "mean confidence", np.array(confidences)),
        *(("class shares", f"predicted {name}", by_class[:, i]) for i, name in enumerate(CLASS_NAMES)),
    ]


def _distances_to_training(between: NDArray[np.float64], new: int) -> list[TileDistance]:
    among = between[new:, new:] + np.diag(np.full(len(between) - new, np.inf))
    usual = among.min(axis=1)
    found = []
    for row in between[:new, new:]:
        order = np.argsort(row, kind="stable")[:NEAREST]
        distance = float(row[order[0]])
        found.append(TileDistance(distance, float(np.mean(usual < distance)), tuple(order.tolist())))
    return found


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"
