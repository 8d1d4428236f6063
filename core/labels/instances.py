"""Instances: the connected regions of each class, counted exactly on the full raster.

A class needs some twenty labelled instances before a head learns it, and fifty before its score settles; the
canvas shows the count against these marks after every stroke. So counting must be quick. The raster is cut into strips
of rows, a strip into runs (stretches of one class in one row), and the runs that touch are joined as a graph: first
within each strip, then the parts where strips meet. A stroke changes a strip or two; what was found in the others
still holds (``strips.py`` keeps it), and the last step sees only the parts, of which a painted tile has some thousand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster

MIN_PIXELS = 16
"""A region of fewer pixels is a crumb (the edge of an erased patch, say) and no instance."""

MARKS = (20, 50, 1000)
"""Instances of a class from which a head begins to learn it, its score settles, and more labels change little."""

_Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ClassCount:
    """What is labelled of one class on one tile: connected regions (8-connected) and pixels (crumbs included)."""

    instances: int
    pixels: int


@dataclass(frozen=True, slots=True)
class _Runs:
    """Stretches of one class in one row, in reading order: row, first column, column behind the last, class, part."""

    rows: _Indices
    starts: _Indices
    ends: _Indices
    classes: _Indices
    parts: _Indices

    def of_row(self, row: int) -> "_Runs":
        chosen = self.rows == row
        return _Runs(*(column[chosen] for column in self.columns))

    @property
    def columns(self) -> tuple[_Indices, ...]:
        return self.rows, self.starts, self.ends, self.classes, self.parts


@dataclass(frozen=True, slots=True)
class Parts:
    """The connected regions within a strip: the class and pixels of each, and the runs where the strip meets others."""

    width: int
    classes: _Indices
    pixels: _Indices
    top: _Runs
    bottom: _Runs


def count(raster: ClassRaster, *, min_pixels: int = MIN_PIXELS) -> dict[str, ClassCount]:
    """Count instances and pixels of each of the six classes, by class name and in class order.

    A region counts as an instance from ``min_pixels`` pixels on. Pixels that touch at a corner are connected.
    """
    return count_parts([find_parts(raster)], min_pixels=min_pixels)


def find_parts(strip: ClassRaster) -> Parts:
    """Find the connected regions within a strip of rows."""
    rows, starts, ends, classes = _labelled_runs(strip)
    first, second = _touching(rows, starts, ends, classes, width=strip.shape[1])
    parts, part_of_run = _joined(first, second, items=len(rows))
    part_classes = np.empty(parts, np.intp)
    part_classes[part_of_run] = classes
    pixels = np.bincount(part_of_run, weights=ends - starts, minlength=parts).astype(np.intp)
    runs = _Runs(rows, starts, ends, classes, part_of_run)
    return Parts(strip.shape[1], part_classes, pixels, top=runs.of_row(0), bottom=runs.of_row(len(strip) - 1))


def count_parts(strips: Sequence[Parts], *, min_pixels: int = MIN_PIXELS) -> dict[str, ClassCount]:
    """Count as ``count`` does, from the parts of all strips of a raster, top to bottom."""
    classes = np.concatenate([strip.classes for strip in strips])
    part_pixels = np.concatenate([strip.pixels for strip in strips])
    regions, region_of_part = _joined(*_meeting(strips), items=len(classes))
    pixels = np.bincount(region_of_part, weights=part_pixels, minlength=regions)
    region_class = np.empty(regions, np.intp)
    region_class[region_of_part] = classes
    instances = np.bincount(region_class[pixels >= min_pixels], minlength=CLASS_COUNT)
    by_class = np.bincount(region_class, weights=pixels, minlength=CLASS_COUNT)
    return {name: ClassCount(int(instances[i]), int(by_class[i])) for i, name in enumerate(CLASS_NAMES)}


def _joined(first: _Indices, second: _Indices, *, items: int) -> tuple[int, _Indices]:
    """How many groups the pairs join the items to, and the group of each item."""
    if not items:
        return 0, np.empty(0, np.intp)
    graph = coo_array((np.ones(len(first), np.bool_), (first, second)), shape=(items, items))
    groups, group_of_item = connected_components(graph, directed=False)
    return int(groups), group_of_item


def _meeting(strips: Sequence[Parts]) -> tuple[_Indices, _Indices]:
    """Pairs of parts of one class that touch where a strip meets the next; parts are numbered through all strips."""
    sides: list[tuple[_Indices, ...]] = []
    offset = 0
    for number, (above, below) in enumerate(pairwise(strips)):
        behind = offset + len(above.classes)
        # Rows 3n and 3n + 1, and none at 3n + 2: each seam touches nothing but itself.
        for row, side, base in ((3 * number, above.bottom, offset), (3 * number + 1, below.top, behind)):
            sides.append((np.full_like(side.rows, row), side.starts, side.ends, side.classes, side.parts + base))
        offset = behind
    if not sides:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    rows, starts, ends, classes, parts = (np.concatenate(column) for column in zip(*sides, strict=True))
    first, second = _touching(rows, starts, ends, classes, width=strips[0].width)
    return parts[first], parts[second]


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
