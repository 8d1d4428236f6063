"""Fields: every parcel its crop, colour, row direction and margin."""

from dataclasses import dataclass

import cv2
import numpy as np

from core.catalog.sample.ground import Colour, Picture, Textures
from core.catalog.sample.layout import AGRICULTURE, mask_of
from core.catalog.sample.noise import Field, vary
from core.catalog.sample.parcels import Bend, Quad
from core.classes import ClassRaster


@dataclass(frozen=True, slots=True)
class Crop:
    """How one kind of field looks: colours to draw from, spacing of its rows in pixels, strength of its textures."""

    colours: tuple[Colour, ...]
    period: tuple[float, float]
    rows: float
    mottle: float
    trees: float = 0.0
    """Spacing of planted trees in pixels; 0 is none."""


CROPS: dict[str, Crop] = {
    "green rows": Crop(((70, 92, 46), (88, 102, 54), (58, 80, 48), (104, 112, 62)), (5.0, 9.0), 0.13, 0.05),
    "lush": Crop(((62, 96, 44), (74, 104, 58), (52, 78, 40), (92, 118, 64)), (3.0, 4.5), 0.05, 0.045),
    "ploughed": Crop(((122, 92, 68), (104, 84, 66), (134, 106, 80), (92, 74, 58)), (4.0, 7.0), 0.09, 0.05),
    "stubble": Crop(((152, 134, 88), (136, 122, 80), (164, 146, 104), (124, 112, 72)), (10.0, 18.0), 0.06, 0.04),
    "fallow": Crop(((110, 98, 66), (94, 92, 58), (122, 104, 74), (84, 86, 58)), (14.0, 24.0), 0.03, 0.07),
    "paddy": Crop(((56, 76, 62), (70, 86, 66), (62, 70, 60), (84, 100, 74)), (3.0, 4.0), 0.02, 0.03),
    "orchard": Crop(((108, 92, 64), (86, 90, 54), (122, 100, 74), (76, 84, 52)), (5.0, 8.0), 0.03, 0.06, trees=13.0),
}


@dataclass(frozen=True, slots=True)
class Orchard:
    """A field that is planted with trees: its outline, the direction of its rows and their spacing in pixels."""

    quad: Quad
    angle: float
    spacing: float


def season(rng: np.random.Generator) -> dict[str, float]:
    """The share of each crop in a scene: a few prevail, as they do in one region at one time of the year."""
    weights = rng.dirichlet(np.full(len(CROPS), 0.9)) + 0.03
    weights /= weights.sum()
    return dict(zip(CROPS, weights.tolist(), strict=True))


def paint_fields(
    rng: np.random.Generator,
    picture: Picture,
    tone: Field,
    *,
    quads: tuple[Quad, ...],
    raster: ClassRaster,
    bend: Bend,
    textures: Textures,
) -> tuple[Orchard, ...]:
    """Paint fields into ``picture`` and ``tone``; returns those that are still to be planted with trees."""
    shares = season(rng)
    orchards = []
    for quad in quads:
        name = str(rng.choice(list(shares), p=list(shares.values())))
        crop = CROPS[name]
        long_side = max(quad[1] - quad[0], quad[2] - quad[1], key=np.linalg.norm)
        angle = float(np.arctan2(long_side[1], long_side[0]))
        if rng.random() < 0.15:
            angle += np.pi / 2
        _paint_field(
            rng,
            picture,
            tone,
            raster=raster,
            crop=crop,
            outline=bend.outline(quad, closed=True),
            angle=angle,
            textures=textures,
        )
        if crop.trees:
            orchards.append(Orchard(quad, angle, crop.trees * rng.uniform(0.8, 1.25)))
    return tuple(orchards)


def _paint_field(
    rng: np.random.Generator,
    picture: Picture,
    tone: Field,
    *,
    raster: ClassRaster,
    crop: Crop,
    outline: np.ndarray,
    angle: float,
    textures: Textures,
) -> None:
    size = len(tone)
    low = np.clip(outline.reshape(-1, 2).min(axis=0), 0, size)
    high = np.clip(outline.reshape(-1, 2).max(axis=0) + 1, 0, size)
    if (high - low).min() <= 0:
        return
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(mask, [outline - low.astype(np.int32)], 255)
    mask &= mask_of(raster[window], AGRICULTURE)

    colour = vary(rng, np.array(crop.colours[rng.integers(len(crop.colours))], float), 1.1)
    paint = np.empty((*mask.shape, 3), np.uint8)
    paint[:] = np.clip(colour, 20, 230).astype(np.uint8)
    cv2.copyTo(paint, mask, picture[window])
    cv2.copyTo(_crop_tone(rng, crop, angle, window, textures), mask, tone[window])


def _crop_tone(
    rng: np.random.Generator, crop: Crop, angle: float, window: tuple[slice, slice], textures: Textures
) -> Field:
    """Rows, tramlines and mottle within ``window``, as relative brightness."""
    down = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None]
    along = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :]
    # Pixels across the rows, wavering a little as a driver does.
    across = np.float32(np.cos(angle)) * down - np.float32(np.sin(angle)) * along
    across = across + np.float32(1.5) * textures.drift[window]
    period = rng.uniform(*crop.period)
    tone = np.float32(crop.rows * rng.uniform(0.5, 1.2)) * np.sin(np.float32(2 * np.pi / period) * across)
    tone *= 1 + np.float32(0.35) * textures.blotch[window]
    tone += np.float32(crop.mottle * rng.uniform(0.6, 1.3)) * textures.blotch[window]
    tone += np.float32(crop.mottle * 0.6) * textures.drift[window]
    tone += np.float32(0.035) * textures.grain[window]
    if rng.random() < 0.3:
        # Beds: neighbouring strips that were sown or cut on different days.
        bed = rng.uniform(28, 60)
        tone += np.float32(rng.uniform(0.03, 0.08)) * np.sign(np.sin(np.float32(2 * np.pi / bed) * across))
    return np.asarray(tone, np.float32)
