"""The classes' colours on the screen: DeepGlobe's, or some that colour-blind eyes tell apart too.

What is on disk keeps DeepGlobe's, whose blue and magenta, and cyan and white, are hard to tell apart for some eyes. The
safe palette is that of M. Okabe and K. Ito ('Color Universal Design', 2002, revised 2008) as far as it goes: its bluish
green falls together with others for deuteranopes, so that forest has a dark green in its place, and barren has white.
Every two of the six are at least 20 apart in CIELAB for normal sight, and for protanopia, deuteranopia and tritanopia
as simulated after Machado, Oliveira and Fernandes (2009); DeepGlobe's own are down to 8.
``tests/browser/test_paint_modules.py`` measures it.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASSES, PALETTE
from core.tables import Setting
from core.workspace import Workspace

Colour = tuple[int, int, int]

SAFE: tuple[Colour, ...] = (
    (213, 94, 0),  # urban
    (240, 228, 66),  # agriculture
    (204, 121, 167),  # rangeland
    (0, 68, 27),  # forest
    (0, 114, 178),  # water
    (255, 255, 255),  # barren
)

_KEY = "screen_palette"


class Palette(StrEnum):
    """The palettes by the names that addresses and settings have for them."""

    DEEPGLOBE = "deepglobe"
    SAFE = "safe"


def class_colours(palette: Palette) -> tuple[Colour, ...]:
    """Red, green and blue (0 to 255) by class index."""
    return SAFE if palette is Palette.SAFE else tuple(c.colour for c in CLASSES)


def hex_colours(palette: Palette) -> list[str]:
    """``#rrggbb`` by class index."""
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in class_colours(palette)]


def raster_colours(palette: Palette) -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB by the value of a class raster; every value that is no class is black."""
    table = PALETTE.copy()
    table[: len(CLASSES)] = np.array(class_colours(palette), np.uint8)
    return table


def parse_palette(name: str) -> Palette:
    """The palette of that name in an address; DeepGlobe's for any other."""
    return Palette(name) if name in set(Palette) else Palette.DEEPGLOBE


def kept_palette(workspace: Workspace) -> Palette:
    """The palette that was chosen last in a workspace."""
    with workspace.database.read() as session:
        row = session.get(Setting, _KEY)
    return Palette.DEEPGLOBE if row is None else parse_palette(str(row.value.get("palette")))


def keep_palette(workspace: Workspace, palette: Palette) -> None:
    """Remember a choice: whoever opens the workspace next begins with it."""
    with workspace.database.write() as session:
        session.merge(Setting(key=_KEY, value={"palette": str(palette)}))
