"""Making a split of a collection: who goes where, by the method that was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.catalog.splits import LEFT_OUT, SPLITS, glnet_splits
from core.catalog.splitting.methods import (
    Sides,
    deal_groups,
    deal_random,
    deal_rest,
    deal_stratified,
    joined,
    merge_groups,
)
from core.catalog.splitting.plans import BY_HAND, MOST_FOLDS, Members, NewSplit, Place
from core.catalog.tile_table import TileTable
from core.errors import InputError
from core.tables import SplitPlan

GLNET, RANDOM, STRATIFIED, GROUPED, HOLD_OUT, LISTS = "glnet", "random", "stratified", "grouped", "hold out", "lists"
METHODS = {
    STRATIFIED: "alike in class shares",
    RANDOM: "random",
    GROUPED: "by whole groups",
    HOLD_OUT: "one group held out",
    GLNET: "GLNet's lists",
    BY_HAND: "by hand",
    LISTS: "from lists",
}
"""The ways in which a split comes about, and what they are called."""

DEALT = (STRATIFIED, RANDOM, GROUPED)
"""The methods that deal by shares and a seed, to sides or to folds."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Tiles that belong together, by a rule: the group of each tile by its name, and what they are for a person."""

    words: str
    of_tile: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SplitRequest:
    """How to split.

    ``shares`` of train, val and test sum to 1. With ``folds`` the tiles that are not for the test are dealt to so many
    equal folds, and the shares of train and val do not matter. ``groups`` are for ``GROUPED`` and ``HOLD_OUT``; tiles
    in none are left out. ``held_out`` is the group that goes to ``held_side``. ``together`` are pairs of tile ids that
    have to be on one side. ``base`` is what ``BY_HAND`` starts from and ``LISTS`` is, ``source`` its name.
    """

    method: str
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    seed: int = 0
    folds: int | None = None
    groups: Groups | None = None
    held_out: str = ""
    held_side: str = "val"
    together: Sequence[tuple[int, int]] | None = None
    base: Members = field(default_factory=dict)
    source: str = ""


def make_split(table: TileTable, request: SplitRequest, name: str) -> NewSplit:
    """The split of a collection's tiles that was asked for, not kept yet.

    Raises ``InputError`` for shares, folds or groups that cannot be, and where nothing is labelled to stratify by.
    """
    if request.method not in DEALT and (request.folds is not None or request.together is not None):
        raise InputError(
            "Folds, and keeping related tiles together, are for tiles that are dealt; take another method."
        )
    if request.method == GLNET:
        return _by_lists(table, glnet_splits(), name)
    if request.method in (BY_HAND, LISTS):
        known = {row.name for row in table.rows}
        kept = {tile: place for tile, place in request.base.items() if tile in known and place.split != LEFT_OUT}
        judge = next((p.fold for p in kept.values() if p.fold is not None and p.split == "val"), None)
        return NewSplit(name, request.method, kept, {"started from": request.source}, judge)
    if request.method == HOLD_OUT:
        return _hold_out(request, name)
    return _deal(table, request, name)


def class_vectors(table: TileTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 6) the classes' shares of the labelled pixels of each tile, NaN without any, and (n,) how many those are."""
    labelled = np.nansum(table.shares, axis=1)
    pixels = labelled * table.tiles.pixels
    return np.where(labelled[:, None] > 0, table.shares / np.maximum(labelled, 1e-12)[:, None], np.nan), pixels


def told(row: SplitPlan) -> str:
    """How a split was made, in one sentence."""
    said: Mapping[str, Any] = row.parameters
    parts = [METHODS.get(row.method, row.method)]
    if "shares" in said and not said.get("folds"):
        parts.append(" / ".join(f"{100 * share:.0f}" for share in said["shares"]) + " %")
    if said.get("folds"):
        aside = f", {100 * said['shares'][2]:.0f} % kept for the test" if said["shares"][2] else ""
        parts.append(f"{said['folds']} folds of whole tiles{aside}")
    if said.get("groups"):
        parts.append(str(said["groups"]))
    if said.get("held out"):
        parts.append(f"'{said['held out']}' to {said['held side']}")
    if "together" in said:
        parts.append(f"related tiles kept together ({said['together']} pairs)")
    if "seed" in said:
        parts.append(f"seed {said['seed']}")
    if said.get("started from"):
        parts.append(f"from '{said['started from']}'")
    if said.get("copy of"):
        parts.append(f"a copy of '{said['copy of']}'")
    if row.moved:
        parts.append(f"then {row.moved} tile{'' if row.moved == 1 else 's'} moved")
    sentence = ", ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _by_lists(table: TileTable, lists: Mapping[str, str], name: str) -> NewSplit:
    places = {row.name: Place(lists[row.name]) for row in table.rows if row.name in lists}
    if not places:
        raise InputError("No tile of this collection is in GLNet's lists of DeepGlobe's tiles; take another method.")
    return NewSplit(name, GLNET, places)


def _hold_out(request: SplitRequest, name: str) -> NewSplit:
    groups = _groups(request)
    if request.held_out not in groups.of_tile.values():
        known = ", ".join(sorted(set(groups.of_tile.values()))[:12])
        raise InputError(f"There is no group '{request.held_out}' to hold out; choose one of: {known}.")
    if request.held_side not in ("val", "test"):
        raise InputError(f"A group is held out to val or test, not to '{request.held_side}'.")
    places = {
        tile: Place(request.held_side if group == request.held_out else "train")
        for tile, group in groups.of_tile.items()
    }
    said = {"groups": groups.words, "held out": request.held_out, "held side": request.held_side}
    return NewSplit(name, HOLD_OUT, places, said)


def _deal(table: TileTable, request: SplitRequest, name: str) -> NewSplit:
    if request.method not in DEALT:
        raise InputError(f"'{request.method}' is no way to split; choose one of: {', '.join(METHODS)}.")
    _check_shares(request)
    vectors, _ = class_vectors(table)
    if request.method == STRATIFIED and np.isnan(vectors).all():
        raise InputError("Nothing of this collection is labelled, so there are no class shares; split it at random.")
    said: dict[str, Any] = {"shares": list(request.shares), "seed": request.seed}
    members = np.arange(len(table.rows))
    groups = None
    if request.method == GROUPED:
        given = _groups(request)
        said["groups"] = given.words
        members = np.array([i for i, row in enumerate(table.rows) if row.name in given.of_tile], np.intp)
        names = [given.of_tile[table.rows[i].name] for i in members]
        groups = np.unique(names, return_inverse=True)[1].astype(np.int64)
    if request.together is not None:
        said["together"] = len(request.together)
        related = joined(len(table.rows), _row_pairs(table, request.together))[members]
        groups = related if groups is None else merge_groups(groups, related)
    has_mask = table.tiles.has_mask[members]
    deal = _Dealer(request.method, vectors[members], has_mask, groups, request.seed)
    if request.folds is None:
        sides = deal.sides(np.arange(len(members)), request.shares)
        places = [Place(SPLITS[side]) for side in sides]
    else:
        said["folds"] = request.folds
        places = _fold_places(deal, len(members), request.folds, request.shares[2])
    named = {table.rows[i].name: place for i, place in zip(members.tolist(), places, strict=True)}
    return NewSplit(name, request.method, named, said, judge=None if request.folds is None else 0)


@dataclass(frozen=True, eq=False)
class _Dealer:
    """Deals some of the tiles: (n, 6) class shares, (n,) whether a tile has a mask, (n,) groups or None."""

    method: str
    vectors: NDArray[np.float64]
    has_mask: NDArray[np.bool_]
    groups: NDArray[np.int64] | None
    seed: int

    def sides(self, rows: NDArray[np.intp], shares: Sequence[float]) -> Sides:
        """The sides of the tiles of these row numbers."""
        masks, vectors = self.has_mask[rows], self.vectors[rows]
        if self.groups is not None:
            amounts = masks[:, None].astype(float)
            if self.method != RANDOM:
                amounts = np.hstack([amounts, np.nan_to_num(vectors)])
            groups = np.unique(self.groups[rows], return_inverse=True)[1].astype(np.int64)
            return deal_groups(groups, shares, self.seed, amounts=amounts)
        if self.method == STRATIFIED:
            return deal_stratified(vectors, shares, self.seed)
        sides = np.empty(len(rows), np.int64)
        # Apart, so that tiles with a mask validate too.
        sides[masks] = deal_random(int(masks.sum()), shares, self.seed)
        sides[~masks] = deal_rest(int((~masks).sum()), shares, self.seed)
        return sides


def _fold_places(deal: _Dealer, count: int, folds: int, test_share: float) -> list[Place]:
    rows = np.arange(count)
    tested = deal.sides(rows, (1 - test_share, test_share)) == 1 if test_share > 0 else np.zeros(count, np.bool_)
    rest = rows[~tested]
    if not 2 <= folds <= min(MOST_FOLDS, len(rest)):
        raise InputError(
            f"{len(rest)} tiles can be dealt to 2 to {min(MOST_FOLDS, len(rest))} folds, not to {folds}; ask for "
            "another number."
        )
    of_row = dict(zip(rest.tolist(), deal.sides(rest, [1 / folds] * folds).tolist(), strict=True))
    return [
        Place("val" if of_row[row] == 0 else "train", of_row[row]) if row in of_row else Place("test")
        for row in range(count)
    ]


def _check_shares(request: SplitRequest) -> None:
    shares = request.shares
    if len(shares) != len(SPLITS) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError("The shares of train, val and test are none below 0 and sum to 100 %; mend them.")
    if request.folds is None and shares[0] == 0:
        raise InputError("The share of train is 0, so that there would be nothing to train on; raise it.")
    if request.folds is not None and shares[2] >= 1:
        raise InputError("All tiles are kept for the test, so that there are none for folds; lower its share.")


def _groups(request: SplitRequest) -> Groups:
    if request.groups is None or not request.groups.of_tile:
        raise InputError("No tile of this collection is in any of these groups; name regions of its tiles.")
    return request.groups


def _row_pairs(table: TileTable, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    number = table.tiles.number_of
    return [(number[first], number[second]) for first, second in pairs if first in number and second in number]
