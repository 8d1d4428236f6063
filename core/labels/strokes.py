"""Strokes: what a person draws, and which pixels of the class raster it covers.

Coordinates are tile pixels, x to the right and y down, with (0, 0) at the outer corner of the first pixel, so
that the centre of pixel (row r, column c) is (c + 0.5, r + 0.5). A pixel belongs to a stroke by its centre alone:
no anti-aliasing, one class a pixel. ``assets/components/paint/rasterise.js`` follows the same rules, so that what
is shown while drawing is what lands on disk.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.classes import CLASS_COUNT, UNLABELLED
from core.errors import InputError

MAX_POINTS = 5_000
MAX_RADIUS = 512.0
MAX_COORDINATE = 1_000_000.0
_CHUNK_ROWS = 400_000  # (segment, row) pairs handled at a time: bounds the memory of the longest stroke

Coordinate = Annotated[float, Field(ge=-MAX_COORDINATE, le=MAX_COORDINATE, allow_inf_nan=False)]
ClientKey = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{8,64}$")]
Tool = Literal["brush", "eraser", "polygon", "rectangle"]
_FEWEST_POINTS: dict[str, int] = {"brush": 1, "eraser": 1, "polygon": 3, "rectangle": 2}


class Stroke(BaseModel):
    """One drawn stroke, as the browser sends it.

    ``points`` are (x, y) in tile pixels: the path of a brush or eraser, the corners of a polygon, or two opposite
    corners of a rectangle. ``radius`` is in tile pixels and counts for brush and eraser only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_key: ClientKey
    tool: Tool
    class_index: int
    points: list[tuple[Coordinate, Coordinate]] = Field(min_length=1, max_length=MAX_POINTS)
    radius: float = Field(default=0.5, ge=0.5, le=MAX_RADIUS, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (0 <= self.class_index < CLASS_COUNT or self.class_index == UNLABELLED):
            raise ValueError(f"class_index is 0 to {CLASS_COUNT - 1}, or {UNLABELLED} for unlabelled")
        if self.tool == "eraser" and self.class_index != UNLABELLED:
            raise ValueError(f"an eraser's class_index is {UNLABELLED}")
        if len(self.points) < _FEWEST_POINTS[self.tool]:
            raise ValueError(f"a {self.tool} needs at least {_FEWEST_POINTS[self.tool]} points")
        return self


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns, to index an array with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def parse_stroke(body: bytes) -> Stroke:
    """Read a stroke from JSON. Raises ``InputError`` that names the first thing wrong with it."""
    try:
        return Stroke.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the stroke"
        raise InputError(
            f"The stroke was not understood ({where}: {first['msg']}); reload the page and draw it again."
        ) from error


def rasterise(stroke: Stroke, shape: tuple[int, int]) -> tuple[Box, NDArray[np.bool_]]:
    """Find the pixels of a ``shape`` (height, width) tile that a stroke covers.

    Returns the smallest box around them and a bool mask of the box's size. Brush and eraser cover the pixels whose
    centre lies within ``radius`` of the path; a polygon, the centres inside it by the even-odd rule; a rectangle, the
    centres between its corners. Raises ``InputError`` where that is no pixel of the tile at all.
    """
    points = np.asarray(stroke.points, np.float64)
    edges = np.zeros((shape[0], shape[1] + 1), np.int32)  # +1 where a span begins, -1 behind its end
    box = _Bounds()
    for spans in _spans(stroke, points, shape):
        rows, starts, ends = _not_empty(spans)
        if rows.size:
            np.add.at(edges, (rows, starts), 1)
            np.add.at(edges, (rows, ends), -1)
            box.include(rows, starts, ends)
    if box.bottom <= box.top:
        raise InputError("The stroke covers no pixel of the tile; draw it on the image.")
    window = edges[box.top : box.bottom, box.left : box.right]
    return Box(box.top, box.left, *window.shape), np.cumsum(window, axis=1) > 0


_Spans = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
"""Rows, first columns, and columns behind the last."""


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


def _spans(stroke: Stroke, points: NDArray[np.float64], shape: tuple[int, int]) -> list[_Spans]:
    """The spans of pixel centres a stroke covers, clipped to the tile; they may overlap, except in a polygon."""
    if stroke.tool == "polygon":
        return [_polygon_spans(points, shape)]
    if stroke.tool == "rectangle":
        return [_rectangle_spans(points, shape)]
    starts, ends = (points[:-1], points[1:]) if len(points) > 1 else (points, points)
    chunk = max(1, _CHUNK_ROWS // shape[0])
    return [
        _capsule_spans(starts[i : i + chunk], ends[i : i + chunk], stroke.radius, shape)
        for i in range(0, len(starts), chunk)
    ]


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


def _polygon_spans(points: NDArray[np.float64], shape: tuple[int, int]) -> _Spans:
    """Even-odd: a row's crossings with the edges, in order, open and close its spans in turn."""
    height, width = shape
    start, end = points, np.roll(points, -1, axis=0)
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
    (left, top), (right, bottom) = points[:2].min(axis=0), points[:2].max(axis=0)
    rows = np.arange(*_first_centre(np.array([top, bottom]), height))
    start, end = _first_centre(np.array([left, right]), width)
    return rows, np.full_like(rows, start), np.full_like(rows, end)
