"""Which pixels of a tile a drawn stroke covers.

A pixel belongs to a stroke by its centre alone: no anti-aliasing, one class a pixel.
``assets/components/paint/rasterise.js`` follows the same rules, so that what is shown while drawing is what lands on
disk.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.labels.strokes import Box, BrushStroke, DrawnStroke, Point, PolygonStroke

Mask = NDArray[np.bool_]
_Spans = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
"""Rows, first columns, and columns behind the last."""

_CHUNK_ROWS = 400_000  # (segment, row) pairs handled at a time: bounds the memory of the longest stroke


def rasterise(stroke: DrawnStroke, shape: tuple[int, int]) -> tuple[Box, Mask]:
    """Find the pixels of a ``shape`` (height, width) tile that a drawn stroke covers.

    Returns the smallest box around them and a bool mask of the box's size. Brush and eraser cover the pixels whose
    centre lies within ``radius`` of the path; a polygon, the centres inside it by the even-odd rule over its outline
    and holes; a rectangle, the centres between its corners. Raises ``InputError`` where that is no pixel of the tile
    at all, and for a hole that touches none of its polygon.
    """
    if isinstance(stroke, BrushStroke):
        return _covered(_path_spans(_points(stroke.points), stroke.radius, shape), shape)
    if isinstance(stroke, PolygonStroke):
        _check_holes(stroke, shape)
        return rasterise_rings([stroke.points, *stroke.holes], shape)
    return _covered([_rectangle_spans(_points(stroke.points), shape)], shape)


def rasterise_rings(rings: Sequence[Sequence[Point]], shape: tuple[int, int]) -> tuple[Box, Mask]:
    """The pixels inside closed rings by the even-odd rule over all of them; as ``rasterise`` otherwise."""
    return _covered([_ring_spans(rings, shape)], shape)


def _check_holes(stroke: PolygonStroke, shape: tuple[int, int]) -> None:
    """Refuse a hole beside the polygon: even-odd would paint it."""
    if not stroke.holes:
        return
    inside = np.zeros(shape, np.bool_)
    box, mask = rasterise_rings([stroke.points], shape)
    inside[box.slices] = mask
    for number, hole in enumerate(stroke.holes, start=1):
        rows, starts, ends = _ring_spans([hole], shape)
        touches = any(inside[row, start:end].any() for row, start, end in zip(rows, starts, ends, strict=True))
        if (ends > starts).any() and not touches:
            raise InputError(f"Hole {number} lies outside its polygon; draw it inside, or leave it out.")


def _points(points: Sequence[Point]) -> NDArray[np.float64]:
    return np.asarray(points, np.float64)


def _covered(all_spans: Iterable[_Spans], shape: tuple[int, int]) -> tuple[Box, Mask]:
    """The union of spans, which may overlap between and within the items."""
    edges = np.zeros((shape[0], shape[1] + 1), np.int32)  # +1 where a span begins, -1 behind its end
    box = _Bounds()
    for spans in all_spans:
        rows, starts, ends = _not_empty(spans)
        if rows.size:
            np.add.at(edges, (rows, starts), 1)
            np.add.at(edges, (rows, ends), -1)
            box.include(rows, starts, ends)
    if box.bottom <= box.top:
        raise InputError("The stroke covers no pixel of the tile; draw it on the image.")
    window = edges[box.top : box.bottom, box.left : box.right]
    return Box(box.top, box.left, *window.shape), np.cumsum(window, axis=1) > 0


def _not_empty(spans: _Spans) -> _Spans:
    rows, starts, ends = spans
    inside = ends > starts
    return rows[inside], starts[inside], ends[inside]


class _Bounds:
    """The bounding box of the spans so far."""

    def __init__(self) -> None:
        self.top = self.left = 2**31
        self.bottom = self.right = 0

    def include(self, rows: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]) -> None:
        self.top, self.bottom = min(self.top, int(rows.min())), max(self.bottom, int(rows.max()) + 1)
        self.left, self.right = min(self.left, int(starts.min())), max(self.right, int(ends.max()))


def _path_spans(points: NDArray[np.float64], radius: float, shape: tuple[int, int]) -> Iterator[_Spans]:
    """The spans around a path, some segments at a time."""
    starts, ends = (points[:-1], points[1:]) if len(points) > 1 else (points, points)
    chunk = max(1, _CHUNK_ROWS // shape[0])
    for i in range(0, len(starts), chunk):
        yield _capsule_spans(starts[i : i + chunk], ends[i : i + chunk], radius, shape)


def _first_centre(x: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """The first column (or row) whose centre is at ``x`` or beyond it, clipped to 0..limit."""
    first: NDArray[np.float64] = np.clip(np.ceil(x - 0.5), 0, limit)
    return first.astype(np.intp)


def _behind_last_centre(x: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """The column behind the last whose centre is at ``x`` or before it, clipped to 0..limit."""
    behind: NDArray[np.float64] = np.clip(np.floor(x - 0.5) + 1, 0, limit)
    return behind.astype(np.intp)


def _rows_of_each(first: NDArray[np.intp], behind: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every (item, row) pair with ``first[item] <= row < behind[item]``."""
    counts = np.maximum(behind - first, 0)
    item = np.repeat(np.arange(len(first)), counts)
    offset = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)
    return item, first[item] + offset


def _capsule_spans(
    start: NDArray[np.float64], end: NDArray[np.float64], radius: float, shape: tuple[int, int]
) -> _Spans:
    """A capsule is all points within ``radius`` of a segment. It is convex: one span a row.

    The span is the hull of what the row cuts from the disc at either end and from the strip between them.
    """
    height, width = shape
    item, rows = _rows_of_each(
        _first_centre(np.minimum(start[:, 1], end[:, 1]) - radius, height),
        _behind_last_centre(np.maximum(start[:, 1], end[:, 1]) + radius, height),
    )
    ax, ay, bx, by = start[item, 0], start[item, 1], end[item, 0], end[item, 1]
    y = rows + 0.5
    low = np.full(len(rows), np.inf)
    high = np.full(len(rows), -np.inf)
    for cx, cy in ((ax, ay), (bx, by)):
        half = np.sqrt(np.maximum(radius * radius - (y - cy) ** 2, 0))
        cut = np.abs(y - cy) <= radius
        low = np.where(cut, np.minimum(low, cx - half), low)
        high = np.where(cut, np.maximum(high, cx + half), high)
    dx, dy = bx - ax, by - ay
    length = np.sqrt(dx * dx + dy * dy)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Along the segment: 0 <= (x - ax) dx + (y - ay) dy <= length^2.
        along = (ax - (y - ay) * dy / dx, ax + (length * length - (y - ay) * dy) / dx)
        # Across it: |(x - ax) dy - (y - ay) dx| <= radius length.
        across = (ax + ((y - ay) * dx - radius * length) / dy, ax + ((y - ay) * dx + radius * length) / dy)
    upright, level = dx == 0, dy == 0
    beside = np.where(upright, (y >= np.minimum(ay, by)) & (y <= np.maximum(ay, by)), True)
    beside &= np.where(level, np.abs(y - ay) <= radius, True) & (length > 0)
    strip_low = np.maximum(
        np.where(upright, -np.inf, np.minimum(*along)), np.where(level, -np.inf, np.minimum(*across))
    )
    strip_high = np.minimum(np.where(upright, np.inf, np.maximum(*along)), np.where(level, np.inf, np.maximum(*across)))
    cut = beside & (strip_low <= strip_high)
    low = np.where(cut, np.minimum(low, strip_low), low)
    high = np.where(cut, np.maximum(high, strip_high), high)
    return rows, _first_centre(low, width), _behind_last_centre(high, width)


def _ring_spans(rings: Sequence[Sequence[Point]], shape: tuple[int, int]) -> _Spans:
    """Even-odd: a row's crossings with all edges, in order, open and close its spans in turn."""
    height, width = shape
    start = np.concatenate([_points(ring) for ring in rings])
    end = np.concatenate([np.roll(_points(ring), -1, axis=0) for ring in rings])
    swap = start[:, 1] > end[:, 1]
    upper, lower = np.where(swap[:, None], end, start), np.where(swap[:, None], start, end)
    # An edge counts for the rows with upper y <= centre < lower y, so a corner on a centre counts once.
    item, rows = _rows_of_each(_first_centre(upper[:, 1], height), _first_centre(lower[:, 1], height))
    ux, uy, lx, ly = upper[item, 0], upper[item, 1], lower[item, 0], lower[item, 1]
    x = ux + (rows + 0.5 - uy) * (lx - ux) / (ly - uy)
    order = np.lexsort((x, rows))
    rows, columns = rows[order], _first_centre(x[order], width)
    return rows[::2], columns[::2], columns[1::2]


def _rectangle_spans(points: NDArray[np.float64], shape: tuple[int, int]) -> _Spans:
    height, width = shape
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    rows = np.arange(*_first_centre(np.array([top, bottom]), height))
    start, end = _first_centre(np.array([left, right]), width)
    return rows, np.full_like(rows, start), np.full_like(rows, end)
