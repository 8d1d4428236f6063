"""The bare ground of a sample scene: colour and texture of the land and water under houses and trees.

Every class draws from several palettes that overlap those of others, one or two a scene: what a pixel shows
is told by texture and by what surrounds it, hardly by its colour.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.sample.layout import BARREN, FOREST, RANGELAND, URBAN, WATER, mask_of
from core.catalog.sample.noise import Field, enlarge, fractal, smooth, vary
from core.classes import ClassRaster

Picture = NDArray[np.uint8]
"""``(height, width, 3)`` uint8 RGB."""
Colour = tuple[int, int, int]

_COARSE = 4

# Pairs of colours that a noise field blends. RGB, before the light and haze of the scene.
PALETTES: dict[int, tuple[tuple[Colour, Colour], ...]] = {
    URBAN: (
        ((118, 104, 84), (84, 92, 62)),
        ((128, 96, 74), (92, 84, 60)),
        ((98, 98, 90), (76, 86, 62)),
    ),
    RANGELAND: (
        ((98, 100, 60), (72, 84, 48)),
        ((128, 114, 76), (92, 94, 58)),
        ((112, 94, 64), (84, 88, 56)),
        ((82, 96, 66), (116, 108, 70)),
    ),
    FOREST: (
        ((46, 62, 36), (36, 52, 34)),
        ((60, 70, 40), (48, 58, 36)),
        ((66, 64, 40), (44, 56, 34)),
    ),
    WATER: (
        ((52, 78, 92), (38, 62, 80)),
        ((70, 92, 76), (54, 80, 70)),
        ((44, 58, 48), (34, 48, 44)),
        ((112, 104, 78), (92, 94, 74)),
        ((40, 48, 58), (30, 38, 48)),
    ),
    BARREN: (
        ((150, 132, 102), (122, 104, 80)),
        ((134, 100, 74), (108, 82, 62)),
        ((128, 117, 98), (98, 90, 76)),
        ((112, 100, 72), (90, 86, 62)),
    ),
}


@dataclass(frozen=True, slots=True)
class Textures:
    """Fields shared by all classes of a scene, each of about unit deviation; the names tell the wavelength."""

    grain: Field
    """About 2.5 pixels: blades, clods, gravel."""
    speckle: Field
    """About 7 pixels: tussocks, bushes."""
    blotch: Field
    """About 30 pixels: wet patches, worn spots."""
    drift: Field
    """About 200 pixels: soils."""


def draw_textures(rng: np.random.Generator, size: int) -> Textures:
    """Draw the four shared fields, ``(size, size)`` each."""
    scale = np.float32(1.6)
    return Textures(
        grain=smooth(rng, size, 2.5) * scale,
        speckle=smooth(rng, size, 7.0) * scale,
        blotch=fractal(rng, size, 40.0, octaves=2),
        drift=fractal(rng, size, 260.0, octaves=3),
    )


def paint_land(
    rng: np.random.Generator, raster: ClassRaster, cover: ClassRaster, *, textures: Textures, sun: tuple[float, float]
) -> tuple[Picture, Field]:
    """Colour ``(size, size, 3)`` and relative brightness ``(size, size)`` (0 is unchanged) of all but the fields."""
    size = len(raster)
    picture = np.full((size, size, 3), 90, np.uint8)
    tone = np.zeros((size, size), np.float32)
    frayed = _fray(cover, textures)
    for kind in (RANGELAND, FOREST, BARREN, URBAN, WATER):
        mask = mask_of(raster if kind in (URBAN, WATER) else frayed, kind)
        if not mask.any():
            continue
        cv2.copyTo(_blend(rng, kind, size), mask, picture)
        if kind == BARREN:
            texture = _relief(rng, textures, sun)
        elif kind == WATER:
            texture = _water(mask, textures)
        else:
            texture = _growth(rng, kind, textures)
        cv2.copyTo(texture, mask, tone)
    return picture, tone


def _fray(cover: ClassRaster, textures: Textures) -> ClassRaster:
    """Ragged borders of growth and bare ground; the raster keeps the smooth line that a person would draw."""
    size = len(cover)
    steps = np.arange(size, dtype=np.float32)
    across = steps[None, :] + 4 * textures.speckle + 4 * textures.grain
    down = steps[:, None] + 8 * textures.blotch - 4 * textures.speckle
    return np.asarray(
        cv2.remap(cover, across, down, interpolation=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _blend(rng: np.random.Generator, kind: int, size: int) -> Picture:
    """Two colours of the class, one drawn around each end of a palette pair, blended by drifting noise."""
    pairs = PALETTES[kind]
    first = np.array(pairs[rng.integers(len(pairs))])
    # Water is of one kind: it mixes.
    second = first if kind == WATER else np.array(pairs[rng.integers(len(pairs))])
    ends = vary(rng, np.stack([first[0], first[1], second[1]]), 0.8).astype(np.float32)
    coarse = size // _COARSE + 2
    if kind == WATER:
        mottle = fractal(rng, coarse, max(coarse * 0.5, 150), octaves=2)
    else:
        mottle = fractal(rng, coarse, max(coarse * 0.16, 24), octaves=5, roughness=0.6)
    mix = 1 / (1 + np.exp(-1.8 * mottle))
    other = 1 / (1 + np.exp(-3.0 * fractal(rng, coarse, coarse * 0.4, octaves=2) + 1.0)) * (kind != WATER)
    colours = ends[0] + (ends[1] - ends[0]) * mix[..., None] + (ends[2] - ends[0]) * (other * 0.8)[..., None]
    small = np.clip(colours, 0, 255).astype(np.uint8)
    wide = cv2.resize(small, (small.shape[1] * _COARSE, small.shape[0] * _COARSE), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(wide[:size, :size])


def _growth(rng: np.random.Generator, kind: int, textures: Textures) -> Field:
    """Grass, litter and yards: soft mottle at all scales; rangeland may be closely or hardly tufted."""
    if kind == FOREST:
        return np.asarray(0.10 * textures.grain + 0.10 * textures.speckle, np.float32)
    if kind == URBAN:
        return np.asarray(0.07 * textures.grain + 0.05 * textures.speckle + 0.09 * textures.blotch, np.float32)
    tufts = rng.uniform(0.02, 0.07)
    tone = 0.035 * textures.grain + np.float32(tufts) * textures.speckle
    tone += 0.05 * textures.blotch
    tone += 0.04 * textures.drift
    return np.asarray(tone, np.float32)


def _relief(rng: np.random.Generator, textures: Textures, sun: tuple[float, float]) -> Field:
    """Bare ground as a hill shade: slope towards the sun of a fractal surface, smooth for sand, rough for rock."""
    size = len(textures.grain)
    roughness = rng.uniform(0.42, 0.62)
    height = fractal(rng, size, 220.0, octaves=6, roughness=roughness)
    # Ridges and gullies: a fold of the surface gives the sharp crests that water cuts.
    height = np.abs(height + np.float32(0.3)) * np.float32(24.0)
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    slope = np.float32(sun[0]) * across + np.float32(sun[1]) * down
    tone = np.float32(-rng.uniform(0.09, 0.30)) * slope
    np.clip(tone, -0.45, 0.4, out=tone)
    tone += 0.05 * textures.grain
    tone += 0.04 * textures.blotch
    return np.asarray(tone, np.float32)


def _water(mask: NDArray[np.uint8], textures: Textures) -> Field:
    """Water: nearly smooth, paler over the shallows along its banks."""
    size = len(mask)
    small = np.ascontiguousarray(mask[::_COARSE, ::_COARSE])
    depth = cv2.distanceTransform(small, cv2.DIST_L2, 3) * np.float32(_COARSE)
    shallows = enlarge(np.exp(-depth / 22).astype(np.float32), size, _COARSE)
    tone = np.float32(0.28) * shallows
    tone += 0.012 * textures.grain
    return np.asarray(tone, np.float32)


def lit(picture: Picture, tone: Field) -> Picture:
    """``picture`` with every pixel's brightness changed by the share in ``tone``."""
    gain = tone + np.float32(1)
    channels = [cv2.multiply(picture[..., c], gain, dtype=cv2.CV_8U) for c in range(3)]
    return np.asarray(cv2.merge(channels), np.uint8)
