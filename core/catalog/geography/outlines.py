"""The outlines of tiles on the geographic map, drawn here: to a browser, ten thousand shapes would be too many."""

import base64
import binascii
import zlib
from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.geography.drawing import MapTile
from core.catalog.geography.places import Places
from core.catalog.pyramid import MAP_TILE
from core.errors import InputError

MAX_SHOWN_TEXT = 8000
"""Characters of an address for which tiles pass: servers take addresses of some 16 000, headers included."""

_SHIFT = 4  # binary places of a pixel in which OpenCV is told where a line lies
_LINE_PIXELS = 2
_INSET_PIXELS = 1.2
"""Outlines lie within their tiles by this much: those of neighbours would hide each other."""
_DOT_PIXELS = 8
"""An outline below this is a dot."""
_FEW = 500
"""Up to so many tiles, dots are discs that the eye finds; of more, squares of 3 x 3 pixels."""
_CROWD_PIXELS = 6
_MANY_SHARING = 50
"""Tiles, so many at least, that share squares of this side with others are a crowd: there a dot is one pixel of its
colour, half seen through, lest it hide the picture, which shows where the tiles are."""
_DISC_RADIUS = 4
OUTLINE_MARGIN = _DISC_RADIUS + 1
"""Pixels around a map tile from which an outline or a disc may reach into it."""
_DIMMED = (22, 25, 30, 150)
"""What lies over tiles that do not pass: the ground of the collection's map, multiplied by its alpha."""

Colour = tuple[int, int, int]


def shown_text(passes: NDArray[np.bool_]) -> str | None:
    """Which tiles pass, in the order of their ids, as text for an address; None where it would be too long."""
    packed = zlib.compress(np.packbits(passes).tobytes(), 9)
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return text if len(text) <= MAX_SHOWN_TEXT else None


def read_shown(text: str, count: int) -> NDArray[np.bool_]:
    """(count,) bool: what ``shown_text`` wrote; all pass where ``text`` is empty. Raises ``InputError``."""
    if not text:
        return np.ones(count, np.bool_)
    wrong = InputError("'shown' does not fit the collection's tiles; reload the page.")
    try:
        packed = base64.urlsafe_b64decode(text[:MAX_SHOWN_TEXT] + "=" * (-len(text) % 4))
        unpacked = zlib.decompressobj().decompress(packed, count // 8 + 2)  # what a hostile text unpacks to is bounded
    except (binascii.Error, ValueError, zlib.error) as error:
        raise wrong from error
    if len(unpacked) != (count + 7) // 8:
        raise wrong
    return np.unpackbits(np.frombuffer(unpacked, np.uint8), count=count).astype(np.bool_)


def draw_outlines(
    places: Places, tile: MapTile, colour_of: NDArray[np.int8], colours: Sequence[Colour], shown: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The map tile ``(256, 256, 4)`` uint8 RGBA, the colours multiplied by the alpha.

    ``colour_of`` int8 (n,) says which of ``colours`` each outline has. Tiles that are not ``shown`` are dimmed
    instead. What is small on the map is a dot.
    """
    canvas = np.zeros((MAP_TILE, MAP_TILE, 4), np.uint8)
    placed = [*tile.tiny, *tile.large]
    if not placed:
        return canvas
    rows = np.array([one.row for one in placed], np.intp)
    moves = np.array([one.move for one in placed])
    longest = np.array([one.longest for one in placed])
    corners = places.outlines[rows]
    corners = (corners + np.stack((moves, np.zeros_like(moves)), axis=1)[:, None]) * (MAP_TILE * 2.0**tile.z)
    corners -= (tile.x * MAP_TILE, tile.y * MAP_TILE)
    middles = corners[:, :-1].mean(axis=1, keepdims=True)
    inset = 1 - 2 * _INSET_PIXELS / np.maximum(longest, _DOT_PIXELS)
    corners = np.clip(middles + (corners - middles) * inset[:, None, None], -(2.0**24), 2.0**24)
    fixed = np.round((corners - 0.5) * 2**_SHIFT).astype(np.int32)
    small = longest < _DOT_PIXELS
    for number in np.flatnonzero(~shown[rows] & ~small):
        cv2.fillPoly(canvas, [fixed[number]], _DIMMED, cv2.LINE_8, _SHIFT)
    for index, colour in enumerate(colours):
        lines = [fixed[number] for number in np.flatnonzero(shown[rows] & (colour_of[rows] == index) & ~small)]
        cv2.polylines(canvas, lines, True, (*colour, 255), _LINE_PIXELS, cv2.LINE_AA, _SHIFT)
    table = np.array([(*colour, 255) for colour in colours] + [_DIMMED], np.uint8)
    own = np.where(shown, colour_of, len(colours))[rows]
    order = np.argsort(shown[rows], kind="stable")  # what passes lies above what does not
    dots = order[small[order]]
    _draw_dots(canvas, middles[dots, 0], table[own[dots]], crowded=_is_crowded(places, tile.z))
    return canvas


def _is_crowded(places: Places, zoom: int) -> bool:
    middles = (places.boxes[:, :2] + places.boxes[:, 2:]) / 2 * (MAP_TILE * 2.0**zoom / _CROWD_PIXELS)
    column, row = np.floor(middles).astype(np.int64).T
    sharing = len(column) - len(np.unique(column << 32 | row))
    return sharing > max(_MANY_SHARING, 0.3 * len(column))  # a few pictures of one place are no crowd


def _draw_dots(
    canvas: NDArray[np.uint8], middles: NDArray[np.float64], colours: NDArray[np.uint8], *, crowded: bool
) -> None:
    """A disc, a square or one translucent pixel around each of ``middles``, in its colour."""
    if not crowded and len(middles) <= _FEW:
        for middle, colour in zip(middles, colours.tolist(), strict=True):
            centre = np.round((middle - 0.5) * 2**_SHIFT).astype(int).tolist()
            cv2.circle(canvas, centre, _DISC_RADIUS << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
        return
    first = np.floor(middles).astype(np.int64)
    steps = (0,) if crowded else (-1, 0, 1)
    drawn = colours // 2 if crowded else colours
    for step in product(steps, steps):
        column, row = (first + np.array(step)).T
        inside = (column >= 0) & (column < MAP_TILE) & (row >= 0) & (row < MAP_TILE)
        canvas[row[inside], column[inside]] = drawn[inside]
