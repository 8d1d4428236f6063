"""A simulated annotator: a few labelled squares per class, drawn from full masks.

It stands for a person who labels '20 to 50 instances per class', repeatably by a seed: for the demonstration,
for benchmarks and for learning curves.
"""

from collections.abc import Mapping

import numpy as np

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster

GRID = 8  # centres are drawn from every 8th pixel: plenty to choose from, and quick


def simulate_instances(
    rasters: Mapping[str, ClassRaster], *, per_class: int, seed: int, side: int = 80
) -> dict[str, ClassRaster]:
    """Keep at most ``per_class`` squares of ``side`` pixels of each class over all rasters; the rest is unlabelled.

    A square is centred on a random pixel of its class, and only the pixels of that class in it are labelled.
    Returns rasters of the same names and shapes. The same seed gives the same squares.
    """
    generator = np.random.default_rng(seed)
    sparse = {name: np.full(raster.shape, UNLABELLED, np.uint8) for name, raster in rasters.items()}
    for class_index in range(CLASS_COUNT):
        spots = [
            (name, int(row) * GRID, int(column) * GRID)
            for name, raster in rasters.items()
            for row, column in np.argwhere(raster[::GRID, ::GRID] == class_index)
        ]
        for chosen in generator.permutation(len(spots))[:per_class]:
            name, row, column = spots[chosen]
            half = side // 2
            box = np.s_[max(0, row - half) : row + half, max(0, column - half) : column + half]
            sparse[name][box][rasters[name][box] == class_index] = class_index
    return sparse
