"""A small piece of a tile before and after its refinement, quick enough to follow a slider."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.classes import ClassRaster
from core.inference.switches import Switches
from core.inference.tile_prediction import MeanLook, TileImage, finish
from core.screen_colours import Palette, raster_colours

SIDE = 512
"""Pixels of the piece that is shown."""

MARGIN_METRES = 40.0
"""Around the piece, so that it looks as it would in the whole tile: what lies further says little to it."""

_COVER = 0.5  # of the class colours over the image


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a tile with its surroundings: ``inner`` (rows, columns) is what is shown of it."""

    tile: TileImage
    said: MeanLook
    inner: tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Tried:
    """What switches do to a piece: class rasters before and after, the share of pixels that change, and seconds."""

    before: ClassRaster
    after: ClassRaster
    changed: float
    seconds: float


def least_sure_places(probabilities: NDArray[np.float32], *, count: int) -> list[tuple[int, int]]:
    """Where refinement has most to say: upper left corners (row, column) of at most ``count`` pieces, none twice.

    ``probabilities`` are (6, height, width). The piece with the lowest mean of the highest probability comes first.
    """
    height, width = probabilities.shape[1:]
    rows, columns = max(1, height // SIDE), max(1, width // SIDE)
    sure = probabilities.max(axis=0)
    corners = [(row * SIDE, column * SIDE) for row in range(rows) for column in range(columns)]
    return sorted(corners, key=lambda at: float(sure[at[0] : at[0] + SIDE, at[1] : at[1] + SIDE].mean()))[:count]


def cut(said: MeanLook, tile: TileImage, place: tuple[int, int]) -> Piece:
    """The piece at ``place`` (row, column) with the surroundings that there are; smaller at the tile's edge."""
    outer, inner = [], []
    for start, length, metres in zip(place, tile.pixels.shape, tile.metres_per_pixel, strict=False):
        margin = round(MARGIN_METRES / metres)
        stop = min(start + SIDE, length)
        first = max(0, start - margin)
        outer.append(slice(first, min(length, stop + margin)))
        inner.append(slice(start - first, stop - first))
    pixels = np.ascontiguousarray(tile.pixels[outer[0], outer[1]])
    probabilities = np.ascontiguousarray(said.probabilities[:, outer[0], outer[1]])
    valid = None if tile.valid is None else tile.valid[outer[0], outer[1]]
    piece = TileImage(pixels, tile.metres_per_pixel, tile.fingerprint, valid)
    return Piece(piece, MeanLook(probabilities, said.presence), (inner[0], inner[1]))


def try_switches(piece: Piece, switches: Switches) -> Tried:
    """Do to a piece what ``switches`` do to a tile, but for TTA, which asks the networks.

    Regions that reach over the piece's surroundings count with what is seen of them.
    """
    before = piece.said.probabilities.argmax(axis=0).astype(np.uint8)[piece.inner]
    begun = time.perf_counter()
    raster, _ = finish(piece.said, piece.tile, switches)
    seconds = time.perf_counter() - begun
    after = raster[piece.inner]
    return Tried(before, after, float((before != after).mean()), seconds)


def picture(piece: Piece, raster: ClassRaster | None, palette: Palette = Palette.DEEPGLOBE) -> NDArray[np.uint8]:
    """The piece's image (height, width, 3) uint8 RGB, with a class raster in a palette over it where one is given."""
    image = piece.tile.pixels[piece.inner]
    if raster is None:
        return np.ascontiguousarray(image)
    mixed = image * (1 - _COVER) + raster_colours(palette)[raster] * _COVER
    return np.asarray(mixed.round(), np.uint8)
