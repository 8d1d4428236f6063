"""How alike the sides of a split are: tiles, labelled ground and class shares of each, beside a random split."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.catalog.splits import SPLITS
from core.catalog.splitting.making import class_vectors
from core.catalog.splitting.methods import mean_deviation
from core.catalog.splitting.plans import Place
from core.catalog.tile_table import TileTable

DRAWS = 99
"""Random splits of the same sizes that a split is compared with."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side: its name, its tiles, those of them with labels, and the class shares of its labelled pixels, if any."""

    name: str
    tiles: int
    labelled: int
    shares: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Balance:
    """The sides of a split in order, and how far their class shares lie from those of all labelled tiles in it.

    ``overall`` are the class shares of those. ``deviation`` is the mean over classes and sides (with labels) of the
    absolute difference, 0 to 1;
    ``random`` the same of random splits of the same sizes: median, lowest and highest of ``DRAWS``. Both are None with
    fewer than two sides with labels. ``measured`` is how many tiles they were measured on, ``left_out`` how many tiles
    of the collection the split leaves out.
    """

    sides: tuple[Side, ...]
    overall: tuple[float, ...] | None
    deviation: float | None
    random: tuple[float, float, float] | None
    measured: int
    left_out: int


def balance(table: TileTable, places: Mapping[str, Place]) -> Balance:
    """The balance of a split of a collection; ``places`` by tile name."""
    vectors, pixels = class_vectors(table)
    folds = sorted({place.fold for place in places.values() if place.fold is not None})
    order: list[str | int] = [*folds, *(["test"] if folds else SPLITS)]
    code = {key: number for number, key in enumerate(order)}
    numbers = np.array([code[places[row.name].fixed] if row.name in places else -1 for row in table.rows], np.int64)
    known = ~np.isnan(vectors[:, 0]) & (numbers >= 0)
    sides = []
    for key, number in code.items():
        members = numbers == number
        if folds and key == "test" and not members.any():
            continue
        some = members & known
        shares = np.average(vectors[some], axis=0, weights=pixels[some]) if some.any() else None
        name = str(key) if isinstance(key, str) else f"fold {key + 1}"
        sides.append(
            Side(name, int(members.sum()), int(some.sum()), None if shares is None else tuple(shares.tolist()))
        )
    deviation = mean_deviation(numbers, vectors, pixels, len(order))
    overall = np.average(vectors[known], axis=0, weights=pixels[known]) if known.any() else None
    return Balance(
        tuple(sides),
        None if overall is None else tuple(overall.tolist()),
        deviation,
        None if deviation is None else _at_random(numbers[known], vectors[known], pixels[known], len(order)),
        int(known.sum()),
        int((numbers < 0).sum()),
    )


def _at_random(
    sides: NDArray[np.int64], vectors: NDArray[np.float64], pixels: NDArray[np.float64], count: int
) -> tuple[float, float, float]:
    generator = np.random.default_rng(0)
    drawn = [mean_deviation(generator.permutation(sides), vectors, pixels, count) or 0.0 for _ in range(DRAWS)]
    return float(np.median(drawn)), min(drawn), max(drawn)
