"""What the switches of a prediction cost on this machine, from the predictions that are kept.

Every kept prediction has the seconds of its stages in its note. A cost is their median over tiles of one collection, so
tiles of one size; where nothing was kept there is none, and nobody guesses one.
"""

import json
import platform
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from core.workspace import Workspace

READING, NETWORKS, REMEMBERING, REFINING, DECIDING = "reading", "networks", "remembering", "refining", "deciding"
"""The stages: the image is decoded; the networks are asked, or what they said before is read; gate, refinement and
offsets; the greatest probability, smallest regions and abstaining."""

_NOTES = 20  # of a folder: enough for a median, and quick to read on every look at a page


class Stopwatch:
    """Seconds by stage, one after the other."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._mark = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The stage that went on until now was this one."""
        mark = time.perf_counter()
        self.stages[stage], self._mark = mark - self._mark, mark


@dataclass(frozen=True, slots=True)
class Cost:
    """The median ``seconds`` a tile, over so many ``tiles``."""

    seconds: float
    tiles: int


@dataclass(frozen=True, slots=True)
class MeasuredCosts:
    """What was measured: asking the networks of one run by TTA, refining by refinement, and filling regions."""

    networks: Mapping[str, Cost]
    refinements: Mapping[str, Cost]
    regions: Cost | None


def measured_costs(workspace: Workspace, run: str | None, collection_id: int) -> MeasuredCosts:
    """What predictions of a collection took on this machine; of the networks only those of ``run``.

    What a refinement or the filling of regions takes does not depend on the run, so all kept runs count.
    """
    networks, refinements = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    regions: list[float] = []
    for place in workspace.predictions.glob(f"*/*/{collection_id}"):
        for note in _notes(place):
            stages, switches = note["stages"], note["switches"]
            if place.parent.parent.name == run and NETWORKS in stages:
                networks[switches.get("tta", "none")].append(stages[NETWORKS])
            if "refinement" in switches:
                refinements[switches["refinement"]].append(stages[REFINING])
            if switches.keys() & {"min_region", "class_regions"}:
                regions.append(stages[DECIDING])
    return MeasuredCosts(
        {tta: _cost(seconds) for tta, seconds in networks.items()},
        {name: _cost(seconds) for name, seconds in refinements.items()},
        _cost(regions) if regions else None,
    )


def _notes(place: Path) -> Iterator[dict[str, Any]]:
    """Some of the notes of a folder: those of this machine that tell of their stages."""
    for path in sorted(place.glob("*.json"))[:_NOTES]:
        try:
            note: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue  # it is being replaced or removed: one measurement less
        if note.get("stages") and note.get("machine") == platform.node():
            yield note


def _cost(seconds: list[float]) -> Cost:
    return Cost(median(seconds), len(seconds))
