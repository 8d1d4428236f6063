"""The labelling queue: which tile comes next, by a rule that is stated (see ``queue_rules``).

Left out are tiles that are done or approved, and those that somebody else is labelling just now. Tiles that were sent
back come first under every rule, since somebody waits for them. Tiles of which the rule knows nothing come last.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.catalog.catalogue import labelled_tile_ids, tiles
from core.classes import CLASS_NAMES
from core.labels import mending, picked, queue_rules, tile_locks, time_spent, work_status
from core.labels.amounts import LabelSource, amounts
from core.labels.queue_facts import Facts, KnownFacts, known_facts
from core.labels.queue_rules import ACCOUNTS, Judged, Rule
from core.labels.work_status import Status, Work
from core.tables import Tile
from core.workspace import Workspace

NOTHING_PICKED = "Nothing is picked: select tiles in the gallery of the Browse page and send them here."
DIVERSE_AHEAD = 30
"""How many tiles the diverse order reaches; with each tile that is labelled it is drawn anew anyway."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tile in the queue, and why it has its place."""

    tile: Tile
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Queue:
    """The tiles still to be labelled, best first.

    ``lacking`` says in a sentence what the rule does not know (None: it knows all it needs); computing the facts of the
    collection's tiles mends it. ``run`` is what the order was computed with, where the rule needs one.
    """

    places: tuple[Place, ...]
    lacking: str | None
    run: str | None


def next_up(
    workspace: Workspace, collection_id: int, rule: Rule, *, annotator: str, seed: int = 0, skip: int | None = None
) -> Queue:
    """The queue of a collection as ``annotator`` sees it, without the tile ``skip`` (the one on the screen)."""
    members = tiles(workspace, collection_id)
    works = work_status.works(workspace, collection_id)
    chosen = frozenset(picked.picked(workspace, collection_id)) if rule is Rule.PICKED else None
    held = tile_locks.holders(workspace, collection_id)
    waiting = [
        tile
        for tile in members
        if tile.id != skip
        and not works.get(tile.id, Work()).status.finished
        and (tile.id not in held or held[tile.id].annotator == annotator)
        and (chosen is None or tile.id in chosen or works.get(tile.id, Work()).status is Status.SENT_BACK)
    ]
    known = known_facts(workspace, collection_id)
    judged = _JUDGES[rule](_Situation(workspace, collection_id, members, waiting, works, known, seed))
    places = [_place(tile, works.get(tile.id, Work()), one) for tile, one in zip(waiting, judged, strict=True)]
    order = sorted(range(len(waiting)), key=lambda row: _rank(places[row], judged[row]))
    needed = ACCOUNTS[rule].needs
    return Queue(
        places=tuple(places[row] for row in order),
        lacking=NOTHING_PICKED if chosen is not None and not chosen else lacking(rule, known, total=len(members)),
        run=known.newest_run if needed == "run" and known.by_tile else None,
    )


def lacking(rule: Rule, known: KnownFacts, *, total: int) -> str | None:
    """What a rule does not know of a collection of ``total`` tiles, in a sentence that says how to mend it."""
    needs = ACCOUNTS[rule].needs
    if needs == "nothing" or total == 0:
        return None
    without = known.missing
    if needs == "run":
        if known.newest_run is None:
            return "This order needs a trained run, and there is none yet; train one, or choose another order."
        without += sum(facts.run is None for facts in known.by_tile.values())
    if without == total:
        return "No tile has been looked at for this order yet; until then they come by name."
    if without:
        return f"{without} of {total} tiles have not been looked at yet; they come last."
    if known.stale and needs == "run":
        return f"What is known of {known.stale} of {total} tiles comes from an older run than {known.newest_run}."
    return None


@dataclass(frozen=True, slots=True)
class _Situation:
    """Everything that a rule may look at: the collection's tiles, those that wait, and what is known of them."""

    workspace: Workspace
    collection_id: int
    members: list[Tile]
    waiting: list[Tile]
    works: dict[int, Work]
    known: KnownFacts
    seed: int

    @property
    def facts(self) -> list[Facts | None]:
        """Of the waiting tiles."""
        return [self.known.by_tile.get(tile.id) for tile in self.waiting]

    @property
    def labelled(self) -> list[Facts]:
        """The facts of the tiles that somebody has painted on."""
        painted = labelled_tile_ids(self.workspace, self.collection_id)
        return [self.known.by_tile[tile_id] for tile_id in sorted(painted & self.known.by_tile.keys())]

    @property
    def finished(self) -> list[tuple[float, Facts | None]]:
        """Logged seconds and facts of the tiles that are done or approved."""
        spent = time_spent.seconds_per_tile(self.workspace, self.collection_id)
        done = [tile_id for tile_id, work in self.works.items() if work.status.finished]
        return [(spent.get(tile_id, 0.0), self.known.by_tile.get(tile_id)) for tile_id in done]

    @property
    def mistakes(self) -> list[tuple[list[str], int]]:
        """Of the waiting tiles: what was sent from Evaluate, each place in words, and their pixels together."""
        sent = mending.places_to_mend(self.workspace, self.collection_id)
        places = [sent.get(tile.id, []) for tile in self.waiting]
        return [([mending.mistake_of(one).words for one in some], sum(one.pixels for one in some)) for some in places]

    @property
    def by_hand(self) -> list[Judged]:
        """What being picked by hand says of the waiting tiles."""
        order = picked.picked(self.workspace, self.collection_id)
        place_of = {tile_id: place for place, tile_id in enumerate(order)}
        return queue_rules.judge_picked([place_of.get(tile.id) for tile in self.waiting], count=len(order))

    @property
    def instances(self) -> list[int]:
        """Labelled instances per class on all tiles."""
        counted = amounts(self.workspace, self.members, LabelSource.PAINTED)
        return [counted[name].instances for name in CLASS_NAMES]


def _by_worth(situation: _Situation) -> list[Judged]:
    pace = queue_rules.seconds_per_class(situation.finished)
    return queue_rules.judge_worth(situation.facts, situation.instances, pace=pace)


_JUDGES: dict[Rule, Callable[[_Situation], list[Judged]]] = {
    Rule.GIVEN: lambda now: [Judged(0, "next by name") for _ in now.waiting],
    Rule.RANDOM: lambda now: queue_rules.draw_lots([tile.name for tile in now.waiting], seed=now.seed),
    Rule.UNCERTAIN: lambda now: queue_rules.judge_uncertainty(now.facts),
    Rule.RAREST: lambda now: queue_rules.judge_rarest(now.facts, now.instances),
    Rule.DIVERSE: lambda now: queue_rules.judge_diversity(now.facts, now.labelled, count=DIVERSE_AHEAD),
    Rule.WORTH: _by_worth,
    Rule.MEND: lambda now: queue_rules.judge_mending(now.mistakes),
    Rule.PICKED: lambda now: now.by_hand,
}


def _place(tile: Tile, work: Work, judged: Judged) -> Place:
    reason = f"sent back: {work.comment}" if work.status is Status.SENT_BACK else judged.reason
    return Place(tile, work.status, reason)


def _rank(place: Place, judged: Judged) -> tuple[bool, bool, float]:
    """Sorts first what comes first; equal ranks keep the given order."""
    unknown = math.isnan(judged.worth)
    return place.status is not Status.SENT_BACK, unknown, 0.0 if unknown else -judged.worth
