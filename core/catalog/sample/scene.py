"""A synthetic overhead scene in DeepGlobe's style: six classes at 0.5 m, drawn from a seed alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.catalog.sample.camera import expose
from core.catalog.sample.fields import paint_fields
from core.catalog.sample.ground import draw_textures, lit, paint_land
from core.catalog.sample.layout import plan
from core.catalog.sample.paths import draw_paths
from core.catalog.sample.town import build_town
from core.catalog.sample.trees import crown_colour, plant, plant_forest, plant_orchards, plant_scrub
from core.classes import ClassRaster

MIN_SIZE, MAX_SIZE = 64, 4096
"""Pixels: below a scene has no room for a layout, above its textures take gigabytes."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, ``(size, size, 3)`` uint8 RGB, and its class raster, ``(size, size)`` uint8 of 0..5."""

    image: NDArray[np.uint8]
    raster: ClassRaster


def draw_scene(seed: int, size: int = 2448) -> Scene:
    """Draw the scene of ``seed``; the same seed and size give the same pixels.

    Textures keep their scale of 0.5 m a pixel at any size; the layout shrinks with the frame, so that a small
    scene shows several classes too. Raises ``ValueError`` for a negative seed, or a size outside ``MIN_SIZE`` to
    ``MAX_SIZE``.
    """
    if seed < 0 or not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(
            f"a sample scene has a seed of 0 or more and {MIN_SIZE} to {MAX_SIZE} pixels, not {seed}, {size}"
        )
    rng = np.random.default_rng([seed, size])
    layout = plan(rng, seed, size)
    textures = draw_textures(rng, size)
    direction = rng.uniform(0, 2 * np.pi)
    shadow = (float(np.cos(direction)), float(np.sin(direction)))

    picture, tone = paint_land(rng, layout.raster, layout.cover, textures=textures, sun=(-shadow[0], -shadow[1]))
    orchards = paint_fields(
        rng, picture, tone, quads=layout.fields, raster=layout.raster, bend=layout.bend, textures=textures
    )
    picture = lit(picture, tone)
    roads = draw_paths(rng, picture, layout)
    colour = crown_colour(rng)
    cast = (shadow[0] * 0.55, shadow[1] * 0.55)
    gardens = build_town(rng, picture, layout.raster, quads=layout.town, bend=layout.bend, fall=shadow)
    plant_scrub(rng, picture, layout.raster, roads=roads, colour=colour, fall=cast)
    plant_orchards(rng, picture, layout.raster, orchards=orchards, bend=layout.bend, fall=cast)
    plant(rng, picture, gardens, radii=rng.uniform(2.5, 6.5, len(gardens)), colour=colour, fall=cast)
    plant_forest(rng, picture, layout.raster, roads=roads, colour=colour, fall=cast)
    picture = lit(picture, 0.03 * textures.grain + 0.015 * textures.speckle)
    return Scene(expose(rng, picture), layout.raster)
