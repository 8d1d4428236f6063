"""Trees and bushes: single crowns, each with the shadow it throws and a sunlit side."""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.sample.fields import Orchard
from core.catalog.sample.ground import Colour, Picture
from core.catalog.sample.layout import AGRICULTURE, BARREN, FOREST, RANGELAND
from core.catalog.sample.noise import fractal, scatter, vary
from core.catalog.sample.parcels import Bend
from core.classes import ClassRaster

CROWNS: tuple[Colour, ...] = ((52, 76, 40), (66, 86, 44), (76, 82, 48), (46, 68, 44), (92, 88, 54))
"""Crown colours; a scene has one in the main."""

_SHADE = 0.42


def crown_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """The prevailing crown colour of a scene, RGB."""
    return vary(rng, np.array(CROWNS[rng.integers(len(CROWNS))], float), 0.6)


def plant(
    rng: np.random.Generator,
    picture: Picture,
    points: NDArray[np.float32],
    *,
    radii: NDArray[np.float64],
    colour: NDArray[np.float64],
    fall: tuple[float, float],
    variety: float = 0.16,
) -> None:
    """Draw a crown of each radius (pixels) at each of the ``(n, 2)`` points, later ones over earlier ones.

    ``fall`` is the direction that shadows fall in, x and y, as long as a tree of radius 1 throws them.
    ``variety`` is how much brightness differs from tree to tree, as a share.
    """
    count = len(points)
    brightness = np.exp(rng.normal(0, variety, count))
    body = np.clip(vary(rng, colour * brightness[:, None], 0.5), 8, 235)
    shadow = np.clip(colour * _SHADE * 0.8 + 4, 0, 255).tolist()
    # Sub-pixel circles (3 fractional bits) keep small crowns from snapping to the pixel grid.
    centres = np.round(points * 8).astype(int)
    cast = np.round((points + np.outer(radii, fall)) * 8).astype(int).tolist()
    sizes = np.round(radii * 8).astype(int)
    # Two lobes, turned to the sun, break the outline and the evenness of the disc.
    turn = rng.uniform(-1.1, 1.1, (count, 2)) + np.arctan2(-fall[1], -fall[0])
    lobes = points[:, None] + (radii[:, None] * rng.uniform(0.35, 0.65, (count, 2)))[..., None] * np.stack(
        [np.cos(turn), np.sin(turn)], -1
    )
    lobes = np.round(lobes * 8).astype(int).tolist()
    inner = np.round(radii * 8 * rng.uniform(0.4, 0.6, count)).astype(int).tolist()
    dark, middle, bright = (body * 0.84).tolist(), body.tolist(), np.clip(body * 1.13 + 2, 0, 255).tolist()
    for i, (centre, reach) in enumerate(zip(centres.tolist(), sizes.tolist(), strict=True)):
        cv2.circle(picture, cast[i], reach, shadow, -1, cv2.LINE_8, 3)
        cv2.circle(picture, centre, reach, dark[i], -1, cv2.LINE_8, 3)
        cv2.circle(picture, lobes[i][0], inner[i], middle[i], -1, cv2.LINE_8, 3)
        cv2.circle(picture, lobes[i][1], inner[i], bright[i], -1, cv2.LINE_8, 3)


def plant_forest(
    rng: np.random.Generator,
    picture: Picture,
    raster: ClassRaster,
    *,
    roads: NDArray[np.uint8],
    colour: NDArray[np.float64],
    fall: tuple[float, float],
) -> None:
    """Close the forest's canopy, but for clearings and roads."""
    size = len(raster)
    points = scatter(rng, size, rng.uniform(7.2, 9.5))
    columns, rows = points.astype(int).T
    coarse = size // 8 + 1
    density = fractal(rng, coarse, 22, octaves=3)
    stand = density[rows // 8, columns // 8]
    keep = (raster[rows, columns] == FOREST) & (stand > rng.uniform(-2.6, -1.3)) & (roads[rows, columns] == 0)
    points, stand = points[keep], stand[keep]
    radii = np.clip(rng.lognormal(np.log(4.4), 0.3, len(points)) + 0.5 * stand, 2.0, 9.5)
    plant(rng, picture, points, radii=radii, colour=colour, fall=fall, variety=rng.uniform(0.1, 0.22))


def plant_scrub(
    rng: np.random.Generator,
    picture: Picture,
    raster: ClassRaster,
    *,
    roads: NDArray[np.uint8],
    colour: NDArray[np.float64],
    fall: tuple[float, float],
) -> None:
    """Scatter bushes in clumps over rangeland, a few over bare land, and single trees over fields."""
    size = len(raster)
    points = scatter(rng, size, 15.0)
    columns, rows = points.astype(int).T
    coarse = size // 8 + 1
    clumps = fractal(rng, coarse, 40, octaves=3)[rows // 8, columns // 8]
    chance = np.clip(0.10 + 0.20 * clumps + rng.uniform(-0.05, 0.08), 0.012, 0.6)
    ground = raster[rows, columns]
    keep = (ground == RANGELAND) & (rng.random(len(points)) < chance)
    keep |= (ground == AGRICULTURE) & (rng.random(len(points)) < 0.003)
    keep |= (ground == BARREN) & (rng.random(len(points)) < 0.25 * chance)
    points = points[keep & (roads[rows, columns] == 0)]
    radii = np.clip(rng.lognormal(np.log(2.9), 0.4, len(points)), 1.4, 8)
    plant(rng, picture, points, radii=radii, colour=colour * 0.95 + 4, fall=fall)


def plant_orchards(
    rng: np.random.Generator,
    picture: Picture,
    raster: ClassRaster,
    *,
    orchards: tuple[Orchard, ...],
    bend: Bend,
    fall: tuple[float, float],
) -> None:
    """Plant orchards and palm groves: one kind of tree each, in rows and columns, a few missing."""
    size = len(raster)
    for orchard in orchards:
        axes = np.array(
            [[np.cos(orchard.angle), np.sin(orchard.angle)], [-np.sin(orchard.angle), np.cos(orchard.angle)]]
        )
        local = orchard.quad @ axes.T
        low, high = local.min(axis=0), local.max(axis=0)
        across, along = np.meshgrid(
            np.arange(low[0], high[0], orchard.spacing), np.arange(low[1], high[1], orchard.spacing)
        )
        points = np.stack([across, along], -1).reshape(-1, 2)
        points = points[rng.random(len(points)) > 0.06] @ axes
        hull = orchard.quad.astype(np.float32).reshape(-1, 1, 2)
        inside = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) > 6 for x, y in points]
        points = bend(points[inside]) + rng.normal(0, 0.7, (sum(inside), 2))
        points = points[((points >= 0) & (points < size)).all(axis=1)]
        if not len(points):
            continue
        points = points[raster[points[:, 1].astype(int), points[:, 0].astype(int)] == AGRICULTURE]
        radii = orchard.spacing * rng.uniform(0.28, 0.44) * rng.uniform(0.85, 1.15, len(points))
        plant(
            rng, picture, points.astype(np.float32), radii=radii, colour=crown_colour(rng) + 8, fall=fall, variety=0.09
        )
