"""The outlines of images on the ground, in degrees, and the Web Mercator plane on which they are shown.

The plane is measured in widths of the world: x from 0 (180 degrees west) to 1, y from 0 (85.05 degrees north) down to
1; x goes on above 1 and below 0 across the antimeridian. A map tile of zoom z is then 1 / 2^z wide.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as transform_points

SEGMENTS = 16
"""Parts of each edge. A straight edge of 100 km in UTM bends by up to 400 m in degrees; in 16 parts, by 2 m each."""

EARTH_RADIUS = 6_378_137.0
"""Of the sphere of EPSG:3857, in metres."""

HALF_WORLD = np.pi * EARTH_RADIUS
"""The plane of EPSG:3857 reaches from minus this to this, in its metres."""

MAX_LATITUDE = 85.0511287798066
"""Where the plane of EPSG:3857 ends: there it is as high as it is wide."""

WGS84 = CRS.from_epsg(4326)

NO_PLACE = (CRSError, RasterioError, CPLE_BaseError)
"""What rasterio raises where PROJ finds no place for a point; it hands GDAL's own errors through unwrapped."""


def transformed(
    source: CRS, target: CRS, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of one CRS in another, longitude before latitude; all infinite where PROJ refuses any of them."""
    try:
        moved = transform_points(source, target, x, y)
    except NO_PLACE:
        return np.full(len(x), np.inf), np.full(len(x), np.inf)
    return np.asarray(moved[0], np.float64), np.asarray(moved[1], np.float64)


def footprints(
    crs: CRS, widths: Sequence[int], heights: Sequence[int], transforms: Sequence[Sequence[float]] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Outlines of n images that share a CRS: float64 (n, 4 * ``SEGMENTS`` + 1, 2), longitude and latitude in degrees.

    Closed, from the corner of the first pixel along the first row. Longitudes go on past 180 rather than jump. Where
    a corner does not exist in degrees it is infinite or NaN.
    """
    x, y = _edges(np.asarray(widths, np.float64), np.asarray(heights, np.float64), np.asarray(transforms, np.float64))
    with np.errstate(invalid="ignore"):
        if crs == WGS84:
            longitude, latitude = x, y
        else:
            moved = transformed(crs, WGS84, x.ravel(), y.ravel())
            longitude, latitude = (values.reshape(x.shape) for values in moved)
        return np.stack((np.unwrap(longitude, period=360.0, axis=1), latitude), axis=-1)


def to_plane(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 2) longitude and latitude to x and y of the plane; latitudes beyond its end are brought to it."""
    latitude = np.radians(np.clip(degrees[..., 1], -MAX_LATITUDE, MAX_LATITUDE))
    y = 0.5 - np.arctanh(np.sin(latitude)) / (2 * np.pi)
    return np.stack((degrees[..., 0] / 360 + 0.5, y), axis=-1)


def to_degrees(plane: ArrayLike) -> NDArray[np.float64]:
    """(..., 2) x and y of the plane to longitude and latitude."""
    points = np.asarray(plane, np.float64)
    latitude = np.degrees(np.arctan(np.sinh((0.5 - points[..., 1]) * 2 * np.pi)))
    return np.stack(((points[..., 0] - 0.5) * 360, latitude), axis=-1)


def _edges(
    widths: NDArray[np.float64], heights: NDArray[np.float64], transforms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points along the outlines in the images' CRS: x and y, each (n, 4 * ``SEGMENTS`` + 1)."""
    part = np.arange(SEGMENTS) / SEGMENTS
    none, whole = np.zeros(SEGMENTS), np.ones(SEGMENTS)
    columns = np.concatenate((part, whole, 1 - part, none, [0.0])) * widths[:, None]
    rows = np.concatenate((none, part, whole, 1 - part, [0.0])) * heights[:, None]
    a, b, c, d, e, f = (value[:, None] for value in transforms.T)
    return a * columns + b * rows + c, d * columns + e * rows + f
