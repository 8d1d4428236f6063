"""Ground resolution: how many metres a pixel covers, from a GeoTIFF's transform and coordinate reference system."""

import math
from typing import Any

DEFAULT_METRES_PER_PIXEL = 0.5
"""DeepGlobe's ground resolution, taken where a file does not say another."""


def metres_per_degree(latitude: float) -> tuple[float, float]:
    """Metres along one degree of longitude and of latitude, at a latitude in degrees.

    The series for the WGS 84 ellipsoid of the U.S. National Geospatial-Intelligence Agency's length-of-a-degree
    calculator; good to a centimetre.
    """
    angle = math.radians(latitude)
    longitude = 111_412.84 * math.cos(angle) - 93.5 * math.cos(3 * angle) + 0.118 * math.cos(5 * angle)
    along_meridian = 111_132.92 - 559.82 * math.cos(2 * angle) + 1.175 * math.cos(4 * angle)
    return longitude, along_meridian - 0.0023 * math.cos(6 * angle)


def ground_resolution(source: Any) -> tuple[float, float, str | None]:
    """Metres a pixel along x and y, and the CRS, of an open rasterio dataset.

    Rotated transforms count by the length of their column and row vectors; degrees are converted at the latitude
    of the image's centre; feet and other units by the CRS's own factor. 0.5 m and None where there is no CRS.
    """
    crs, transform = source.crs, source.transform
    if crs is None or transform.is_identity:
        return DEFAULT_METRES_PER_PIXEL, DEFAULT_METRES_PER_PIXEL, None
    if crs.is_geographic:
        _, latitude = transform @ (source.width / 2, source.height / 2)
        metres_x, metres_y = metres_per_degree(max(-89.0, min(89.0, latitude)))
    else:
        metres_x = metres_y = float(crs.linear_units_factor[1])
    x = math.hypot(transform.a * metres_x, transform.d * metres_y)
    y = math.hypot(transform.b * metres_x, transform.e * metres_y)
    code = crs.to_epsg()
    return x, y, f"EPSG:{code}" if code else crs.to_wkt()
