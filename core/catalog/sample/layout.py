"""Where what lies: the class raster of a sample scene, and the parcels and water it is made of."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.sample.noise import Field, enlarge, fractal, smooth
from core.catalog.sample.parcels import Bend, Division, Quad, divide, random_bend
from core.classes import ClassRaster

URBAN, AGRICULTURE, RANGELAND, FOREST, WATER, BARREN = range(6)
_LAND = (URBAN, AGRICULTURE, RANGELAND, FOREST, BARREN)
_WILD = (RANGELAND, FOREST, BARREN)
_COARSE = 8


@dataclass(frozen=True, slots=True)
class Theme:
    """A kind of landscape: the wanted share of each land class (the order of ``_LAND``) and its water."""

    shares: tuple[float, float, float, float, float]
    river_width: float
    """Pixels at full size; 0 draws none."""
    lake: float
    """Share of the frame under standing water."""


THEMES = (
    Theme((0.20, 0.40, 0.16, 0.20, 0.04), river_width=105, lake=0.0),  # villages along a river
    Theme((0.40, 0.25, 0.15, 0.13, 0.07), river_width=0, lake=0.05),  # a town and its fields
    Theme((0.05, 0.24, 0.20, 0.46, 0.05), river_width=0, lake=0.15),  # woods around a lake
    Theme((0.03, 0.28, 0.27, 0.08, 0.34), river_width=60, lake=0.0),  # dry hills
    Theme((0.20, 0.34, 0.16, 0.14, 0.16), river_width=0, lake=0.32),  # a shore
    Theme((0.07, 0.46, 0.24, 0.20, 0.03), river_width=45, lake=0.02),  # farms and pasture
)
"""One after the other with the seed, so that any six scenes in a row show every class."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The plan of a scene."""

    raster: ClassRaster
    cover: ClassRaster
    """The wild classes (rangeland, forest, barren) as they would lie without fields, towns and water."""
    fields: tuple[Quad, ...]
    town: tuple[Quad, ...]
    division: Division
    bend: Bend


def mask_of(raster: ClassRaster, kind: int) -> NDArray[np.uint8]:
    """255 where ``raster`` is ``kind``, else 0: a mask as OpenCV takes it."""
    return np.asarray(cv2.inRange(raster, kind, kind), np.uint8)


def plan(rng: np.random.Generator, seed: int, size: int) -> Layout:
    """Draw the plan of scene ``seed`` with ``size`` x ``size`` pixels."""
    theme = THEMES[seed % len(THEMES)]
    shares = np.array(theme.shares) * rng.uniform(0.8, 1.25, len(_LAND))
    scores = _scores(rng, size, shares / shares.sum())
    bend = random_bend(rng, size, rng.uniform(0.5, 1.1))
    side = rng.uniform(105, 210) * (size / 2448) ** 0.6
    division = divide(rng, _frame(rng, size), side=side, stretch=rng.uniform(1.2, 2.4))

    cover = _wild(scores, size)
    raster = cover.copy()
    fields: list[Quad] = []
    town: list[Quad] = []
    for quad in division.quads:
        kind = _class_at(scores, bend(quad.mean(axis=0, keepdims=True))[0], size)
        if kind in (URBAN, AGRICULTURE):
            (town if kind == URBAN else fields).append(quad)
            cv2.fillPoly(raster, [bend.outline(quad, closed=True)], kind)
    raster = np.asarray(cv2.medianBlur(raster, 5), np.uint8)
    _flood(rng, raster, theme, size)
    cover[raster == BARREN] = BARREN
    return Layout(raster, cover, tuple(fields), tuple(town), division, bend)


def _scores(rng: np.random.Generator, size: int, shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """One smooth field a land class on the coarse grid, levelled so that the highest wins the wanted share."""
    coarse = size // _COARSE + 2
    fields = np.stack([fractal(rng, coarse, coarse * rng.uniform(0.34, 0.5), octaves=4, roughness=0.42) for _ in _LAND])
    levels = np.zeros(len(_LAND))
    for _ in range(40):
        winner = np.argmax(fields + levels[:, None, None].astype(np.float32), axis=0)
        found = np.bincount(winner.ravel(), minlength=len(_LAND)) / winner.size
        levels += 0.25 * np.log((shares + 1e-3) / (found + 1e-3))
    return np.asarray(fields + levels[:, None, None], np.float32)


def _wild(scores: NDArray[np.float32], size: int) -> ClassRaster:
    """The winner among the classes that know no parcels, at full size."""
    best = np.full((size, size), -np.inf, np.float32)
    raster = np.zeros((size, size), np.uint8)
    for kind in _WILD:
        field = enlarge(scores[_LAND.index(kind)], size, _COARSE)
        raster[field > best] = kind
        np.maximum(best, field, out=best)
    return raster


def _class_at(scores: NDArray[np.float32], point: NDArray[np.float64], size: int) -> int:
    column, row = np.clip(point, 0, size - 1).astype(int) // _COARSE
    return _LAND[int(np.argmax(scores[:, row, column]))]


def _frame(rng: np.random.Generator, size: int) -> Quad:
    """A turned rectangle that covers the frame and what the bend may pull into it."""
    angle = rng.uniform(0, np.pi)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    reach = 0.86 * size
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach
    return np.asarray(corners @ axes + size / 2)


def _flood(rng: np.random.Generator, raster: ClassRaster, theme: Theme, size: int) -> None:
    """Lay river and lake over the land, with bare banks here and there."""
    coarse = size // _COARSE + 2
    # `level` is in pixels: negative under water, and below `beach` on a bare bank.
    level: Field = np.full((coarse, coarse), 1e6, np.float32)
    if theme.lake:
        field = smooth(rng, coarse, coarse * 0.45) + 0.12 * fractal(rng, coarse, coarse * 0.12, octaves=3)
        field -= np.float32(np.quantile(field, theme.lake * rng.uniform(0.85, 1.2)))
        level = np.minimum(level, field * np.float32(size * 0.2))
    if theme.river_width:
        line = _river(rng, size)
        dry = np.full((coarse, coarse), 255, np.uint8)
        cv2.polylines(dry, [np.round(line / _COARSE).astype(np.int32).reshape(-1, 1, 2)], False, 0, 1)
        distance = cv2.distanceTransform(dry, cv2.DIST_L2, 5) * np.float32(_COARSE)
        width = (
            theme.river_width
            * max(size / 2448, 0.25)
            * np.clip(1 + 0.28 * smooth(rng, coarse, coarse * 0.15), 0.65, 1.5)
        )
        level = np.minimum(level, cv2.GaussianBlur(distance, (0, 0), 1.5) - np.maximum(width / 2, 4))
    beach = size * 0.012 * np.maximum(fractal(rng, coarse, coarse * 0.25, octaves=2), -0.1)
    level_full = enlarge(level, size, _COARSE)
    raster[level_full < enlarge(np.asarray(beach, np.float32), size, _COARSE)] = BARREN
    raster[level_full < 0] = WATER


def _river(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """A meandering line across the frame, ``(n, 2)`` x, y."""
    angle = rng.uniform(0, 2 * np.pi)
    along = np.linspace(-0.8, 0.8, 240)
    waves = [
        rng.uniform(0.6, 1.0) * height * np.sin(2 * np.pi * along * turns + rng.uniform(0, 6.3))
        for height, turns in ((0.12, 0.8), (0.06, 1.9), (0.025, 4.2))
    ]
    swing = np.sum(waves, axis=0) + rng.uniform(-0.15, 0.15)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray((np.stack([along, swing], 1) @ axes + 0.5) * size)
