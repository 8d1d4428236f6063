"""Where things lie: the class raster of a scene, with its fields, town blocks and waters.

Each scene follows one of six themes, by its seed, so that any six scenes in a row show all six classes in
earnest. A theme is a share of the land for each class; smooth random scores, one a class, are biased until
the highest score gives these shares. Farmland and towns then take whole parcels, which makes their borders
as straight as those that people draw, while the other borders keep their natural curves.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.sample.noise import Field, enlarge, fractal
from core.catalog.sample.parcels import Parcel, Subdivision, subdivide
from core.classes import ClassRaster

URBAN, AGRICULTURE, RANGELAND, FOREST, WATER, BARREN = range(6)
LAND = (URBAN, AGRICULTURE, RANGELAND, FOREST, BARREN)
COARSE = 4  # the layout is decided on cells of 4 pixels, 2 m


@dataclass(frozen=True, slots=True)
class Theme:
    """What a scene is about: shares of the land in the order of ``LAND``, and its waters.

    ``lakes`` is the share of the scene that standing water takes; ``river`` the width of its river, pixels.
    """

    shares: tuple[float, float, float, float, float]
    lakes: float
    river: float


THEMES: tuple[Theme, ...] = (
    Theme((0.09, 0.60, 0.12, 0.14, 0.05), lakes=0.0, river=95.0),  # river farmland
    Theme((0.44, 0.24, 0.13, 0.13, 0.06), lakes=0.01, river=120.0),  # a town on a river
    Theme((0.05, 0.25, 0.19, 0.47, 0.04), lakes=0.04, river=34.0),  # wooded hills
    Theme((0.06, 0.22, 0.44, 0.08, 0.20), lakes=0.025, river=0.0),  # dry rangeland
    Theme((0.10, 0.46, 0.14, 0.20, 0.10), lakes=0.17, river=30.0),  # lake country
    Theme((0.11, 0.34, 0.17, 0.08, 0.30), lakes=0.01, river=70.0),  # quarries and bare hills
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The plan of a scene.

    Attributes:
        raster: ``(size, size)`` class raster; no pixel is unlabelled.
        parcel_ids: ``(size, size)`` uint16, index into ``fields`` plus one; 0 outside farmland.
        block_ids: ``(size, size)`` uint16, index into ``blocks`` plus one; 0 outside towns.
        fields: the farmed parcels.
        blocks: the town blocks.
        farm_cuts: the cuts that made the fields, as candidates for rural roads.
        river: where the water flows rather than stands, ``(size, size)`` bool.
    """

    raster: ClassRaster
    parcel_ids: NDArray[np.uint16]
    block_ids: NDArray[np.uint16]
    fields: list[Parcel]
    blocks: list[Parcel]
    farm_cuts: list[tuple[tuple[float, float], tuple[float, float], int]]
    river: NDArray[np.bool_]


def plan(rng: np.random.Generator, size: int, theme: Theme) -> Layout:
    """Lay out a scene of ``size`` x ``size`` pixels."""
    coarse = int(np.ceil(size / COARSE))
    claims = _claims(rng, coarse, theme.shares)
    raster = _natural_cover(claims, size)
    fields, field_ids, farm_cuts = _settle(rng, size, claims, AGRICULTURE, area=min(26_000.0, size**2 / 40))
    blocks, block_ids, _ = _settle(rng, size, claims, URBAN, area=min(15_000.0, size**2 / 60))
    raster[field_ids > 0] = AGRICULTURE
    raster[block_ids > 0] = URBAN
    river = _river(rng, size, theme.river)
    lakes = _lakes(rng, size, theme.lakes, raster)
    raster[river | lakes] = WATER
    raster = _without_crumbs(raster)
    field_ids[raster != AGRICULTURE] = 0
    block_ids[raster != URBAN] = 0
    return Layout(raster, field_ids, block_ids, fields, blocks, farm_cuts, river & (raster == WATER))


def _claims(rng: np.random.Generator, coarse: int, shares: tuple[float, ...]) -> NDArray[np.uint8]:
    """Coarse raster of which class claims a cell: smooth scores, biased until the shares are met."""
    scores = np.stack([fractal(rng, coarse, coarsest=coarse * 0.34, finest=3, gain=0.42) for _ in shares])
    scores[0] *= 1.3  # towns hold together more than the rest
    wanted = np.array(shares) / sum(shares)
    bias = np.log(wanted)
    few = scores[:, ::3, ::3]
    for _ in range(30):
        winner = (few + bias[:, None, None]).argmax(axis=0)
        found = np.bincount(winner.ravel(), minlength=len(shares)) / winner.size
        bias += 0.35 * np.log((wanted + 0.01) / (found + 0.01))
    winner = (scores + bias[:, None, None].astype(np.float32)).argmax(axis=0)
    return np.array(LAND, np.uint8)[winner]


def _natural_cover(claims: NDArray[np.uint8], size: int) -> ClassRaster:
    """Forest and barren with smooth borders; everything else starts as rangeland."""
    raster = np.full((size, size), RANGELAND, np.uint8)
    for index in (FOREST, BARREN):
        soft = cv2.GaussianBlur((claims == index).astype(np.float32), (0, 0), 1.5)
        raster[enlarge(soft, size, COARSE) > 0.5] = index
    return raster


def _settle(
    rng: np.random.Generator, size: int, claims: NDArray[np.uint8], index: int, *, area: float
) -> tuple[list[Parcel], NDArray[np.uint16], list[tuple[tuple[float, float], tuple[float, float], int]]]:
    """The parcels that a class takes: those whose centre lies in its claim; with their raster of numbers."""
    town = index == URBAN
    land: Subdivision = subdivide(
        rng,
        size,
        area=area * np.exp(0.35 * rng.standard_normal()),
        angle=rng.uniform(0, np.pi / 2),
        skew=0.05 if town else rng.uniform(0.03, 0.14),
        strips=0.0 if town else rng.uniform(0.1, 0.6),
    )
    limit = claims.shape[0] - 1
    taken: list[Parcel] = []
    ids = np.zeros((size, size), np.uint16)
    for parcel in land.parcels:
        x, y = (min(max(int(v / COARSE), 0), limit) for v in parcel.centre)
        if claims[y, x] == index:
            taken.append(parcel)
            cv2.fillConvexPoly(ids, parcel.corners, len(taken))
    return taken, ids, land.cuts


def _river(rng: np.random.Generator, size: int, width: float) -> NDArray[np.bool_]:
    """A meandering band from edge to edge, ``width`` pixels across in a full tile and less in a small one."""
    drawn = np.zeros((size, size), np.uint8)
    if width > 0:
        steps = np.linspace(-0.15, 1.15, 240)
        bends = sum(
            rng.uniform(0.5, 1.0) * reach * np.sin(2 * np.pi * (waves * steps + rng.random()))
            for waves, reach in ((0.7, 0.11), (1.9, 0.055), (4.3, 0.022), (9.1, 0.006))
        )
        across = rng.uniform(0.3, 0.7) + bends + rng.uniform(-0.35, 0.35) * (steps - 0.5)
        line = np.stack([steps, across], axis=1)[:, :: 1 if rng.random() < 0.5 else -1] * size
        broad = max(6.0, width * min(1.0, 0.25 + 0.75 * size / 2448))
        swell = broad * (1 + 0.28 * np.sin(2 * np.pi * (3.3 * steps + rng.random())))
        for start, end, thick in zip(line[:-1], line[1:], swell[:-1], strict=True):
            cv2.line(drawn, np.rint(start).astype(int).tolist(), np.rint(end).astype(int).tolist(), 1, round(thick))
    return drawn.astype(bool)


def _lakes(rng: np.random.Generator, size: int, share: float, raster: ClassRaster) -> NDArray[np.bool_]:
    """Standing water on ``share`` of the scene: the lowest spots of a smooth field, towns spared."""
    if share <= 0:
        return np.zeros((size, size), bool)
    coarse = int(np.ceil(size / COARSE))
    depth = fractal(rng, coarse, coarsest=coarse * 0.3, finest=5, gain=0.36)
    town = cv2.resize((raster == URBAN).astype(np.float32), (coarse, coarse), interpolation=cv2.INTER_AREA)
    depth = cv2.GaussianBlur(depth - 1.2 * town, (0, 0), 2)
    level = np.float32(np.quantile(depth, 1 - share))
    lakes: NDArray[np.bool_] = enlarge(depth - level, size, COARSE) > 0
    return lakes


def _without_crumbs(raster: ClassRaster) -> ClassRaster:
    """Draw the raster as an annotator would: no region narrower than some 10 pixels."""
    small = cv2.resize(raster, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST)
    best = np.zeros(small.shape, np.float32)
    smooth = np.zeros_like(raster)
    full_best = np.zeros(raster.shape, np.float32)
    del best
    for index in range(6):
        share = cv2.GaussianBlur((small == index).astype(np.float32), (0, 0), 1.1)
        share = cv2.resize(share, raster.shape[::-1], interpolation=cv2.INTER_LINEAR)
        winner = share > full_best
        smooth[winner] = index
        np.maximum(full_best, share, out=full_best)
    return smooth


def nearness(field_mask: NDArray[np.bool_], reach: float) -> Field:
    """1 on the mask, falling to 0 at ``reach`` pixels from it; measured on the coarse grid."""
    size = field_mask.shape[0]
    small = cv2.resize(field_mask.astype(np.uint8), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_NEAREST)
    distance = cv2.distanceTransform(1 - small, cv2.DIST_L2, 3) * COARSE
    near = np.clip(1 - distance / reach, 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(near, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
