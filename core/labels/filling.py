"""The fill tool: the region of one value around a seed."""

import numpy as np
from scipy import ndimage

from core.classes import ClassRaster
from core.errors import InputError
from core.labels.rasterising import Mask
from core.labels.strokes import Box, Point


def region(raster: ClassRaster, seed: Point) -> tuple[Box, Mask]:
    """Find the 4-connected region of equal value (unlabelled counts too) around a seed.

    ``seed`` is (x, y) in tile pixels. Returns the smallest box around the region and a bool mask of the box's size.
    Raises ``InputError`` for a seed outside the tile.
    """
    column, row = int(np.floor(seed[0])), int(np.floor(seed[1]))
    height, width = raster.shape
    if not (0 <= row < height and 0 <= column < width):
        raise InputError("The place to fill lies outside the tile; click on the image.")
    regions, _ = ndimage.label(raster == raster[row, column])
    mask = regions == regions[row, column]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = Box(int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)
    return box, mask[box.slices]
