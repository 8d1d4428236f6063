"""Leaks of a split: tiles that belong together (``related``) on two of its sides, and how they are brought together.

A run that trained on one of two such tiles and is judged on the other is judged on what it has seen. In a split of
folds every fold judges once, so that two folds are two sides.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.catalog.alike.related import KINDS, RelatedPair, RelatedPairs
from core.catalog.splitting.methods import joined
from core.catalog.splitting.plans import Place

_KINDS_IN_WORDS = {
    "same file": ("pair of equal files", "pairs of equal files"),
    "near duplicate": ("near duplicate", "near duplicates"),
    "neighbours": ("pair of neighbours", "pairs of neighbours"),
}


@dataclass(frozen=True, slots=True)
class Leak:
    """Two related tiles on two sides, and what is related to them, directly or not.

    ``sides`` are what the pair's two are on, in words. ``moves`` brings all of ``group`` (tile ids, ascending) to one
    place: by tile id, for those that are elsewhere.
    """

    pair: RelatedPair
    sides: tuple[str, str]
    group: tuple[int, ...]
    moves: Mapping[int, Place]


def find_leaks(related: RelatedPairs, places: Mapping[int, Place]) -> list[Leak]:
    """The related pairs on two sides, in the order of ``related``; ``places`` by tile id, without tiles left out."""
    pairs = [pair for pair in related.pairs if pair.first in places and pair.second in places]
    leaking = [pair for pair in pairs if places[pair.first].fixed != places[pair.second].fixed]
    if not leaking:
        return []
    ids = sorted({tile_id for pair in pairs for tile_id in (pair.first, pair.second)})
    number = {tile_id: row for row, tile_id in enumerate(ids)}
    numbers = joined(len(ids), [(number[pair.first], number[pair.second]) for pair in pairs]).tolist()
    groups: dict[int, list[int]] = {}
    for tile_id, group in zip(ids, numbers, strict=True):
        groups.setdefault(group, []).append(tile_id)
    moves = {group: _moves(members, places) for group, members in groups.items()}
    return [
        Leak(
            pair,
            (side_words(places[pair.first]), side_words(places[pair.second])),
            tuple(groups[numbers[number[pair.first]]]),
            moves[numbers[number[pair.first]]],
        )
        for pair in leaking
    ]


def all_moves(leaks: Iterable[Leak]) -> dict[int, Place]:
    """What brings all of them together, by tile id."""
    return {tile_id: place for leak in leaks for tile_id, place in leak.moves.items()}


def leaks_in_words(pairs: Sequence[RelatedPair]) -> str:
    """How many pairs of each kind, as in '2 near duplicates and 1 pair of neighbours'."""
    counts = Counter(pair.kind for pair in pairs)
    parts = [f"{counts[kind]:,} {_KINDS_IN_WORDS[kind][counts[kind] != 1]}" for kind in KINDS if counts[kind]]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else "none"


def side_words(place: Place) -> str:
    """What a place is called: train, val, test, or its fold."""
    return place.split if place.fold is None else f"fold {place.fold + 1}"


def _moves(group: Sequence[int], places: Mapping[int, Place]) -> dict[int, Place]:
    """Where those of a group go that are not where most of it is; of equals train, then the first fold."""
    counts = Counter(places[tile_id] for tile_id in group)
    goal = max(
        counts, key=lambda place: (counts[place], place.split == "train" or place.fold is not None, _last(place))
    )
    return {tile_id: goal for tile_id in group if places[tile_id].fixed != goal.fixed}


def _last(place: Place) -> int:
    return 0 if place.fold is None else -place.fold
