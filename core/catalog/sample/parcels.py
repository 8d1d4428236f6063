"""Cutting land into parcels: a convex polygon is halved again and again, as inheritance and roads do it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Polygon = list[Point]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One parcel: its convex outline (x, y in pixels) and the direction of its longest side, radians."""

    outline: Polygon
    direction: float

    @property
    def corners(self) -> NDArray[np.int32]:
        """The outline as OpenCV draws it: ``(corners, 2)`` int32."""
        return np.rint(self.outline).astype(np.int32)

    @property
    def centre(self) -> Point:
        """The mean of the corners."""
        count = len(self.outline)
        return sum(x for x, _ in self.outline) / count, sum(y for _, y in self.outline) / count


@dataclass(frozen=True, slots=True)
class Subdivision:
    """Parcels, and the cuts that made them as (start, end, depth); the shallow cuts make good roads."""

    parcels: list[Parcel]
    cuts: list[tuple[Point, Point, int]]


def subdivide(
    rng: np.random.Generator, size: int, *, area: float, angle: float, skew: float, strips: float
) -> Subdivision:
    """Cut a square of ``size`` pixels into parcels of about ``area`` square pixels.

    Args:
        rng: source of every draw.
        size: side of the square, pixels.
        area: typical area of a parcel, square pixels; single parcels differ by a factor of two or so.
        angle: direction of the first cuts, radians.
        skew: standard deviation of a cut's deviation from the right angle, radians.
        strips: share of the parcels that are cut once more, lengthwise, into two to five strips.
    """
    parcels: list[Parcel] = []
    cuts: list[tuple[Point, Point, int]] = []
    waiting: list[tuple[Polygon, int]] = [(_rotated_square(size, angle), 0)]
    while waiting:
        outline, depth = waiting.pop()
        if _misses(outline, size):
            continue
        direction, length, width = _longest_side(outline)
        if depth > 1 and length * width < area * np.exp(0.45 * rng.standard_normal()):
            pieces = _strips(rng, outline, direction) if rng.random() < strips else [outline]
            parcels.extend(Parcel(piece, direction) for piece in pieces)
            continue
        across = direction + (0.0 if length >= width else np.pi / 2)
        first, second, edge = _halve(outline, across + skew * rng.standard_normal(), rng.uniform(0.36, 0.64))
        if edge is not None:
            cuts.append((*edge, depth))
        waiting += [(piece, depth + 1) for piece in (first, second) if len(piece) >= 3]
    return Subdivision(parcels, cuts)


def _rotated_square(size: int, angle: float) -> Polygon:
    half = 0.75 * size
    turn = [(np.cos(angle + k * np.pi / 2), np.sin(angle + k * np.pi / 2)) for k in range(4)]
    return [(size / 2 + half * (c - s), size / 2 + half * (c + s)) for c, s in turn]


def _misses(outline: Polygon, size: int) -> bool:
    xs, ys = zip(*outline, strict=True)
    return bool(max(xs) < 0 or max(ys) < 0 or min(xs) > size or min(ys) > size)


def _longest_side(outline: Polygon) -> tuple[float, float, float]:
    """The direction of the longest side, and the polygon's extent along and across it."""
    sides = [
        ((x1 - x0) ** 2 + (y1 - y0) ** 2, x1 - x0, y1 - y0)
        for (x0, y0), (x1, y1) in zip(outline, outline[1:] + outline[:1], strict=True)
    ]
    squared, dx, dy = max(sides)
    norm = max(squared, 1e-9) ** 0.5
    dx, dy = dx / norm, dy / norm
    along = [x * dx + y * dy for x, y in outline]
    across = [y * dx - x * dy for x, y in outline]
    return float(np.arctan2(dy, dx)), max(along) - min(along), max(across) - min(across)


def _halve(outline: Polygon, normal: float, share: float) -> tuple[Polygon, Polygon, tuple[Point, Point] | None]:
    """Cut across the direction ``normal``, at ``share`` of the polygon's extent along it."""
    nx, ny = float(np.cos(normal)), float(np.sin(normal))
    heights = [x * nx + y * ny for x, y in outline]
    level = min(heights) + share * (max(heights) - min(heights))
    below: Polygon = []
    above: Polygon = []
    edge: list[Point] = []
    for index, here in enumerate(outline):
        there = outline[(index + 1) % len(outline)]
        low, high = heights[index] - level, heights[(index + 1) % len(outline)] - level
        (below if low <= 0 else above).append(here)
        if (low <= 0) != (high <= 0):
            part = low / (low - high)
            cut = (here[0] + part * (there[0] - here[0]), here[1] + part * (there[1] - here[1]))
            below.append(cut)
            above.append(cut)
            edge.append(cut)
    return below, above, (edge[0], edge[1]) if len(edge) == 2 else None


def _strips(rng: np.random.Generator, outline: Polygon, direction: float) -> list[Polygon]:
    count = int(rng.integers(2, 6))
    pieces, rest = [], outline
    for left in range(count, 1, -1):
        piece, rest, _ = _halve(rest, direction + np.pi / 2, 1 / left * rng.uniform(0.85, 1.15))
        pieces.append(piece)
    return [piece for piece in [*pieces, rest] if len(piece) >= 3]
