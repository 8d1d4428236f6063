"""What a simulated annotator does with each tool, and what it costs.

The annotator sees the truth of the tile and labels one spot at a time: a class, and a point well inside an area of that
class that is not labelled yet. Everything is painted by ``journal.apply`` with the strokes that the canvas would send,
and never over what is labelled already.

| | clicks | seconds |
|---|---|---|
| brush stroke | 1 | 1.0, and 1 per 250 pixels of path |
| superpixel | 1 | 1.2 |
| click-to-mask: each click; accepting or dropping the mask | 1; 1 | 1.5; 0.7 |
| a region of the suggestion | 1 | 1.5 |

Clicks are what the tools send; the seconds are assumptions, the same for all tools where they do alike.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.labels import journal, superpixels
from core.labels.strokes import BrushStroke, Guard, Point, Stroke, SuperpixelStroke
from core.tables import Tile
from core.workspace import Workspace

GRID = 4  # spots are chosen from every 4th pixel
INSIDE = 6.0  # pixels that a spot lies within its area at least
PURE_PIECE = 0.6  # a superpixel is taken where so much of it is of the class
ONLY_UNLABELLED = Guard(over="unlabelled")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where to label next: ``row`` and ``column`` of a pixel whose true class is ``class_index``."""

    tile: Tile
    class_index: int
    row: int
    column: int

    @property
    def point(self) -> Point:
        """The middle of the pixel, as (x, y)."""
        return self.column + 0.5, self.row + 0.5


@dataclass
class Desk:
    """The tiles to label, their truth, what is labelled, and what that has cost so far."""

    workspace: Workspace
    tiles: Sequence[Tile]
    truths: Mapping[int, ClassRaster]
    generator: np.random.Generator
    clicks: int = 0
    seconds: float = 0.0
    strokes: int = 0
    labelled: dict[int, ClassRaster] = field(init=False)
    _inside: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict)
    _visits: list[int] = field(default_factory=lambda: [0] * CLASS_COUNT)

    def __post_init__(self) -> None:
        self.labelled = {tile.id: np.full((tile.height, tile.width), UNLABELLED, np.uint8) for tile in self.tiles}

    def next_spot(self) -> Spot | None:
        """The class that was visited least, on a tile by lot, at a point by lot; None when everything is labelled."""
        for class_index in np.argsort(self._visits, kind="stable"):
            for number in self.generator.permutation(len(self.tiles)):
                tile = self.tiles[number]
                open_pixels = (self.depth(tile, int(class_index)) >= INSIDE) & (self.labelled[tile.id] == UNLABELLED)
                rows, columns = np.nonzero(open_pixels[::GRID, ::GRID])
                if rows.size:
                    self._visits[class_index] += 1
                    chosen = self.generator.integers(rows.size)
                    return Spot(tile, int(class_index), int(rows[chosen]) * GRID, int(columns[chosen]) * GRID)
        return None

    def depth(self, tile: Tile, class_index: int) -> NDArray[np.float32]:
        """How far each pixel lies inside the areas of a class, in pixels; 0 outside."""
        key = (tile.id, class_index)
        if key not in self._inside:
            mask = (self.truths[tile.id] == class_index).astype(np.uint8)
            self._inside[key] = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
        return self._inside[key]

    def pay(self, clicks: int, seconds: float) -> None:
        """Note what a person spent."""
        self.clicks += clicks
        self.seconds += seconds

    def paint(self, tile: Tile, stroke: Stroke) -> None:
        """Send a stroke to the journal."""
        change = journal.apply(self.workspace, tile.id, stroke, annotator="simulated")
        if change.box is not None and change.patch is not None:
            self.labelled[tile.id][change.box.slices] = change.patch
        self.strokes += 1


class Tool(Protocol):
    """One way to label a spot."""

    def label(self, desk: Desk, spot: Spot) -> None:
        """Label it, or part of its area, and pay for it."""
        ...


class Brush:
    """One straight stroke from the spot, as wide and long as the area lets it, up to 80 by 250 pixels."""

    WIDEST, LONGEST, STEP = 40.0, 250, 10

    def label(self, desk: Desk, spot: Spot) -> None:
        depth = desk.depth(spot.tile, spot.class_index)
        radius = float(np.clip(0.8 * depth[spot.row, spot.column], 3, self.WIDEST))
        runs = [self._run(depth, spot, radius, angle) for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False)]
        end = max(runs, key=len)[-1]
        stroke = BrushStroke(
            **head_of("brush", spot.class_index),
            points=[spot.point, (end[1] + 0.5, end[0] + 0.5)],
            radius=round(radius, 1),
        )
        desk.pay(1, 1.0 + float(np.hypot(end[0] - spot.row, end[1] - spot.column)) / 250)
        desk.paint(spot.tile, stroke)

    def _run(self, depth: NDArray[np.float32], spot: Spot, radius: float, angle: float) -> list[tuple[int, int]]:
        """Places along a direction for as long as the brush stays inside the area."""
        places = [(spot.row, spot.column)]
        for length in range(self.STEP, self.LONGEST + 1, self.STEP):
            row = round(spot.row + length * float(np.sin(angle)))
            column = round(spot.column + length * float(np.cos(angle)))
            if not (0 <= row < depth.shape[0] and 0 <= column < depth.shape[1]) or depth[row, column] < radius:
                break
            places.append((row, column))
        return places


class Superpixel:
    """The superpixel under the spot, where it is mostly of the class; else the pointer goes on: that costs no click."""

    GRAIN = "medium"

    def __init__(self) -> None:
        self._ids: dict[int, NDArray[np.int32]] = {}

    def label(self, desk: Desk, spot: Spot) -> None:
        tile = spot.tile
        if tile.id not in self._ids:
            self._ids[tile.id] = superpixels.ids(desk.workspace, tile, self.GRAIN)
        segment = int(self._ids[tile.id][spot.row // 2, spot.column // 2])
        box, mask = superpixels.region(desk.workspace, tile, self.GRAIN, [segment])
        if purity(desk.truths[tile.id][box.slices], mask, spot.class_index) < PURE_PIECE:
            desk.pay(0, 0.4)
            return
        desk.pay(1, 1.2)
        desk.paint(
            tile, SuperpixelStroke(**head_of("superpixel", spot.class_index), grain=self.GRAIN, segments=[segment])
        )


def head_of(tool: str, class_index: int) -> dict[str, Any]:
    """What the strokes of all tools have."""
    return {
        "client_key": str(uuid.uuid4()),
        "tool": tool,
        "class_index": class_index,
        "guard": ONLY_UNLABELLED,
    }


def purity(truth: ClassRaster, mask: NDArray[np.bool_], class_index: int) -> float:
    """The share of a mask's pixels that are of a class; 0 for an empty one."""
    return float((truth[mask] == class_index).mean()) if mask.any() else 0.0
