"""A collection as one large picture: its tiles laid on a grid, cut into map tiles for Leaflet.

Coordinates are pixels of the tiles at full size, x to the right and y down from the upper left corner of the
grid. Leaflet's CRS Simple has y upwards, so a map shows the grid at latitude -y, longitude x. At Leaflet's zoom 0
a pixel of a tile is a pixel on screen; overviews have negative zooms, which a URL carries as zoom + ZOOM_OFFSET.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.maps.contact_sheet import ContactSheet
from core.catalog.pyramid import MAP_TILE, Levels
from core.tables import Tile

ZOOM_OFFSET = 12
"""What is added to Leaflet's zoom in a URL."""

GROUND = (38, 43, 51)
"""The colour between tiles, RGB: dark and neutral, as a light table's surround, in both themes."""

GAP_SHARE = 0.04
SCREEN_ASPECT = 1.2
"""Columns are chosen so that the grid is about this much wider than high, like the map on the page."""

Rows = NDArray[np.intp]
Canvas = NDArray[np.uint8]

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
    """The grid: cells of one size in rows, tiles at their upper left corners.

    ``order`` is intp (n,): which of the tiles that were laid out lies in each place. ``sizes`` is int32 (n, 2): width
    and height of the tile in each place, in pixels.
    """

    places: tuple[Place, ...]
    columns: int
    cell_width: int
    cell_height: int
    width: int
    height: int
    order: NDArray[np.intp] = field(compare=False)
    sizes: NDArray[np.int32] = field(compare=False)

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


def lay_out(tiles: Sequence[Tile], order: NDArray[np.intp] | None = None) -> Mosaic:
    """Lay tiles on a grid, row by row, with gaps of 4 % between cells of the largest size.

    They come in the order given, or in ``order``: a permutation of their numbers, intp (n,). Raises ``ValueError``
    where it is none.
    """
    numbers = np.arange(len(tiles), dtype=np.intp) if order is None else order
    if not np.array_equal(np.sort(numbers), np.arange(len(tiles))):
        raise ValueError(f"an order of {len(tiles)} tiles names each of them once")
    gap = round(GAP_SHARE * max((max(tile.width, tile.height) for tile in tiles), default=MAP_TILE))
    cell_width = max((tile.width for tile in tiles), default=MAP_TILE) + gap
    cell_height = max((tile.height for tile in tiles), default=MAP_TILE) + gap
    columns = grid_columns(len(tiles), cell_height / cell_width)
    places = tuple(
        Place(tiles[number], (slot % columns) * cell_width, (slot // columns) * cell_height)
        for slot, number in enumerate(numbers.tolist())
    )
    rows = math.ceil(len(tiles) / columns)
    return Mosaic(
        places=places,
        columns=columns,
        cell_width=cell_width,
        cell_height=cell_height,
        width=columns * cell_width - gap,
        height=max(0, rows * cell_height - gap),
        order=numbers,
        sizes=np.array([(place.tile.width, place.tile.height) for place in places], np.int32).reshape(-1, 2),
    )


def grid_columns(count: int, cell_aspect: float = 1.0) -> int:
    """The columns of a grid of so many tiles, whose cells are ``cell_aspect`` times as high as wide."""
    return max(1, min(count, round(math.sqrt(count * SCREEN_ASPECT * cell_aspect))))


def render(mosaic: Mosaic, zoom: int, x: int, y: int, *, read: Read, canvas: NDArray[np.uint8]) -> bool:
    """Draw map tile ``x``, ``y`` of Leaflet's ``zoom`` (0 or negative) onto a canvas of 256 x 256.

    The canvas is ``(256, 256, 3)`` for pictures or ``(256, 256)`` for class rasters, and stays as it is where no
    tile lies; a larger one shows as much more on every side. Returns whether any tile lies there. Each tile is placed
    by rounding its corner once in the pixels of the whole zoom level, so neighbouring map tiles meet without a seam.
    """
    shrink = 2**-zoom
    side = canvas.shape[0]
    margin = (side - MAP_TILE) // 2
    left, top = x * MAP_TILE - margin, y * MAP_TILE - margin
    drawn = False
    box = (left * shrink, top * shrink, (left + side) * shrink, (top + side) * shrink)
    for place in mosaic.within(*box):
        width, height = math.ceil(place.tile.width / shrink), math.ceil(place.tile.height / shrink)
        offset_x, offset_y = round(place.left / shrink) - left, round(place.top / shrink) - top
        x0, x1 = max(0, offset_x), min(side, offset_x + width)
        y0, y1 = max(0, offset_y), min(side, offset_y + height)
        if x0 >= x1 or y0 >= y1:
            continue
        picture = _at_size(read(place.tile, max(width, height)), width, height)
        canvas[y0:y1, x0:x1] = picture[y0 - offset_y : y1 - offset_y, x0 - offset_x : x1 - offset_x]
        drawn = True
    return drawn


def sample(mosaic: Mosaic, zoom: int, x: int, y: int, *, sheet: ContactSheet, rows: Rows, canvas: Canvas) -> None:
    """Draw the same from a contact sheet: for zooms at which a map tile holds hundreds of tiles.

    ``rows`` is intp (n,), the row of the sheet for each place. No tile is drawn for itself: every pixel looks up which
    place it lies in and takes its colour there, so that ten thousand tiles cost no more than one. Pictures are sampled
    at twice the size and averaged; classes are never mixed.
    """
    if not len(rows):
        return
    shrink, side, finer = 2.0**-zoom, canvas.shape[0], 2 if canvas.ndim == 3 else 1
    margin = (side - MAP_TILE) // 2
    steps = (np.arange(side * finer) + 0.5) / finer - margin
    column, inside_x = np.divmod((x * MAP_TILE + steps) * shrink, mosaic.cell_width)
    row, inside_y = np.divmod((y * MAP_TILE + steps) * shrink, mosaic.cell_height)
    slot = (row[:, None] * mosaic.columns + column[None, :]).astype(np.intp)
    on_grid = (column >= 0) & (column < mosaic.columns) & (row[:, None] >= 0) & (slot < len(rows))
    slot[~on_grid] = 0
    wide, high = mosaic.sizes[slot, 0], mosaic.sizes[slot, 1]
    on_tile = on_grid & (inside_x < wide) & (inside_y[:, None] < high)
    level = sheet.level(math.ceil(float(mosaic.sizes.max()) / shrink))
    across, down = inside_x * level.shape[2] / wide, inside_y[:, None] * level.shape[1] / high
    found = level[rows[slot[on_tile]], down[on_tile].astype(np.intp), across[on_tile].astype(np.intp)]
    if finer == 1:
        canvas[on_tile] = found
        return
    fine = np.repeat(np.repeat(canvas, finer, 0), finer, 1)
    fine[on_tile] = found
    canvas[:] = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)


def _at_size(levels: Levels, width: int, height: int) -> NDArray[np.uint8]:
    """The smallest level that is large enough, brought to the size that is wanted."""
    level = next((level for level in reversed(levels) if level.shape[1] >= width), levels[0])
    if level.shape[:2] == (height, width):
        return level
    interpolation = cv2.INTER_AREA if level.ndim == 3 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(level, (width, height), interpolation=interpolation), np.uint8)


def _holds(place: Place, x: float, y: float) -> bool:
    return 0 <= x - place.left < place.tile.width and 0 <= y - place.top < place.tile.height
