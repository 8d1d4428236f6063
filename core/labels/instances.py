"""Instances: the connected regions of each class, counted exactly on the full raster.

A class needs some twenty labelled instances before a head learns it, and fifty before its score settles; the
canvas shows the count against these marks after every stroke. So counting must be quick: the raster is cut into runs
(stretches of one class in one row), of which a painted tile has some ten thousand, and the runs that touch are joined
as a graph. That takes time by the number of runs, not of pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster

MIN_PIXELS = 16
"""A region of fewer pixels is a crumb (the edge of an erased patch, say) and no instance."""

MARKS = (20, 50)
"""Instances of a class from which a head begins to learn it, and from which it is well covered."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """What is labelled of one class on one tile: connected regions (8-connected) and pixels (crumbs included)."""

    instances: int
    pixels: int


def count(raster: ClassRaster, *, min_pixels: int = MIN_PIXELS) -> dict[str, ClassCount]:
    """Count instances and pixels of each of the six classes, by class name and in class order.

    A region counts as an instance from ``min_pixels`` pixels on. Pixels that touch at a corner are connected.
    """
    rows, starts, ends, classes = _labelled_runs(raster)
    if not rows.size:
        return dict.fromkeys(CLASS_NAMES, ClassCount(0, 0))
    first, second = _touching(rows, starts, ends, classes, width=raster.shape[1])
    graph = coo_array((np.ones(len(first), np.bool_), (first, second)), shape=(len(rows), len(rows)))
    regions, region_of_run = connected_components(graph, directed=False)
    region_pixels = np.bincount(region_of_run, weights=ends - starts, minlength=regions)
    region_class = np.empty(regions, np.intp)
    region_class[region_of_run] = classes
    instances = np.bincount(region_class[region_pixels >= min_pixels], minlength=CLASS_COUNT)
    pixels = np.bincount(region_class, weights=region_pixels, minlength=CLASS_COUNT)
    return {name: ClassCount(int(instances[i]), int(pixels[i])) for i, name in enumerate(CLASS_NAMES)}


_Indices = NDArray[np.intp]


def _labelled_runs(raster: ClassRaster) -> tuple[_Indices, _Indices, _Indices, _Indices]:
    """The labelled runs in reading order: row, first column, column behind the last, class."""
    height, width = raster.shape
    begins = np.empty((height, width), np.bool_)
    begins[:, 0] = True
    np.not_equal(raster[:, 1:], raster[:, :-1], out=begins[:, 1:])
    at = np.flatnonzero(begins)
    lengths = np.diff(at, append=height * width)
    classes = raster.ravel()[at]
    labelled = classes != UNLABELLED
    rows, starts = np.divmod(at[labelled], width)
    return rows, starts, starts + lengths[labelled], classes[labelled].astype(np.intp)


def _touching(
    rows: _Indices, starts: _Indices, ends: _Indices, classes: _Indices, *, width: int
) -> tuple[_Indices, _Indices]:
    """Pairs of runs of one class in neighbouring rows that touch, corners included."""
    stride = width + 2  # one spare column on either side keeps a row's corners apart from the next row
    key_start, key_end = rows * stride + starts, rows * stride + ends
    # In the row below, a run touches when its end is at our start or later and its start at our end or earlier.
    first = np.searchsorted(key_end, key_start + stride, side="left")
    behind = np.searchsorted(key_start, key_end + stride, side="right")
    counts = np.maximum(behind - first, 0)
    above = np.repeat(np.arange(len(rows)), counts)
    below = np.repeat(first, counts) + np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts, counts)
    same = classes[above] == classes[below]
    return above[same], below[same]
