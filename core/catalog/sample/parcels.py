"""Parcels: the frame cut into quarters, halves and strips as land is, by inheritance and by road."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Quad = NDArray[np.float64]
"""``(4, 2)`` corner points x, y in order around a parcel."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A straight boundary ``(2, 2)`` between parcels; ``depth`` 0 was drawn first and is the likeliest road."""

    line: NDArray[np.float64]
    depth: int


@dataclass(frozen=True, slots=True)
class Division:
    """What ``divide`` cut a quad into."""

    quads: tuple[Quad, ...]
    cuts: tuple[Cut, ...]


def divide(rng: np.random.Generator, quad: Quad, *, side: float, stretch: float, jitter: float = 0.12) -> Division:
    """Halve ``quad`` again and again until its parts are about ``side`` pixels wide and ``stretch`` times as long.

    Each part stops at its own size (log-normal), so large and small parcels lie side by side.
    """
    quads: list[Quad] = []
    cuts: list[Cut] = []
    waiting = [(quad, 0)]
    while waiting:
        part, depth = waiting.pop()
        length_a = float(np.linalg.norm(part[1] - part[0]) + np.linalg.norm(part[2] - part[3])) / 2
        length_b = float(np.linalg.norm(part[2] - part[1]) + np.linalg.norm(part[3] - part[0])) / 2
        wanted = side * float(np.exp(rng.normal(0, 0.3)))
        if length_a * length_b < 2 * wanted * wanted * stretch or max(length_a, length_b) < 1.4 * wanted:
            quads.append(part)
            continue
        # Long parts are cut across; a part that is nearly square and small is cut into strips.
        across_a = length_a > length_b
        if length_a * length_b < 6 * wanted * wanted * stretch and min(length_a, length_b) > 1.8 * wanted:
            across_a = bool(rng.random() < 0.5)
        corners = part if across_a else np.roll(part, -1, axis=0)
        middle = 0.5 + rng.uniform(-jitter, jitter)
        near = corners[0] + (corners[1] - corners[0]) * (middle + rng.uniform(-jitter, jitter) * 0.25)
        far = corners[3] + (corners[2] - corners[3]) * (middle + rng.uniform(-jitter, jitter) * 0.25)
        cuts.append(Cut(np.stack([near, far]), depth))
        waiting.append((np.stack([corners[0], near, far, corners[3]]), depth + 1))
        waiting.append((np.stack([near, corners[1], corners[2], far]), depth + 1))
    return Division(tuple(quads), tuple(cuts))


@dataclass(frozen=True, slots=True)
class Bend:
    """A gentle warp of the plane, so that long boundaries curve as roads and streams do."""

    waves: NDArray[np.float64]
    """``(n, 5)``: wave vector x, y in radians a pixel; shift x, y in pixels; phase in radians."""

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move ``(n, 2)`` points."""
        swing = np.sin(points @ self.waves[:, :2].T + self.waves[:, 4])
        return np.asarray(points + swing @ self.waves[:, 2:4])

    def outline(self, corners: NDArray[np.float64], *, closed: bool, step: float = 24) -> NDArray[np.int32]:
        """A bent line or polygon through ``corners``, ``(n, 1, 2)`` int32 as OpenCV draws it."""
        ends = np.roll(corners, -1, axis=0) if closed else corners[1:]
        starts = corners if closed else corners[:-1]
        pieces = []
        for start, end in zip(starts, ends, strict=True):
            count = max(2, int(np.linalg.norm(end - start) / step) + 1)
            pieces.append(start + (end - start) * np.linspace(0, 1, count, endpoint=False)[:, None])
        if not closed:
            pieces.append(corners[-1:])
        return np.round(self(np.concatenate(pieces))).astype(np.int32).reshape(-1, 1, 2)


def random_bend(rng: np.random.Generator, size: int, amount: float) -> Bend:
    """A warp that moves points by up to about ``amount`` times a twentieth of the frame."""
    waves = np.empty((5, 5))
    for i in range(len(waves)):
        length = size * rng.uniform(0.25, 0.9)
        angle = rng.uniform(0, 2 * np.pi)
        reach = amount * length * 0.035
        waves[i, :2] = 2 * np.pi / length * np.array([np.cos(angle), np.sin(angle)])
        waves[i, 2:4] = reach * np.array([np.cos(angle + 1.6), np.sin(angle + 1.6)])
        waves[i, 4] = rng.uniform(0, 2 * np.pi)
    return Bend(waves)
