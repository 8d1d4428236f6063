"""A split as one looks at it: who is where, how alike its sides are, what leaks, and which runs hold it frozen."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.catalog.alike.related import RelatedPairs, related_pairs
from core.catalog.keeper import Keeper
from core.catalog.splitting import plans as split_plans
from core.catalog.splitting.balance import Balance, balance
from core.catalog.splitting.leaks import Leak, all_moves, find_leaks
from core.catalog.splitting.making import told
from core.catalog.splitting.plans import AS_IT_CAME, Members, Place
from core.catalog.tile_table import TileTable
from core.tables import SplitPlan
from core.workspace import Workspace

_KEEPER = Keeper(24)


@dataclass(frozen=True, eq=False)
class SplitView:
    """One split of a collection; ``plan`` is None for the one its tiles came with.

    ``places`` by tile name; ``leaks`` of the pairs in ``related``; ``users`` the runs that hold it frozen.
    """

    plan: SplitPlan | None
    places: Members
    balance: Balance
    related: RelatedPairs
    leaks: list[Leak]
    users: list[str]
    names: Mapping[int, str]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.plan.name if self.plan else AS_IT_CAME

    @property
    def how(self) -> str:
        """How it was made, in one sentence."""
        if self.plan is None:
            return "GLNet's lists for the tiles in them, else the folders' names, else by rule: every fourth validates."
        return told(self.plan)

    @cached_property
    def mending(self) -> dict[str, Place]:
        """What brings all related tiles together, by tile name."""
        return self.moves_of(all_moves(self.leaks))

    def moves_of(self, moves: Mapping[int, Place]) -> dict[str, Place]:
        """Moves by tile id as moves by name."""
        return {self.names[tile_id]: place for tile_id, place in moves.items()}

    def as_dict(self) -> dict[str, Any]:
        """For the command line."""
        found = self.balance
        return {
            "name": self.name,
            "how": self.how,
            "judge": None if self.plan is None or self.plan.judge is None else self.plan.judge + 1,
            "frozen_by": self.users,
            "sides": {
                side.name: {"tiles": side.tiles, "labelled": side.labelled, "shares": side.shares}
                for side in found.sides
            },
            "left_out": found.left_out,
            "deviation": found.deviation,
            "random_deviation": None
            if found.random is None
            else dict(zip(("median", "lowest", "highest"), found.random, strict=True)),
            "leaks": [
                {
                    "tiles": [self.names[leak.pair.first], self.names[leak.pair.second]],
                    "kind": leak.pair.kind,
                    "score": leak.pair.score,
                    "sides": list(leak.sides),
                }
                for leak in self.leaks
            ],
            "not_looked_at": self.related.missing,
        }


def split_view(workspace: Workspace, table: TileTable, row: SplitPlan | None) -> SplitView:
    """A look at a split of a collection, None for the one its tiles came with."""
    key = (str(workspace.root), table.collection_id, None if row is None else row.id)
    mark = (table.mark, None if row is None else (row.created, row.moved, row.judge))
    places, found = _KEEPER.get(key, mark, lambda: _read(workspace, table, row))
    related = related_pairs(workspace, table.collection_id)
    by_id = {one.id: places[one.name] for one in table.rows if one.name in places}
    return SplitView(
        plan=row,
        places=places,
        balance=found,
        related=related,
        leaks=find_leaks(related, by_id),
        users=[] if row is None else split_plans.users(workspace, row.id),
        names={one.id: one.name for one in table.rows},
    )


def _read(workspace: Workspace, table: TileTable, row: SplitPlan | None) -> tuple[dict[str, Place], Balance]:
    places = split_plans.places(workspace, table.collection_id, None if row is None else row.id)
    return places, balance(table, places)
