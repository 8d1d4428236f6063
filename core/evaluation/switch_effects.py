"""What each switch of a prediction changes: the IoU of every class with it and without it, and its time.

Only what is kept already is looked at, so that an answer costs reads and not networks. On one tile the change is a
fact about that tile. Over the tiles that the run never trained on it is a difference with a paired 95 % interval
(``intervals.paired_differences``), from two tiles on.
"""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.evaluation.confusion import Confusion
from core.evaluation.intervals import PairedDifferences, paired_differences
from core.evaluation.scores import Scores, from_confusion
from core.evaluation.tile_counts import kept_confusion, read_note
from core.inference import store
from core.inference.measured_costs import DECIDING, NETWORKS, REFINING
from core.inference.switches import Switches
from core.tables import Tile
from core.workspace import Workspace

STAGE_OF = {
    "tta": NETWORKS,
    "gate": REFINING,
    "refinement": REFINING,
    "offsets": REFINING,
    "regions": DECIDING,
    "abstain": DECIDING,
}
"""The switches that can be on, in the order in which they act, and the stage whose seconds they lengthen."""

FEWEST_TILES = 2
"""Below that many tiles there is no spread, hence no interval and no difference."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one switch of a run changes, with everything else as it is.

    ``before`` and ``after`` are the scores of the one tile without and with the switch, None where one of the two
    predictions is not kept or the tile has no truth. ``tiles`` are those behind ``over``, which is None below two.
    ``seconds`` is what the switch adds to the prediction of this tile as measured when it was made, or None.
    """

    name: str
    without: Switches
    before: Scores | None
    after: Scores | None
    tiles: tuple[str, ...]
    over: PairedDifferences | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Side:
    """One of those that are compared: a run of a workspace and the switches of its prediction."""

    workspace: Workspace
    run: str
    switches: Switches


class CountingTime:
    """How long one answer may count pixels; ``left_out`` says how many tiles it did not come to."""

    def __init__(self, seconds: float) -> None:
        self.left_out = 0
        self._end = time.monotonic() + seconds

    @property
    def is_up(self) -> bool:
        """Whether nothing more is to be counted."""
        return time.monotonic() > self._end


def effects(side: Side, tile: Tile, judged: Sequence[Tile], allowed: CountingTime) -> list[Effect]:
    """The effect of every switch that is on, on ``tile`` and over those of the ``judged`` tiles that are kept.

    Raises ``InputError`` as ``kept_confusion`` does.
    """
    on = [name for name in STAGE_OF if switched_off(side.switches, name) != side.switches]
    return [_effect(side, tile, name, judged, allowed) for name in on]


def switched_off(switches: Switches, name: str) -> Switches:
    """The same switches without one of ``STAGE_OF``."""
    plain = Switches()
    if name == "regions":
        return replace(switches, min_region=plain.min_region, class_regions=plain.class_regions)
    return replace(switches, **{name: getattr(plain, name)})


def added_seconds(side: Side, tile: Tile, name: str) -> float | None:
    """How much longer the switch's stage took than without it, on this machine; None where one was not timed.

    What networks say is kept, so a later setting of other switches reads it again: of views the seconds are those
    of the prediction for which the networks were asked.
    """
    stage = STAGE_OF[name]
    took, took_plain = (
        _stage_seconds(replace(side, switches=one), tile, stage)
        for one in (side.switches, switched_off(side.switches, name))
    )
    if took is None or took_plain is None:
        return None
    return max(0.0, took - took_plain)


def _effect(side: Side, tile: Tile, name: str, judged: Sequence[Tile], allowed: CountingTime) -> Effect:
    without = replace(side, switches=switched_off(side.switches, name))
    before, after = (kept_confusion(one.workspace, one.run, tile, one.switches) for one in (without, side))
    names, pairs = [], []
    for other in judged:
        pair = _pair(side, without, other, allowed)
        if pair is not None:
            names.append(other.name)
            pairs.append(pair)
    enough = len(pairs) >= FEWEST_TILES
    return Effect(
        name=name,
        without=without.switches,
        before=None if before is None else from_confusion(before),
        after=None if after is None else from_confusion(after),
        tiles=tuple(names),
        over=paired_differences([a for a, _ in pairs], [b for _, b in pairs]) if enough else None,
        seconds=added_seconds(side, tile, name),
    )


def _pair(a: Side, b: Side, tile: Tile, allowed: CountingTime) -> tuple[Confusion, Confusion] | None:
    """The confusions of a tile in two settings; None where one is not kept, has no label, or time is up."""
    if any(store.kept(one.workspace, one.run, tile, one.switches) is None for one in (a, b)):
        return None
    of_a, of_b = (kept_confusion(one.workspace, one.run, tile, one.switches, count=not allowed.is_up) for one in (a, b))
    if of_a is None or of_b is None:
        allowed.left_out += 1
        return None
    return (of_a, of_b) if of_a.any() else None


def _stage_seconds(side: Side, tile: Tile, stage: str) -> float | None:
    asked = [side.switches.of_network, side.switches] if stage == NETWORKS else [side.switches]
    for switches in asked:
        found = store.kept(side.workspace, side.run, tile, switches)
        note = {} if found is None else read_note(found)
        if note.get("machine") == platform.node() and stage in note.get("stages", {}):
            return float(note["stages"][stage])
    return None
