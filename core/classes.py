"""The land-cover classes and the two ways of writing them down: class raster and palette mask.

The one truth of the project is the *class raster*: ``uint8``, height x width, 0..5 in the order of
``CLASSES`` and 255 for unlabelled or unknown. Everything else is converted at the edge, here.

DeepGlobe masks are RGB; its own README asks readers to threshold each channel at 128, since some
copies went through a lossy format. A thresholded colour is one of eight corners of the RGB cube; seven
of them are classes (or unknown) and red is none of them.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

ClassRaster = NDArray[np.uint8]
"""``(height, width)`` uint8; 0..5 index ``CLASSES``, 255 is unlabelled."""

UNLABELLED = 255


@dataclass(frozen=True, slots=True)
class LandClass:
    """One class: its index in a class raster, its name, its DeepGlobe colour and its meaning."""

    index: int
    name: str
    colour: tuple[int, int, int]
    meaning: str

    @property
    def hex_colour(self) -> str:
        """The colour as ``#rrggbb``."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


CLASSES: tuple[LandClass, ...] = (
    LandClass(0, "urban", (0, 255, 255), "man-made, built-up areas with human artefacts"),
    LandClass(1, "agriculture", (255, 255, 0), "farms, any planned plantation, cropland, orchards, vineyards"),
    LandClass(2, "rangeland", (255, 0, 255), "any non-forest, non-farm green land, grass"),
    LandClass(3, "forest", (0, 255, 0), "land with a tree crown cover of some density, plus clear cuts"),
    LandClass(4, "water", (0, 0, 255), "rivers, oceans, lakes, wetland, ponds"),
    LandClass(5, "barren", (255, 255, 255), "mountain, rock, desert, beach, land without vegetation"),
)
CLASS_COUNT = len(CLASSES)
CLASS_NAMES: tuple[str, ...] = tuple(c.name for c in CLASSES)
UNKNOWN_COLOUR = (0, 0, 0)


class IndexOrder(StrEnum):
    """The class-index orders found in the wild, besides our own class raster."""

    RASTER = "raster"  # ours: 0 urban .. 5 barren, 255 unlabelled
    UNKNOWN_FIRST = "unknown-first"  # GLNet and its followers: 0 unknown, 1 urban .. 6 barren
    UNKNOWN_LAST = "unknown-last"  # others: 0 urban .. 5 barren, 6 unknown


def _index_table(order: IndexOrder) -> ClassRaster:
    """A 256-entry table from foreign index to ours; indices that mean nothing become 255."""
    table = np.full(256, UNLABELLED, np.uint8)
    first = 1 if order is IndexOrder.UNKNOWN_FIRST else 0
    table[first : first + CLASS_COUNT] = np.arange(CLASS_COUNT)
    return table


_UNKNOWN_INDEX = {IndexOrder.RASTER: UNLABELLED, IndexOrder.UNKNOWN_FIRST: 0, IndexOrder.UNKNOWN_LAST: CLASS_COUNT}

# Colour -> class, by the three thresholded bits (red 4, green 2, blue 1). Red alone is no class. cv2 wants all 256.
_CORNER_WEIGHTS = np.array([[4, 2, 1]], np.float32)
_RED_CORNER = 4
_CORNER_TO_CLASS = np.full(256, UNLABELLED, np.uint8)
for _c in CLASSES:
    _CORNER_TO_CLASS[sum((v > 127) << (2 - i) for i, v in enumerate(_c.colour))] = _c.index

# Class -> colour; every index that is no class is drawn black.
PALETTE: NDArray[np.uint8] = np.zeros((256, 3), np.uint8)
PALETTE[:CLASS_COUNT] = [c.colour for c in CLASSES]


@dataclass(frozen=True, slots=True)
class DecodedMask:
    """A decoded mask and how far it strayed from the palette.

    ``off_palette`` counts the pixels whose colour (or index) is none of the seven exactly. Of these,
    ``undecidable`` are nearest to no class at all (red, or an index out of range) and were left unlabelled;
    the others were snapped to the class that the 128 threshold gives.
    """

    raster: ClassRaster
    off_palette: int
    undecidable: int


def decode_colours(rgb: NDArray[np.uint8]) -> DecodedMask:
    """Turn an ``(height, width, 3)`` uint8 palette image into a class raster by the 128 threshold.

    Raises ``ValueError`` for another shape or dtype.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"a palette mask is height x width x 3 uint8, not {rgb.shape} {rgb.dtype}")
    # By OpenCV, eight times faster than by numpy here: of indexing a tile this was the half.
    corner = np.asarray(cv2.transform(np.ascontiguousarray(rgb >> 7), _CORNER_WEIGHTS), np.uint8)
    raster = np.asarray(cv2.LUT(corner, _CORNER_TO_CLASS), np.uint8)
    red = corner == _RED_CORNER
    undecidable = off_palette = int(np.count_nonzero(red))
    stray = rgb + np.uint8(1) > 1  # neither 0 nor 255, which wraps round to 0
    if stray.any():
        off_palette = int(np.count_nonzero(stray[..., 0] | stray[..., 1] | stray[..., 2] | red))
    return DecodedMask(raster, off_palette=off_palette, undecidable=undecidable)


def encode_colours(raster: ClassRaster) -> NDArray[np.uint8]:
    """Paint a class raster in the DeepGlobe palette: ``(height, width, 3)`` uint8, unlabelled is black."""
    return PALETTE[raster]


def decode_indices(indices: NDArray[np.uint8], order: IndexOrder) -> DecodedMask:
    """Turn a ``(height, width)`` class-index image in the given order into a class raster."""
    raster = _index_table(order)[indices]
    strange = int(((raster == UNLABELLED) & (indices != _UNKNOWN_INDEX[order])).sum())
    return DecodedMask(raster, off_palette=strange, undecidable=strange)


def encode_indices(raster: ClassRaster, order: IndexOrder) -> NDArray[np.uint8]:
    """Write a class raster in another index order; the inverse of ``decode_indices``."""
    table = np.full(256, _UNKNOWN_INDEX[order], np.uint8)
    first = 1 if order is IndexOrder.UNKNOWN_FIRST else 0
    table[:CLASS_COUNT] = np.arange(CLASS_COUNT) + first
    return table[raster]


def guess_index_order(indices: NDArray[np.uint8]) -> IndexOrder | None:
    """Guess the index order of a whole mask, or None where its values fit none.

    0..5 with 255 is ours. A 6 without 255 is read as GLNet's barren (unknown first): a 0 beside it is then
    unknown. That is the commoner of the two readings, and the catalogue says so beside the tile.
    """
    present = set(np.unique(indices).tolist())
    if present <= {0, 1, 2, 3, 4, 5, UNLABELLED}:
        return IndexOrder.RASTER
    if present <= {0, 1, 2, 3, 4, 5, 6}:
        return IndexOrder.UNKNOWN_FIRST
    return None
