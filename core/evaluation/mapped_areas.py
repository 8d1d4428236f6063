"""The mapped area of each class on tiles with a kept prediction: whole tiles, or the part inside a drawn polygon."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.catalog.maps.mosaic import Mosaic, Place
from core.classes import ClassRaster
from core.errors import InputError
from core.evaluation.areas import STRATA, stratum_pixels
from core.labels.rasterising import rasterise_rings
from core.tables import Tile

MOST_CORNERS = 5000
"""A polygon with more is refused: nobody draws so many by hand."""

Ring = Sequence[tuple[float, float]]
"""Corners ``(x, y)`` in pixels of a mosaic."""


def square_metres(pixels: NDArray[np.int64], tile: Tile) -> NDArray[np.float64]:
    """Pixels of a tile as square metres, by its ground sampling distance in both directions."""
    return pixels.astype(np.float64) * (tile.metres_per_pixel_x * tile.metres_per_pixel_y)


def total_area(pixels: Mapping[int, NDArray[np.int64]], tiles: Sequence[Tile]) -> NDArray[np.float64]:
    """Square metres mapped as each of ``STRATA`` over tiles, from the pixels ``(7,)`` of each by its id."""
    areas = [square_metres(pixels[tile.id], tile) for tile in tiles]
    return np.sum(areas, axis=0) if areas else np.zeros(len(STRATA))


def touched(mosaic: Mosaic, ring: Ring) -> list[Place]:
    """The places whose tiles a polygon's box meets. Raises ``InputError`` for a ring that is no polygon."""
    if not 3 <= len(ring) <= MOST_CORNERS:
        raise InputError(f"An area has 3 to {MOST_CORNERS} corners, not {len(ring)}; draw it anew.")
    (left, top), (right, bottom) = np.min(ring, axis=0), np.max(ring, axis=0)
    return [
        place
        for place in mosaic.places
        if place.left < right
        and left < place.left + place.tile.width
        and place.top < bottom
        and top < place.top + place.tile.height
    ]


def pixels_inside(raster: ClassRaster, place: Place, ring: Ring) -> NDArray[np.int64]:
    """Pixels ``(7,)`` of a tile's raster whose centres lie inside a polygon, by the even-odd rule."""
    moved = [(x - place.left, y - place.top) for x, y in ring]
    try:
        box, mask = rasterise_rings([moved], raster.shape)
    except InputError:  # it covers no pixel of this tile
        return np.zeros(len(STRATA), np.int64)
    return stratum_pixels(raster[box.slices][mask])
