"""What a tile's labels must be, told from the operations alone: a second opinion on the journal.

It shares ``rasterise`` with the product (which pixels a stroke covers, tested elsewhere) and nothing of the journal,
the files or the database.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.classes import UNLABELLED, ClassRaster
from core.labels.rasterising import rasterise
from core.labels.strokes import Box, BrushStroke, PolygonStroke, RectangleStroke, parse_stroke

DRAWN = (BrushStroke, PolygonStroke, RectangleStroke)


@dataclass(frozen=True, slots=True)
class Edit:
    """One stroke that changed something: the pixels of its box before and after."""

    box: Box
    before: ClassRaster
    after: ClassRaster


@dataclass
class SheetModel:
    """A class raster with its undo and redo stacks."""

    shape: tuple[int, int]
    raster: ClassRaster = field(init=False)
    done: list[Edit] = field(default_factory=list)
    undone: list[Edit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.raster = np.full(self.shape, UNLABELLED, np.uint8)

    def copy(self) -> "SheetModel":
        """Another model that can go on by itself."""
        twin = SheetModel(self.shape)
        twin.raster = self.raster.copy()
        twin.done, twin.undone = list(self.done), list(self.undone)
        return twin

    def perform(self, path: str, body: Mapping[str, Any]) -> bool:
        """Do what the route ``strokes``, ``undo`` or ``redo`` does with a body; returns whether it changed anything."""
        if path == "strokes":
            return self._paint(body)
        taken, given = (self.done, self.undone) if path == "undo" else (self.undone, self.done)
        if not taken:
            return False
        edit = taken.pop()
        self.raster[edit.box.slices] = edit.before if path == "undo" else edit.after
        given.append(edit)
        return True

    def _paint(self, body: Mapping[str, Any]) -> bool:
        stroke = parse_stroke(json.dumps(body).encode())
        if not isinstance(stroke, DRAWN):
            raise TypeError(f"the model knows no {stroke.tool}")
        box, mask = rasterise(stroke, self.shape)
        before = self.raster[box.slices].copy()
        after = before.copy()
        after[mask & _may_change(before, body)] = stroke.class_index
        if np.array_equal(before, after):
            return False
        self.raster[box.slices] = after
        self.done.append(Edit(box, before, after))
        self.undone.clear()
        return True


def _may_change(before: ClassRaster, body: Mapping[str, Any]) -> NDArray[np.bool_]:
    """What the stroke's guard allows, by the words of the interface."""
    guard = {"over": "anything", "protect": []} | body.get("guard", {})
    allowed = ~np.isin(before, guard["protect"])
    if guard["over"] == "unlabelled" and body["class_index"] != UNLABELLED:
        allowed &= before == UNLABELLED
    elif isinstance(guard["over"], int):
        allowed &= before == guard["over"]
    return allowed
