"""From a class raster to labelled cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.training.cell_grid import CellGrid


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """What is labelled in each cell of a tile.

    ``counts`` is ``(rows, columns, 6)`` int64: labelled pixels by class. ``classes`` is ``(rows, columns)`` uint8,
    the class with most of them (the lower index where two are equal), 255 where nothing is labelled. ``weights``
    is ``(rows, columns)`` float32 in 0..1: that class's share of the cell's pixels, so that a cell which is hardly
    labelled, or mixed, counts for little.
    """

    counts: NDArray[np.int64]
    classes: NDArray[np.uint8]
    weights: NDArray[np.float32]


def label_cells(raster: ClassRaster, grid: CellGrid) -> LabelledCells:
    """Count a ``(height, width)`` class raster into the cells of its tile; unlabelled pixels count nowhere."""
    rows, columns = grid.cells
    labelled_row, labelled_column = np.nonzero(raster != UNLABELLED)
    row_of, column_of = grid.cell_of_pixel(0), grid.cell_of_pixel(1)
    cell = row_of[labelled_row] * columns + column_of[labelled_column]
    flat = np.bincount(
        cell * CLASS_COUNT + raster[labelled_row, labelled_column], minlength=rows * columns * CLASS_COUNT
    )
    counts = flat.reshape(rows, columns, CLASS_COUNT)
    most = counts.max(axis=-1)
    area = np.outer(np.bincount(row_of, minlength=rows), np.bincount(column_of, minlength=columns))
    classes = np.where(most > 0, counts.argmax(axis=-1), UNLABELLED).astype(np.uint8)
    return LabelledCells(counts, classes, (most / np.maximum(area, 1)).astype(np.float32))


def balanced_sample(
    classes: list[NDArray[np.uint8]], *, limit: int, generator: np.random.Generator
) -> tuple[list[NDArray[np.int64]], NDArray[np.float64]]:
    """Choose at most about ``limit`` labelled cells over several tiles, as evenly by class as there are cells.

    Classes with few cells give all of theirs, and the others share what is left. Returns the flat indices of the
    chosen cells per tile, ascending, and for each class the number of its cells that one chosen cell stands for.
    """
    flat = np.concatenate([c.ravel() for c in classes])
    chosen = np.zeros(flat.size, bool)
    stands_for = np.ones(CLASS_COUNT)
    available = np.bincount(flat[flat != UNLABELLED], minlength=CLASS_COUNT)
    room, left = limit, int((available > 0).sum())
    for index in np.argsort(available, kind="stable"):
        if available[index] == 0:
            continue
        quota = min(int(available[index]), room // left)
        chosen[generator.permutation(np.flatnonzero(flat == index))[:quota]] = True
        stands_for[index] = available[index] / max(quota, 1)
        room, left = room - quota, left - 1
    bounds = np.cumsum([c.size for c in classes])[:-1]
    return [np.flatnonzero(part) for part in np.split(chosen, bounds)], stands_for
