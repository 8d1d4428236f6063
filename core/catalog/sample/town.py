"""Towns: streets, plots and houses of many kinds of roof, with their shadows and gardens."""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.sample.ground import Colour, Picture
from core.catalog.sample.layout import URBAN, mask_of
from core.catalog.sample.noise import vary
from core.catalog.sample.parcels import Bend, Cut, Quad, divide
from core.classes import ClassRaster

ROOFS: dict[str, tuple[Colour, ...]] = {
    "concrete": ((172, 168, 160), (150, 146, 138), (188, 186, 180), (132, 130, 124)),
    "tile": ((150, 84, 62), (134, 76, 60), (166, 98, 72), (118, 72, 60)),
    "thatch": ((116, 98, 74), (98, 84, 66), (132, 114, 86)),
    "metal": ((92, 128, 156), (78, 108, 140), (88, 128, 104), (72, 104, 84), (196, 200, 202)),
    "slate": ((82, 84, 90), (98, 98, 100), (70, 72, 78)),
}
PAVINGS: tuple[Colour, ...] = ((120, 114, 104), (142, 126, 100), (98, 96, 94), (134, 106, 84))


def build_town(
    rng: np.random.Generator,
    picture: Picture,
    raster: ClassRaster,
    *,
    quads: tuple[Quad, ...],
    bend: Bend,
    fall: tuple[float, float],
) -> NDArray[np.float32]:
    """Draw streets and houses on the urban parcels; returns where garden trees may stand, ``(n, 2)`` x, y."""
    roofs = list(ROOFS)
    habit = rng.dirichlet(np.full(len(roofs), 1.1))
    paving = vary(rng, np.array(PAVINGS[rng.integers(len(PAVINGS))], float), 0.7)
    gardens: list[NDArray[np.float64]] = []
    for quad in quads:
        density = rng.uniform(0.55, 0.97)
        large = rng.random() < 0.12
        blocks = divide(rng, quad, side=rng.uniform(75, 110), stretch=1.7, jitter=0.06)
        streets = [Cut(quad[[i, (i + 1) % 4]], 0) for i in range(4)] + list(blocks.cuts)
        _pave(rng, picture, raster, streets=streets, bend=bend, paving=paving)
        for block in blocks.quads:
            plots = divide(rng, _shrunk(block, 0.88), side=52 if large else rng.uniform(21, 30), stretch=1.25).quads
            for plot in plots:
                centre = bend(plot.mean(axis=0, keepdims=True))
                if not _is_urban(raster, centre[0]):
                    continue
                if rng.random() > density:
                    gardens.append(centre + rng.normal(0, 7, (3, 2)))
                    continue
                kind = str(rng.choice(roofs, p=habit)) if not large else str(rng.choice(["metal", "concrete"]))
                corners = bend(_house(rng, plot))
                if all(_is_urban(raster, corner) for corner in corners):
                    _build_house(rng, picture, corners, kind=kind, fall=fall)
                if rng.random() < 0.55:
                    gardens.append(bend(plot[[rng.integers(4)]]) + rng.normal(0, 3, (1, 2)))
    if not gardens:
        return np.zeros((0, 2), np.float32)
    points = np.concatenate(gardens)
    inside = ((points >= 0) & (points < len(raster))).all(axis=1)
    points = points[inside]
    return points[[_is_urban(raster, point) for point in points]].astype(np.float32)


def _pave(
    rng: np.random.Generator,
    picture: Picture,
    raster: ClassRaster,
    *,
    streets: list[Cut],
    bend: Bend,
    paving: NDArray[np.float64],
) -> None:
    """Draw streets; the first cuts are the main streets. Water has no streets."""
    lines = picture.copy()
    for street in streets:
        width = int(np.clip(rng.normal(7.5 - 1.2 * min(street.depth, 3), 1.0), 3, 10))
        line = bend.outline(street.line, closed=False)
        if not _is_urban(raster, line[len(line) // 2, 0]):
            continue
        shade = paving + rng.normal(0, 5)
        cv2.polylines(lines, [line], False, (shade * 0.82).tolist(), width + 3)
        cv2.polylines(lines, [line], False, shade.tolist(), width)
    cv2.copyTo(lines, mask_of(raster, URBAN), picture)


def _house(rng: np.random.Generator, plot: Quad) -> Quad:
    """A rectangle within a plot, parallel to it, off its middle."""
    middle = plot.mean(axis=0)
    across = (plot[1] + plot[2] - plot[0] - plot[3]) / 4
    along = (plot[2] + plot[3] - plot[0] - plot[1]) / 4
    along = along - across * (along @ across) / max(across @ across, 1e-6) * 0.8
    width, depth = rng.uniform(0.5, 0.84, 2)
    middle = middle + across * rng.uniform(-1, 1) * (0.88 - width) + along * rng.uniform(-1, 1) * (0.88 - depth)
    across, along = across * width, along * depth
    return np.stack(
        [middle - across - along, middle + across - along, middle + across + along, middle - across + along]
    )


def _build_house(
    rng: np.random.Generator, picture: Picture, corners: Quad, *, kind: str, fall: tuple[float, float]
) -> None:
    """One house: its shadow, then its roof, flat with a parapet or pitched with a sunlit and a shaded side."""
    height = rng.uniform(3.0, 7.5) if kind != "concrete" else rng.uniform(4.0, 11.0)
    shadow = np.concatenate([corners, corners + np.array(fall) * height])
    hull = cv2.convexHull(_fixed(shadow))
    cv2.fillConvexPoly(picture, hull, (34, 36, 38), cv2.LINE_AA, 3)
    base = np.array(ROOFS[kind][rng.integers(len(ROOFS[kind]))]) + rng.normal(0, 4, 3) + rng.normal(0, 10)
    if kind in ("concrete", "metal") and rng.random() < 0.7:
        cv2.fillConvexPoly(picture, _fixed(corners), np.clip(base * 1.16, 0, 250).tolist(), cv2.LINE_AA, 3)
        cv2.fillConvexPoly(picture, _fixed(_shrunk(corners, 0.84)), np.clip(base, 0, 250).tolist(), cv2.LINE_AA, 3)
        if kind == "concrete" and rng.random() < 0.6:
            room = _shrunk(corners, rng.uniform(0.2, 0.4)) + (corners[rng.integers(4)] - corners.mean(axis=0)) * 0.35
            cv2.fillConvexPoly(picture, _fixed(room + np.array(fall) * 2), (60, 60, 60), cv2.LINE_AA, 3)
            cv2.fillConvexPoly(picture, _fixed(room), np.clip(base * 1.25, 0, 250).tolist(), cv2.LINE_AA, 3)
        return
    # The ridge runs along the longer side.
    turned = corners
    if np.linalg.norm(corners[1] - corners[0]) < np.linalg.norm(corners[2] - corners[1]):
        turned = np.roll(corners, -1, axis=0)
    ridge = np.stack([(turned[0] + turned[3]) / 2, (turned[1] + turned[2]) / 2])
    outward = (turned[0] - turned[3]) / max(float(np.linalg.norm(turned[0] - turned[3])), 1e-6)
    facing = float(-outward @ np.array(fall)) / max(float(np.linalg.norm(fall)), 1e-6)
    for side, sign in (
        ((turned[0], turned[1], ridge[1], ridge[0]), 1),
        ((ridge[0], ridge[1], turned[2], turned[3]), -1),
    ):
        shade = np.clip(base * (1 + 0.24 * sign * facing), 0, 250).tolist()
        cv2.fillConvexPoly(picture, _fixed(np.stack(side)), shade, cv2.LINE_AA, 3)


def _shrunk(quad: Quad, share: float) -> Quad:
    middle = quad.mean(axis=0)
    return np.asarray(middle + (quad - middle) * share)


def _fixed(points: Quad) -> NDArray[np.int32]:
    """Points as OpenCV draws them with 3 fractional bits."""
    return np.round(points * 8).astype(np.int32).reshape(-1, 1, 2)


def _is_urban(raster: ClassRaster, point: NDArray[np.generic]) -> bool:
    column, row = int(point[0]), int(point[1])
    return 0 <= row < len(raster) and 0 <= column < len(raster) and int(raster[row, column]) == URBAN
