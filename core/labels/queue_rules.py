"""The rules that order the tiles still to be labelled, each a pure function with its formula and where it comes from.

Each gives every tile a worth (more comes first; NaN where what the rule needs is not known, such tiles come last in
the given order) and a reason in a few words.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_NAMES
from core.labels.instances import MARKS
from core.labels.queue_facts import Facts

DEFAULT_SECONDS_PER_CLASS = 60.0
"""What a tile is expected to take per effective class before anybody has finished some: our assumption."""
PACE_TILES = 3
"""Finished tiles from which their logged times are used instead."""
LEAST_SHARE = 0.01
"""Below it a predicted share is as likely the run's doubt as the class: sending somebody there for it is idle."""
_HALF_WORTH = MARKS[0]


class Rule(StrEnum):
    """What decides which tile comes next."""

    GIVEN = "given order"
    RANDOM = "random"
    UNCERTAIN = "most uncertain"
    RAREST = "rarest class first"
    DIVERSE = "most diverse"
    WORTH = "worth per minute"
    MEND = "mistakes sent from Evaluate"
    PICKED = "picked in Browse"


Needs = Literal["nothing", "embedding", "run"]


@dataclass(frozen=True, slots=True)
class Account:
    """What a person is told of a rule: what it does, how it is computed, where that comes from, and what it needs."""

    sentence: str
    formula: str
    source: str
    needs: Needs


ACCOUNTS: dict[Rule, Account] = {
    Rule.GIVEN: Account(
        "The tiles one after the other, by name.", "numbers by their value, other names by their letters", "", "nothing"
    ),
    Rule.RANDOM: Account(
        "By lot. What you label is then a fair sample of the collection, as a test set should be.",
        "by the SHA-256 of seed and tile name: the same seed always draws the same order",
        "",
        "nothing",
    ),
    Rule.UNCERTAIN: Account(
        "The tile that the run is least sure of.",
        "u = mean over the cells of -sum p log p, divided by log 6; 0 is sure, 1 is no idea",
        "entropy sampling, Settles 2009, Active learning literature survey, section 3.1",
        "run",
    ),
    Rule.RAREST: Account(
        "The tile with most of the class that has the fewest labelled instances so far.",
        f"predicted share of that class; one that the run expects nowhere at {LEAST_SHARE:.0%} or more does not count",
        "our own, after the rule of 20 to 50 instances for every class",
        "run",
    ),
    Rule.DIVERSE: Account(
        "The tile that is least like any tile labelled so far.",
        "farthest first: the greatest distance to the nearest labelled or already chosen tile, between mean feature "
        "vectors of length 1; the most typical tile where nothing is labelled yet",
        "Gonzalez 1985; as core-set selection, Sener and Savarese 2018",
        "embedding",
    ),
    Rule.WORTH: Account(
        "What a minute of labelling is likely to bring most for.",
        f"u x r / minutes. u: uncertainty. r = sum over classes of predicted share / (1 + n / {_HALF_WORTH}), n the "
        "labelled instances of the class. minutes: effective number of classes (exp of the entropy of the predicted "
        f"shares) x the median minutes per effective class of the finished tiles, {DEFAULT_SECONDS_PER_CLASS / 60:g} "
        f"before {PACE_TILES} are finished",
        "gain per cost: Haertel and others 2008, Return on investment for active learning; effective number: Hill 1973",
        "run",
    ),
    Rule.MEND: Account(
        "The tile with the largest area of mistakes that somebody sent here from a confusion matrix.",
        "the sum of the pixels of its places; tiles without any come last",
        "",
        "nothing",
    ),
    Rule.PICKED: Account(
        "The tiles that somebody selected in Browse's gallery, and no others.",
        "in the order in which they stood there",
        "",
        "nothing",
    ),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule says of one tile: more ``worth`` comes first, NaN means that it cannot say."""

    worth: float
    reason: str


NO_FACTS = "not looked at yet"


def draw_lots(names: Sequence[str], *, seed: int) -> list[Judged]:
    """A random order that stays the same when tiles join or leave."""
    drawn = [hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8] for name in names]
    return [Judged(int.from_bytes(lot, "big") / 2**64, "drawn by lot") for lot in drawn]


def judge_picked(places: Sequence[int | None], *, count: int) -> list[Judged]:
    """Of each tile its place among the ``count`` picked ones, from 0; None where it is none of them."""
    return [
        _unknown() if place is None else Judged(-place, f"picked in Browse, {place + 1} of {count}") for place in places
    ]


def judge_mending(mistakes: Sequence[tuple[Sequence[str], int]]) -> list[Judged]:
    """Of each tile: what was taken for what at each of its places, in words, and how many pixels they have together."""
    return [
        Judged(pixels, f"{' and '.join(dict.fromkeys(words))}, {len(words)} {'place' if len(words) == 1 else 'places'}")
        if words
        else Judged(math.nan, "nothing was sent of it")
        for words, pixels in mistakes
    ]


def judge_uncertainty(facts: Sequence[Facts | None]) -> list[Judged]:
    """Mean entropy of the cells' class probabilities, 0 to 1."""
    return [
        Judged(known.uncertainty, f"uncertainty {_short(known.uncertainty)}")
        if known is not None and known.uncertainty is not None
        else _unknown()
        for known in facts
    ]


def judge_rarest(facts: Sequence[Facts | None], instances: Sequence[int]) -> list[Judged]:
    """Predicted share of the class with the fewest labelled instances.

    Only classes that take ``LEAST_SHARE`` of some tile are candidates. ``instances`` are the labelled ones per class.
    Of classes with equally few, the one predicted least counts.
    """
    shares = [_shares(known) for known in facts]
    known_shares = [share for share in shares if share is not None]
    if not known_shares:
        return [_unknown() for _ in facts]
    predicted = np.sum(known_shares, axis=0)
    candidates = np.flatnonzero(np.max(known_shares, axis=0) >= LEAST_SHARE)
    rarest = min(map(int, candidates), key=lambda c: (instances[c], predicted[c]))
    name, count = CLASS_NAMES[rarest], instances[rarest]
    says = f"{name} is rarest ({count} {'instance' if count == 1 else 'instances'})"
    return [
        _unknown() if share is None else Judged(float(share[rarest]), f"{says}, {share[rarest]:.0%} of this tile")
        for share in shares
    ]


def farthest_first(
    embeddings: NDArray[np.float32], *, chosen: NDArray[np.float32], count: int
) -> list[tuple[int, float]]:
    """Greedy farthest-first traversal (T. F. Gonzalez, Clustering to minimize the maximum intercluster distance, 1985).

    Args:
        embeddings: float32 (n, d), the vectors to choose from.
        chosen: float32 (m, d), those that are taken already; with m = 0 the first is the one nearest to the mean.
        count: how many to choose.

    Returns the chosen rows in order, each with its Euclidean distance to the nearest one taken before it (infinite for
    the first of all).
    """
    nearest = np.full(len(embeddings), np.inf)
    for taken in chosen:
        nearest = np.minimum(nearest, np.linalg.norm(embeddings - taken, axis=1))
    order: list[tuple[int, float]] = []
    for _ in range(min(count, len(embeddings))):
        if np.isinf(nearest).all():
            row = int(np.linalg.norm(embeddings - embeddings.mean(axis=0), axis=1).argmin())
        else:
            row = int(nearest.argmax())
        order.append((row, float(nearest[row])))
        nearest = np.minimum(nearest, np.linalg.norm(embeddings - embeddings[row], axis=1))
        nearest[row] = -np.inf
    return order


def judge_diversity(facts: Sequence[Facts | None], labelled: Sequence[Facts], *, count: int) -> list[Judged]:
    """Farthest first from what is labelled, for the first ``count`` tiles; the others cannot be told apart by it."""
    judged = [_unknown() for _ in facts]
    rows = [row for row, known in enumerate(facts) if known is not None]
    vectors = [known.embedding for known in facts if known is not None]
    if not vectors:
        return judged
    # Vectors of another encoder have another length and cannot be compared.
    taken = [known.embedding for known in labelled if known.embedding.shape == vectors[0].shape]
    rows = [row for row, vector in zip(rows, vectors, strict=True) if vector.shape == vectors[0].shape]
    same = np.array([vector for vector in vectors if vector.shape == vectors[0].shape])
    chosen = np.array(taken, np.float32).reshape(-1, same.shape[1])
    for place, (index, distance) in enumerate(farthest_first(same, chosen=chosen, count=count)):
        reason = (
            f"unlike those before it (distance {_short(distance)})" if np.isfinite(distance) else "the most typical"
        )
        judged[rows[index]] = Judged(-place, reason)
    return judged


def rarity(instances: Sequence[int]) -> NDArray[np.float64]:
    """How much another instance of each class is worth, 1 at none labelled and a half at 20: float64 (6,)."""
    return 1 / (1 + np.asarray(instances, np.float64) / _HALF_WORTH)


def effective_classes(shares: NDArray[np.float64]) -> float:
    """Hill's number of order 1: exp of the entropy of the class shares, 1 for one class, 6 for six alike.

    M. O. Hill, Diversity and evenness: a unifying notation and its consequences, Ecology 54, 1973.
    """
    present = shares[shares > 0]
    return float(np.exp(-(present * np.log(present)).sum()))


def seconds_per_class(finished: Sequence[tuple[float, Facts | None]]) -> float:
    """The pace: the median over finished tiles of (logged seconds, facts) of seconds per effective class.

    The default before ``PACE_TILES`` tiles tell. A tile without logged time was imported and tells nothing.
    """
    paces = [
        seconds / effective_classes(shares)
        for seconds, known in finished
        if seconds > 0 and (shares := _shares(known)) is not None
    ]
    return float(np.median(paces)) if len(paces) >= PACE_TILES else DEFAULT_SECONDS_PER_CLASS


def judge_worth(facts: Sequence[Facts | None], instances: Sequence[int], *, pace: float) -> list[Judged]:
    """Expected gain x rarity / expected minutes; ``pace`` is in seconds per effective class."""
    weights = rarity(instances)
    judged = []
    for known in facts:
        shares = _shares(known)
        if known is None or known.uncertainty is None or shares is None:
            judged.append(_unknown())
            continue
        rare = float(shares @ weights)
        minutes = pace * effective_classes(shares) / 60
        draw = CLASS_NAMES[int((shares * weights).argmax())]
        reason = (
            f"uncertainty {_short(known.uncertainty)}, rarity {_short(rare)} (most by {draw}), about {minutes:.1f} min"
        )
        judged.append(Judged(known.uncertainty * rare / minutes, reason))
    return judged


def _shares(known: Facts | None) -> NDArray[np.float64] | None:
    return None if known is None else known.class_shares


def _unknown() -> Judged:
    return Judged(float("nan"), NO_FACTS)


def _short(value: float) -> str:
    """'.41' for 0.41, as the scores are written elsewhere."""
    return f"{value:.2f}".removeprefix("0")
