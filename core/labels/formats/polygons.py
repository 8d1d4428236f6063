"""Polygons to pixels and back, by the rule of the strokes: a pixel belongs to a polygon by its centre alone.

Tracing follows the pixels' edges, so corners are whole numbers and centres lie half a pixel from every edge: what was
traced paints the same pixels again, even after a trip through another coordinate system and some rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rasterio.features import shapes

from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError

_Indices = NDArray[np.intp]
Ring = NDArray[np.float64]
"""``(points, 2)`` float64: (x, y) in tile pixels, (0, 0) at the outer corner of the first pixel; not closed."""

MAX_CROSSINGS = 100_000_000
"""Edges times the rows each spans: about a minute of work."""
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Polygon:
    """One polygon of a class: its outline and its holes; what they cover is even-odd over all rings."""

    class_index: int
    rings: tuple[Ring, ...]


def trace(raster: ClassRaster) -> list[Polygon]:
    """The 4-connected regions of every class of a class raster as polygons along the pixels' edges, outline first."""
    found = shapes(raster, mask=raster != UNLABELLED, connectivity=4)
    return [
        Polygon(int(value), tuple(np.asarray(ring[:-1], np.float64) for ring in geometry["coordinates"]))
        for geometry, value in found
    ]


def paint(raster: ClassRaster, polygons: Sequence[Polygon]) -> int:
    """Paint polygons onto a class raster, in place, over each other in their order.

    Returns how many of them cover no pixel centre of it. Raises ``InputError`` where that would be more than
    ``MAX_CROSSINGS`` of work.
    """
    missed = len(polygons)
    for chunk in _chunks(polygons, raster.shape[0]):
        number, rows, starts, ends = _spans([polygon.rings for polygon in chunk], raster.shape)
        painted = ends > starts
        number = number[painted]
        missed -= np.unique(number).size
        first = (rows * raster.shape[1] + starts)[painted]
        colours = np.array([polygon.class_index for polygon in chunk], np.uint8)
        fill_runs(raster.reshape(-1), first, (ends - starts)[painted], colours[number])
    return missed


def fill_runs(flat: ClassRaster, first: _Indices, lengths: _Indices, values: ClassRaster) -> None:
    """Set runs of a flat array, in place: from ``first`` on ``lengths`` pixels each; a later run wins."""
    for some in _pieces(lengths):
        # Where an index comes twice in one assignment numpy keeps the later value.
        flat[positions(first[some], lengths[some])] = np.repeat(values[some], lengths[some])


def positions(first: _Indices, lengths: _Indices) -> _Indices:
    """Every place in runs: ``first``, ``first + 1``, ... as long as each is."""
    offset = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(first, lengths) + offset


def _chunks(polygons: Sequence[Polygon], height: int) -> Iterator[list[Polygon]]:
    """Polygons in their order, in parcels of a bounded number of crossings."""
    parcel: list[Polygon] = []
    held = total = 0
    for polygon in polygons:
        work = sum(_crossings(ring, height) for ring in polygon.rings)
        total += work
        if total > MAX_CROSSINGS:
            raise InputError("The file's polygons have too many long edges to be drawn; simplify or split them.")
        if parcel and held + work > _CHUNK:
            yield parcel
            parcel, held = [], 0
        parcel.append(polygon)
        held += work
    if parcel:
        yield parcel


def _crossings(ring: Ring, height: int) -> int:
    y = np.clip(ring[:, 1], 0, height)
    return int(np.abs(np.diff(y, append=y[:1])).sum()) + len(ring)


def _pieces(lengths: NDArray[np.intp]) -> Iterator[slice]:
    """Slices of spans, in order, with at most some ``_CHUNK`` pixels each."""
    parcel = np.cumsum(lengths) // _CHUNK
    cuts = [0, *(np.flatnonzero(np.diff(parcel)) + 1).tolist(), len(lengths)]
    yield from (slice(start, end) for start, end in pairwise(cuts) if end > start)


def _spans(
    polygons: Sequence[tuple[Ring, ...]], shape: tuple[int, int]
) -> tuple[_Indices, _Indices, _Indices, _Indices]:
    """Even-odd spans of many polygons: polygon's number, row, first column, column behind the last, in their order."""
    height, width = shape
    rings = [(number, ring) for number, rings in enumerate(polygons) for ring in rings]
    owner = np.repeat([number for number, _ in rings], [len(ring) for _, ring in rings])
    start = np.concatenate([ring for _, ring in rings])
    end = np.concatenate([np.roll(ring, -1, axis=0) for _, ring in rings])
    swap = start[:, 1] > end[:, 1]
    upper, lower = np.where(swap[:, None], end, start), np.where(swap[:, None], start, end)
    # An edge counts for the rows with upper y <= centre < lower y, so a corner on a centre counts once.
    first, behind = _first_centre(upper[:, 1], height), _first_centre(lower[:, 1], height)
    counts = np.maximum(behind - first, 0)
    edge, rows = np.repeat(np.arange(len(first)), counts), positions(first, counts)
    ux, uy, lx, ly = upper[edge, 0], upper[edge, 1], lower[edge, 0], lower[edge, 1]
    x = ux + (rows + 0.5 - uy) * (lx - ux) / (ly - uy)
    order = np.lexsort((x, rows, owner[edge]))
    columns = _first_centre(x[order], width)
    opening = order[::2]
    return owner[edge[opening]], rows[opening], columns[::2], columns[1::2]


def _first_centre(x: NDArray[np.float64], limit: int) -> _Indices:
    """The first column (or row) whose centre is at ``x`` or beyond it, clipped to 0..limit."""
    first: NDArray[np.float64] = np.clip(np.ceil(x - 0.5), 0, limit)
    return first.astype(np.intp)
