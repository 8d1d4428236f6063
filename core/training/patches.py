"""Tiles at the recipe's resolution, kept small in memory, and square patches cut out of them.

A patch is cut with one affine map from patch to tile, so that flips, quarter turns, any other angle and a change of
scale cost one resampling of the patch alone, and need no larger window around it.
"""

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.images import read_image, read_mask
from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.errors import NotSavedError
from core.progress import Progress
from core.training.cell_grid import CellGrid
from core.training.training_data import LabelledTile

IN_MEMORY = 2 << 30
"""Working tiles beyond so many bytes together lie in a file that is mapped, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class WorkingTile:
    """A tile at working resolution: ``image`` (height, width, 3) uint8 RGB, ``classes`` (height, width) uint8."""

    name: str
    image: NDArray[np.uint8]
    classes: ClassRaster


@dataclass(frozen=True, slots=True)
class Move:
    """How a patch is laid on its tile.

    Mirrored left to right or not, then turned against the clock by ``quarter_turns`` and freely by ``angle`` degrees,
    then enlarged: a ``scale`` over 1 shows less land. The first two are the symmetries of
    ``core.inference.tta.Dihedral``.
    """

    quarter_turns: int = 0
    mirrored: bool = False
    angle: float = 0.0
    scale: float = 1.0

    def matrix(self, *, row: float, column: float, side: int) -> NDArray[np.float64]:
        """``(2, 3)`` float64: tile (x, y) of patch (x, y), for a patch whose unmoved corner is at (row, column)."""
        turn = math.radians(90 * self.quarter_turns + self.angle)
        cosine, sine = math.cos(turn), math.sin(turn)
        linear = np.array([[cosine, -sine], [sine, cosine]]).round(12) / self.scale
        if self.mirrored:
            linear[0] *= -1
        middle = (side - 1) / 2
        return np.column_stack([linear, np.array([column + middle, row + middle]) - linear @ [middle, middle]])


AS_IT_IS = Move()


def load_working_tiles(tiles: Sequence[LabelledTile], *, folder: Path, progress: Progress) -> tuple[WorkingTile, ...]:
    """Decode each tile once and bring it to its working size.

    ``folder`` is where the mapped file lies that takes what is more than ``IN_MEMORY``; it has no name there and goes
    with the process. Raises ``InputError`` for a tile that cannot be read or a full disk, ``CancelledError`` between
    tiles.
    """
    loaded = []
    used = 0
    for index, tile in enumerate(tiles):
        progress.update(index, len(tiles), f"Reading tile {tile.name}")
        used += tile.grid.working[0] * tile.grid.working[1] * 4
        image = working_image(read_image(tile.image_path), tile.grid)
        classes = working_classes(read_mask(tile.mask_path, shape=tile.grid.size).raster, tile.grid)
        if used > IN_MEMORY:
            image, classes = _mapped(image, folder), _mapped(classes, folder)
        loaded.append(WorkingTile(tile.name, image, classes))
    return tuple(loaded)


def working_image(image: NDArray[np.uint8], grid: CellGrid) -> NDArray[np.uint8]:
    """A tile ``(height, width, 3)`` uint8 at its working size, by area averaging as the features are made."""
    if image.shape[:2] == grid.working:
        return image
    return np.asarray(cv2.resize(image, grid.working[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def working_classes(raster: ClassRaster, grid: CellGrid) -> ClassRaster:
    """A class raster at its tile's working size: the class with most of the labelled area under each working pixel.

    A majority rather than the nearest pixel: at 2 m a working pixel stands for sixteen, and the nearest would be one
    of them by chance. What is unlabelled has no vote, so that thin strokes are not lost; a working pixel is
    unlabelled only where all of it is. The lower class index where two have the same area.
    """
    if raster.shape == grid.working:
        return raster
    most = np.zeros(grid.working, np.float32)
    classes: ClassRaster = np.full(grid.working, UNLABELLED, np.uint8)
    for index in range(CLASS_COUNT):
        own = (raster == index).astype(np.float32)
        if not own.any():
            continue
        area = cv2.resize(own, grid.working[::-1], interpolation=cv2.INTER_AREA)
        # Sums of equal areas may differ in the last digit.
        larger = area > most + 1e-4
        classes[larger] = index
        most[larger] = area[larger]
    return classes


def cut_patch(
    tile: WorkingTile, *, row: int, column: int, side: int, move: Move = AS_IT_IS
) -> tuple[NDArray[np.uint8], ClassRaster]:
    """A ``(side, side, 3)`` uint8 patch and its ``(side, side)`` classes; (row, column) is its corner before the move.

    Beyond the tile's edge the picture is mirrored and the classes are 255. Flips and quarter turns at scale 1 move
    whole pixels and change none.
    """
    matrix = move.matrix(row=row, column=column, side=side)
    image = cv2.warpAffine(
        tile.image, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    classes = cv2.warpAffine(
        tile.classes,
        matrix,
        (side, side),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=UNLABELLED,
    )
    return np.asarray(image, np.uint8), np.asarray(classes, np.uint8)


def _mapped(array: NDArray[np.uint8], folder: Path) -> NDArray[np.uint8]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as stream:
            # Reserved first: writing to a map for which the disk has no room would kill the process.
            os.posix_fallocate(stream.fileno(), 0, array.nbytes)
            mapped: NDArray[np.uint8] = np.memmap(stream, np.uint8, mode="r+", shape=array.shape)
    except OSError as error:
        raise NotSavedError(
            f"The tiles need {array.nbytes / 1e6:.0f} MB more in {folder} while the fit runs ({error.strerror}); "
            "free some disk space or choose another folder, then try again."
        ) from error
    mapped[:] = array
    return mapped
