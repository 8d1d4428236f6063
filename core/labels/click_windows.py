"""The windows of a tile that click-to-mask looks at: the whole tile, and overlapping finer ones in a large tile.

The network sees 1024 pixels a side and answers in 256. Of a DeepGlobe tile as a whole that is one answer for nearly ten
pixels; a window of half its side doubles the detail.
"""

import re
from dataclasses import dataclass

from core.errors import InputError
from core.labels.strokes import Box
from core.tables import Tile

WHOLE = "tile"
"""The name of the window that is the whole tile; others are named by row and column of its grid, as '0,2'."""

SIDE = 1224
STEP = SIDE // 2

_NAME = re.compile(r"(\d{1,4}),(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a tile, by its name and where it lies."""

    name: str
    box: Box

    def holds(self, x: float, y: float) -> bool:
        """Whether a point of the tile lies in it."""
        return 0 <= x - self.box.left <= self.box.width and 0 <= y - self.box.top <= self.box.height

    def margin(self, x: float, y: float) -> float:
        """How far a point lies from its nearest border, in pixels; negative outside."""
        across = min(x - self.box.left, self.box.left + self.box.width - x)
        return min(across, y - self.box.top, self.box.top + self.box.height - y)


def whole(tile: Tile) -> Window:
    """The tile itself."""
    return Window(WHOLE, Box(0, 0, tile.height, tile.width))


def finer(tile: Tile) -> list[Window]:
    """The finer windows of a tile, row by row; none where the tile is hardly larger than one."""
    if max(tile.height, tile.width) < SIDE + STEP:
        return []
    return [
        Window(f"{row},{column}", Box(top, left, min(SIDE, tile.height), min(SIDE, tile.width)))
        for row, top in enumerate(_starts(tile.height))
        for column, left in enumerate(_starts(tile.width))
    ]


def named(tile: Tile, name: str) -> Window:
    """The window of a name. Raises ``InputError`` where the tile has none of that name."""
    if name == WHOLE:
        return whole(tile)
    found = _NAME.fullmatch(name)
    windows = {window.name: window for window in finer(tile)} if found else {}
    if name not in windows:
        raise InputError(f"Tile {tile.name} has no window {name[:20]!r}; reload the page and click again.")
    return windows[name]


def _starts(length: int) -> list[int]:
    """Where windows begin along one side: every ``STEP`` pixels, the last one flush with the tile's end."""
    last = max(0, length - SIDE)
    return sorted({*range(0, last, STEP), last})
