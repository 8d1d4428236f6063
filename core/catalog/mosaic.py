"""A collection as one large picture: its tiles laid on a grid, cut into map tiles for Leaflet.

Coordinates are pixels of the tiles at full size, x to the right and y down from the upper left corner of the
grid. Leaflet's CRS Simple has y upwards, so a map shows the grid at latitude -y, longitude x. At Leaflet's zoom 0
a pixel of a tile is a pixel on screen; overviews have negative zooms, which a URL carries as zoom + ZOOM_OFFSET.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.pyramid import MAP_TILE, Levels
from core.tables import Tile

ZOOM_OFFSET = 12
"""What is added to Leaflet's zoom in a URL."""

GROUND = (38, 43, 51)
"""The colour between tiles, RGB: dark and neutral, as a light table's surround, in both themes."""

GAP_SHARE = 0.04
SCREEN_ASPECT = 1.2
"""Columns are chosen so that the grid is about this much wider than high, like the map on the page."""

Read = Callable[[Tile, int], Levels]
"""Gives the pyramid of a tile whose last or any earlier level is at least as long as the asked pixels."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one tile lies in the grid: its upper left corner, in full-size pixels."""

    tile: Tile
    left: int
    top: int


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The grid: cells of one size in rows, tiles at their upper left corners."""

    places: tuple[Place, ...]
    columns: int
    cell_width: int
    cell_height: int
    width: int
    height: int

    @property
    def min_zoom(self) -> int:
        """The Leaflet zoom (0 or negative) at which the whole grid fits one map tile."""
        return -min(ZOOM_OFFSET, max(0, math.ceil(math.log2(max(self.width, self.height, 1) / MAP_TILE))))

    def at(self, x: float, y: float) -> Tile | None:
        """The tile under a point, or None between tiles."""
        return next((place.tile for place in self.within(x, y, x, y) if _holds(place, x, y)), None)

    def within(self, left: float, top: float, right: float, bottom: float) -> Iterator[Place]:
        """The places whose cells touch a box."""
        first_column, last_column = max(0, int(left // self.cell_width)), int(right // self.cell_width)
        for row in range(max(0, int(top // self.cell_height)), int(bottom // self.cell_height) + 1):
            start = row * self.columns
            yield from self.places[start + first_column : start + min(self.columns - 1, last_column) + 1]


def lay_out(tiles: list[Tile]) -> Mosaic:
    """Lay tiles on a grid, row by row in the order given, with gaps of 4 % between cells of the largest size."""
    gap = round(GAP_SHARE * max((max(tile.width, tile.height) for tile in tiles), default=MAP_TILE))
    cell_width = max((tile.width for tile in tiles), default=MAP_TILE) + gap
    cell_height = max((tile.height for tile in tiles), default=MAP_TILE) + gap
    columns = max(1, min(len(tiles), round(math.sqrt(len(tiles) * SCREEN_ASPECT * cell_height / cell_width))))
    places = tuple(
        Place(tile, (number % columns) * cell_width, (number // columns) * cell_height)
        for number, tile in enumerate(tiles)
    )
    rows = math.ceil(len(tiles) / columns)
    return Mosaic(
        places, columns, cell_width, cell_height, columns * cell_width - gap, max(0, rows * cell_height - gap)
    )


def render(mosaic: Mosaic, zoom: int, x: int, y: int, *, read: Read, canvas: NDArray[np.uint8]) -> bool:
    """Draw map tile ``x``, ``y`` of Leaflet's ``zoom`` (0 or negative) onto a 256 x 256 canvas.

    The canvas is ``(256, 256, 3)`` for pictures or ``(256, 256)`` for class rasters, and stays as it is where no
    tile lies. Returns whether any tile lies there. Each tile is placed by rounding its corner once in the pixels
    of the whole zoom level, so neighbouring map tiles meet without a seam.
    """
    shrink = 2**-zoom
    left, top = x * MAP_TILE, y * MAP_TILE
    drawn = False
    box = (left * shrink, top * shrink, (left + MAP_TILE) * shrink, (top + MAP_TILE) * shrink)
    for place in mosaic.within(*box):
        width, height = math.ceil(place.tile.width / shrink), math.ceil(place.tile.height / shrink)
        offset_x, offset_y = round(place.left / shrink) - left, round(place.top / shrink) - top
        x0, x1 = max(0, offset_x), min(MAP_TILE, offset_x + width)
        y0, y1 = max(0, offset_y), min(MAP_TILE, offset_y + height)
        if x0 >= x1 or y0 >= y1:
            continue
        picture = _at_size(read(place.tile, max(width, height)), width, height)
        canvas[y0:y1, x0:x1] = picture[y0 - offset_y : y1 - offset_y, x0 - offset_x : x1 - offset_x]
        drawn = True
    return drawn


def _at_size(levels: Levels, width: int, height: int) -> NDArray[np.uint8]:
    """The smallest level that is large enough, brought to the size that is wanted."""
    level = next((level for level in reversed(levels) if level.shape[1] >= width), levels[0])
    if level.shape[:2] == (height, width):
        return level
    interpolation = cv2.INTER_AREA if level.ndim == 3 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(level, (width, height), interpolation=interpolation), np.uint8)


def _holds(place: Place, x: float, y: float) -> bool:
    return 0 <= x - place.left < place.tile.width and 0 <= y - place.top < place.tile.height
