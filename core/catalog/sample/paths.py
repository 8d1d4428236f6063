"""Roads, field margins, hedges and worn tracks."""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.sample.ground import Picture
from core.catalog.sample.layout import AGRICULTURE, BARREN, RANGELAND, WATER, Layout, mask_of
from core.catalog.sample.noise import vary
from core.catalog.sample.parcels import random_bend


def draw_paths(rng: np.random.Generator, picture: Picture, layout: Layout) -> NDArray[np.uint8]:
    """Draw the margins of the fields, the roads between them and tracks over open land.

    Returns where the roads are, ``(size, size)`` uint8, non-zero on a road and its verge.
    """
    _margins(rng, picture, layout)
    _tracks(rng, picture, layout)
    return _roads(rng, picture, layout)


def _margins(rng: np.random.Generator, picture: Picture, layout: Layout) -> None:
    """Grass, a path or a ditch around every field."""
    dry = vary(rng, np.array([136.0, 122, 92]))
    grass = vary(rng, np.array([74.0, 88, 52]))
    lines = picture.copy()
    for quad in layout.fields:
        outline = layout.bend.outline(quad, closed=True)
        colour = dry if rng.random() < 0.4 else grass
        cv2.polylines(lines, [outline], True, (colour * rng.uniform(0.75, 1.1)).tolist(), int(rng.integers(2, 5)))
    cv2.copyTo(lines, mask_of(layout.raster, AGRICULTURE), picture)


def _tracks(rng: np.random.Generator, picture: Picture, layout: Layout) -> None:
    """Pale winding tracks over grass and bare land."""
    size = len(picture)
    lines = picture.copy()
    for _ in range(int(rng.integers(2, 6))):
        wander = random_bend(rng, size, 3.5)
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * size
        line = wander.outline(ends, closed=False, step=12)
        colour = vary(rng, np.array([150.0, 130, 98])).tolist()
        width = int(rng.integers(2, 5))
        cv2.polylines(lines, [line], False, colour, width)
    open_land = mask_of(layout.raster, RANGELAND) | mask_of(layout.raster, BARREN)
    blended = cv2.addWeighted(lines, 0.45, picture, 0.55, 0)
    cv2.copyTo(blended, open_land, picture)


def _roads(rng: np.random.Generator, picture: Picture, layout: Layout) -> NDArray[np.uint8]:
    """The first cuts of the land became roads; they stop at the water."""
    asphalt = rng.random() < 0.5
    colour = vary(rng, np.array([104.0, 102, 98] if asphalt else [154.0, 132, 100]))
    lines = picture.copy()
    verge = (112, 104, 76)
    roads = np.zeros(picture.shape[:2], np.uint8)
    for cut in layout.division.cuts:
        if cut.depth > 3 or (cut.depth > 1 and rng.random() < 0.4):
            continue
        line = layout.bend.outline(cut.line, closed=False)
        width = int(rng.integers(6, 9)) if cut.depth < 2 else int(rng.integers(3, 6))
        cv2.polylines(lines, [line], False, verge, width + 4)
        cv2.polylines(lines, [line], False, colour.tolist(), width)
        cv2.polylines(roads, [line], False, 255, width + 8)
    dry = cv2.bitwise_not(mask_of(layout.raster, WATER))
    cv2.copyTo(lines, dry, picture)
    return roads
