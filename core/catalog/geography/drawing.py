"""Map tiles of the geographic map: the tiles that touch one, warped onto the Web Mercator plane by rasterio.

The work for one map tile is bounded. Tiles longer than ``SPECK`` pixels on it are warped, at most ``MAX_WARPED`` of
them, the uppermost: without overlap, no more fit. Shorter ones are set down by their corners alone, which at that size
is good to a fraction of a pixel and a hundred times faster.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from core.catalog.geography.display import SPECK
from core.catalog.geography.footprints import HALF_WORLD, NO_PLACE, SEGMENTS, transformed
from core.catalog.geography.places import Places
from core.catalog.pyramid import MAP_TILE, Levels
from core.classes import UNLABELLED

MAX_ZOOM = 24
"""Of an address: 0.6 cm a pixel at the equator."""

MAX_WARPED = 400

_WEB_MERCATOR = CRS.from_epsg(3857)

FULL = 255
"""The alpha of what is seen through nowhere."""

_MARGIN = 4  # pixels of a level around what is needed, for the resampling's reach

Read = Callable[[int, int], Levels]
"""Gives the pyramid of a row of the places, of which some level is at least as long as the asked pixels."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A tile on a map tile: its row, the worlds it is moved by, its length in pixels, and its box on the 256 pixels."""

    row: int
    move: float
    longest: float
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class MapTile:
    """One map tile of 256 x 256 pixels: ``large`` and ``tiny`` are what touches it, in the order of drawing."""

    z: int
    x: int
    y: int
    large: tuple[Placed, ...]
    tiny: tuple[Placed, ...]

    def transform(self, left: int = 0, top: int = 0, move: float = 0.0) -> Affine:
        """From the pixels right and below of (left, top) to the metres of EPSG:3857, ``move`` worlds to the west."""
        side = 2 * HALF_WORLD / 2**self.z
        pixel = side / MAP_TILE
        west = (self.x * side - HALF_WORLD) - move * 2 * HALF_WORLD + left * pixel
        return Affine(pixel, 0, west, 0, -pixel, HALF_WORLD - self.y * side - top * pixel)


def map_tile(places: Places, z: int, x: int, y: int, margin: int = 0) -> MapTile:
    """What has to be drawn for map tile ``x``, ``y`` of zoom ``z``: what comes within ``margin`` pixels of it."""
    scale = MAP_TILE * 2.0**z
    rows, moves = places.touching(z, x, y, margin)
    boxes = places.boxes[rows] * scale + np.outer(moves * scale, (1, 0, 1, 0)) - (x * MAP_TILE, y * MAP_TILE) * 2
    longest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    first = np.maximum(0, np.floor(boxes[:, :2]).astype(np.int64) - 1)
    last = np.minimum(MAP_TILE, np.ceil(boxes[:, 2:]).astype(np.int64) + 1)

    def placed(numbers: NDArray[np.intp]) -> tuple[Placed, ...]:
        columns = (rows, moves, longest, *first.T, *last.T)
        return tuple(map(Placed, *(column[numbers].tolist() for column in columns)))

    large = longest > SPECK
    return MapTile(z, x, y, placed(np.flatnonzero(large)[-MAX_WARPED:]), placed(np.flatnonzero(~large)))


def draw_pictures(places: Places, tile: MapTile, read: Read, specks: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The map tile ``(256, 256, 4)`` uint8 RGBA, the colours multiplied by the alpha; all 0 where nothing lies.

    From the uppermost tile down, as far as anything is still to be seen. ``specks`` are those of ``tile.tiny``.
    """
    canvas = np.zeros((MAP_TILE, MAP_TILE, 4), np.uint8)
    for placed in reversed(tile.large):
        part = canvas[placed.top : placed.bottom, placed.left : placed.right]
        if (part[..., 3] == FULL).all():
            continue
        piece = np.zeros((4, *part.shape[:2]), np.uint8)
        if _warp(places, tile, placed, read(placed.row, int(np.ceil(placed.longest))), piece):
            _lay_under(part, np.moveaxis(piece, 0, -1))
    if tile.tiny:
        below = np.zeros_like(canvas)
        for placed, speck in zip(tile.tiny, specks, strict=True):
            _set_down(below, places, tile, placed, speck)
        _lay_under(canvas, below)
    return canvas


def draw_classes(places: Places, tile: MapTile, read: Read) -> NDArray[np.uint8]:
    """The map tile of class rasters ``(256, 256)`` uint8 by nearest neighbour, unlabelled where nothing lies.

    Tiles no longer than ``SPECK`` pixels are left out: nothing could be told of them.
    """
    canvas = np.full((MAP_TILE, MAP_TILE), UNLABELLED, np.uint8)
    for placed in tile.large:
        piece = np.full((1, placed.bottom - placed.top, placed.right - placed.left), UNLABELLED, np.uint8)
        if _warp(places, tile, placed, read(placed.row, int(np.ceil(placed.longest))), piece):
            part = canvas[placed.top : placed.bottom, placed.left : placed.right]
            np.copyto(part, piece[0], where=piece[0] != UNLABELLED)
    return canvas


def straight_alpha(premultiplied: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(h, w, 4)`` with the colours no longer multiplied by the alpha, as PNG has them."""
    alpha = premultiplied[..., 3]
    if ((alpha == 0) | (alpha == 255)).all():
        return premultiplied
    whole = np.maximum(alpha, 1)[..., None].astype(np.uint16)
    colours = np.minimum(255, (premultiplied[..., :3].astype(np.uint16) * 255 + whole // 2) // whole)
    return np.dstack((colours.astype(np.uint8), alpha))


def _warp(places: Places, tile: MapTile, placed: Placed, levels: Levels, piece: NDArray[np.uint8]) -> bool:
    """Warp a tile's pyramid onto ``piece`` (bands, h, w), its box on the map tile; whether anything came of it.

    Pictures become four bands and are interpolated; class rasters have one and are not.
    """
    width, height = places.sizes[placed.row]
    level = next((level for level in reversed(levels) if max(level.shape[:2]) >= placed.longest), levels[0])
    level_height, level_width = level.shape[:2]
    on_ground = Affine(*places.transforms[placed.row]) @ Affine.scale(width / level_width, height / level_height)
    crs = places.crs[places.systems[placed.row]]
    target = tile.transform(placed.left, placed.top, placed.move)
    window = _needed(crs, ~on_ground, target, piece.shape[1:], level.shape[:2])
    if window is None:
        return False
    left, top, right, bottom = window
    cut = level[top:bottom, left:right]
    bands = np.moveaxis(cut, -1, 0) if cut.ndim == 3 else cut[None]
    source = np.full((len(piece), *cut.shape[:2]), FULL, np.uint8)  # RGB has its alpha everywhere
    source[: len(bands)] = bands
    how, nodata = (Resampling.bilinear, None) if cut.ndim == 3 else (Resampling.nearest, UNLABELLED)
    try:
        reproject(
            source,
            piece,
            src_transform=on_ground @ Affine.translation(left, top),
            src_crs=crs,
            src_nodata=nodata,
            dst_transform=target,
            dst_crs=_WEB_MERCATOR,
            dst_nodata=nodata,
            init_dest_nodata=False,  # the piece comes as it is to be where nothing lies
            resampling=how,
        )
    except NO_PLACE:  # no pixel of the map tile has a place in this CRS
        return False
    return True


def _needed(
    crs: CRS, to_pixels: Affine, target: Affine, shape: tuple[int, ...], level: tuple[int, ...]
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what a piece of the map shows of a level; None where it shows nothing of it.

    All of the level where some of the piece's border has no place in the CRS.
    """
    height, width = shape
    part = np.linspace(0, 1, SEGMENTS + 1)
    columns = np.concatenate((part, np.ones_like(part), part, np.zeros_like(part))) * width
    rows = np.concatenate((np.zeros_like(part), part, np.ones_like(part), part)) * height
    with np.errstate(invalid="ignore"):
        column, row = _applied(to_pixels, *transformed(_WEB_MERCATOR, crs, *_applied(target, columns, rows)))
    if not (np.isfinite(column).all() and np.isfinite(row).all()):
        return 0, 0, level[1], level[0]
    left, right = max(0, int(column.min()) - _MARGIN), min(level[1], int(column.max()) + _MARGIN + 1)
    top, bottom = max(0, int(row.min()) - _MARGIN), min(level[0], int(row.max()) + _MARGIN + 1)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _applied(
    transform: Affine, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def _set_down(
    canvas: NDArray[np.uint8], places: Places, tile: MapTile, placed: Placed, speck: NDArray[np.uint8]
) -> None:
    """Draw a speck by three corners of its tile's outline; below two pixels, its mean on the pixels of the box."""
    scale, corner = MAP_TILE * 2.0**tile.z, (tile.x * MAP_TILE, tile.y * MAP_TILE)
    if placed.longest < 2:
        box = (places.boxes[placed.row] + (placed.move, 0, placed.move, 0)) * scale - corner * 2
        left, top, right, bottom = np.rint(box).astype(int).tolist()  # neighbours meet: their edges round alike
        rows, columns = slice(max(0, top), max(0, bottom, top + 1)), slice(max(0, left), max(0, right, left + 1))
        canvas[rows, columns] = (*speck.mean(axis=(0, 1)), FULL)
        return
    corners = places.outlines[placed.row, [0, SEGMENTS, 3 * SEGMENTS]] + (placed.move, 0)
    corners = corners * scale - corner
    part = canvas[placed.top : placed.bottom, placed.left : placed.right]
    origin, across, down = corners - (placed.left, placed.top)
    # From the speck's pixel centres to the part's: both count them from the middle of the first.
    step_x, step_y = (across - origin) / SPECK, (down - origin) / SPECK
    shift = origin + (step_x + step_y) / 2 - 0.5
    matrix = np.column_stack((step_x, step_y, shift))
    speck = np.dstack((speck, np.full(speck.shape[:2], FULL, np.uint8)))
    size = (part.shape[1], part.shape[0])
    laid = cv2.warpAffine(speck, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    opaque = laid[..., 3] > FULL // 2  # thousands of them: no time for soft edges
    colours = laid[opaque].astype(np.uint16)  # their borders were mixed with nothing: undone by their alpha
    part[opaque] = colours * FULL // colours[:, 3:]


def _lay_under(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> None:
    """Lay a picture under another, in the other's place; both with their colours multiplied by the alpha."""
    if not above[..., 3].any():
        above[...] = below
        return
    rest = (FULL - above[..., 3].astype(np.uint16))[..., None]
    above[...] = np.minimum(FULL, above + (below * rest + FULL // 2) // FULL)
