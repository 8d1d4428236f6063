"""Where on the ground an image lies and how many metres its pixel covers, from a GeoTIFF's transform and CRS.

Both are only as good as what the file says. A CRS that its own coordinates contradict would put the tile anywhere on
Earth, so it is refused in one sentence that says how to mend it, and the tile is treated as having no place.
"""

import math
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.env import PROJDataFinder
from rasterio.errors import CRSError

from core.catalog.geography.footprints import footprints

DEFAULT_METRES_PER_PIXEL = 0.5
"""DeepGlobe's ground resolution, taken where a file does not say another."""

PLAUSIBLE_METRES_PER_PIXEL = (0.001, 10_000.0)
"""From close-up photographs to weather satellites; beyond it, units were taken for others (metres for degrees)."""

AREA_MARGIN_DEGREES = 6.0
"""How far outside its CRS's area of use an image may lie: mosaics go on in their first UTM zone, which is 6 degrees."""

Transform = tuple[float, float, float, float, float, float]
"""a, b, c, d, e, f of x = a column + b row + c, y = d column + e row + f; (0, 0) is the first pixel's outer corner."""

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees; west is more than east where it spans the antimeridian."""


@dataclass(frozen=True, slots=True)
class Georeference:
    """Metres a pixel along columns and rows; CRS and transform, both None without a usable place on the ground.

    ``caveat`` is what is wrong and how to mend it, to be read after the file's path; None where nothing is.
    """

    metres_x: float
    metres_y: float
    crs: str | None = None
    transform: Transform | None = None
    caveat: str | None = None


def georeference(source: Any) -> Georeference:
    """The place of an open rasterio dataset on the ground.

    The ground resolution counts rotated transforms by the length of their column and row vectors, converts degrees at
    the latitude of the image's centre, and feet and other units by the CRS's own factor. It is 0.5 m where there is no
    CRS, and where what follows from transform and CRS is absurd (``PLAUSIBLE_METRES_PER_PIXEL``).
    """
    crs, transform = source.crs, source.transform
    lacking = _what_is_lacking(source)
    if lacking is not None or crs is None or transform.is_identity:
        return Georeference(DEFAULT_METRES_PER_PIXEL, DEFAULT_METRES_PER_PIXEL, caveat=lacking)
    name = f"EPSG:{crs.to_epsg()}" if crs.to_epsg() else crs.to_wkt()
    x, y = _metres_per_pixel(source)
    low, high = PLAUSIBLE_METRES_PER_PIXEL
    plausible = low <= min(x, y) and max(x, y) <= high
    wrong = _contradiction(source, _label(crs))
    if wrong is None and not plausible:
        wrong = f"its pixels would be {x:,.6g} x {y:,.6g} m large"
    if wrong is None:
        return Georeference(x, y, name, tuple(transform[:6]))
    metres = (x, y) if plausible else (DEFAULT_METRES_PER_PIXEL, DEFAULT_METRES_PER_PIXEL)
    caveat = (
        f"says that its CRS is {_label(crs)}, but {wrong}: it is shown without a place on the ground and with "
        f"{metres[0]:.3g} m a pixel; name the right CRS with gdal_edit.py -a_srs EPSG:<code>, or the right corners "
        "with gdal_edit.py -a_ullr, and index the folder again."
    )
    return Georeference(*metres, caveat=caveat)


def ground_resolution(source: Any) -> tuple[float, float, str | None]:
    """Metres a pixel along x and y, and the CRS, of an open rasterio dataset; see ``georeference``."""
    place = georeference(source)
    return place.metres_x, place.metres_y, place.crs


def metres_per_degree(latitude: float) -> tuple[float, float]:
    """Metres along one degree of longitude and of latitude, at a latitude in degrees.

    The series for the WGS 84 ellipsoid of the U.S. National Geospatial-Intelligence Agency's length-of-a-degree
    calculator; good to a centimetre.
    """
    angle = math.radians(latitude)
    longitude = 111_412.84 * math.cos(angle) - 93.5 * math.cos(3 * angle) + 0.118 * math.cos(5 * angle)
    along_meridian = 111_132.92 - 559.82 * math.cos(2 * angle) + 1.175 * math.cos(4 * angle)
    return longitude, along_meridian - 0.0023 * math.cos(6 * angle)


@lru_cache(maxsize=256)
def area_of_use(authority: str, code: str) -> Box | None:
    """Where a CRS is meant to be used, by the EPSG data set that PROJ brings along; None where it says nothing.

    rasterio does not hand PROJ's answer through, so its data base is read, in the layout that PROJ documents.
    """
    folder = PROJDataFinder().search()
    if folder is None or not (path := Path(folder) / "proj.db").is_file():
        return None
    query = (
        "SELECT west_lon, south_lat, east_lon, north_lat FROM usage JOIN extent ON extent.auth_name = extent_auth_name "
        "AND extent.code = extent_code WHERE object_auth_name = ? AND object_code = ? "
        "AND object_table_name IN ('projected_crs', 'geodetic_crs', 'compound_crs')"
    )
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        found = [row for row in connection.execute(query, (authority, code)) if None not in row]
    finally:
        connection.close()
    return found[0] if len(found) == 1 else None  # several usages may have several areas: nothing is contradicted


def _what_is_lacking(source: Any) -> str | None:
    """What keeps a file that tries to say its place from doing so; None also for a plain picture that does not try."""
    half = f"{DEFAULT_METRES_PER_PIXEL} m a pixel was taken"
    if source.transform.is_identity and source.gcps[0]:
        return (
            f"has ground control points instead of a transform, so it has no place on the map and {half}; "
            "warp it with gdalwarp, which makes a GeoTIFF with a transform of it."
        )
    if source.crs is None and not source.transform.is_identity:
        return (
            f"has a transform but no CRS, so its units and its place on the map are unknown and {half}; "
            "name its CRS with gdal_edit.py -a_srs EPSG:<code> and index the folder again."
        )
    if source.crs is not None and source.transform.is_identity:
        return (
            f"names a CRS ({_label(source.crs)}) but no transform, so it has no place on the map and {half}; "
            "say where its corners lie with gdal_edit.py -a_ullr <left> <top> <right> <bottom> and index again."
        )
    return None


def _metres_per_pixel(source: Any) -> tuple[float, float]:
    crs, transform = source.crs, source.transform
    if crs.is_geographic:
        _, latitude = transform @ (source.width / 2, source.height / 2)
        metres_x, metres_y = metres_per_degree(max(-89.0, min(89.0, latitude)))
    else:
        try:
            metres_x = metres_y = float(crs.linear_units_factor[1])
        except CRSError:  # a local system without a unit that PROJ knows
            metres_x = metres_y = 1.0
    return (
        math.hypot(transform.a * metres_x, transform.d * metres_y),
        math.hypot(transform.b * metres_x, transform.e * metres_y),
    )


def _contradiction(source: Any, name: str) -> str | None:
    """Why the CRS and the coordinates cannot both be right; None where they can."""
    transform: Affine = source.transform
    if transform.determinant == 0:
        return "its transform lays all pixels on one line"
    x, y = transform @ (source.width / 2, source.height / 2)
    if source.crs.is_geographic and (abs(x) > 540 or abs(y) > 90):
        return f"its centre would lie at {x:,.0f}, {y:,.0f}, which are no degrees"
    outline = footprints(source.crs, [source.width], [source.height], [transform[:6]])[0]
    if not np.isfinite(outline).all() or np.abs(outline[:, 1]).max() > 90:
        return f"its coordinates ({x:,.0f}, {y:,.0f} at the centre) have no place on Earth in it"
    longitude, latitude = outline[:-1].mean(axis=0)
    area = area_of_use(*(source.crs.to_authority() or ("", "")))
    if area is not None and not _lies_near(float(longitude), float(latitude), area):
        where = f"{_degrees(latitude, 'N', 'S')} {_degrees((longitude + 180) % 360 - 180, 'E', 'W')}"
        return f"its centre would lie at {where}, far outside the area where {name} is used"
    return None


def _lies_near(longitude: float, latitude: float, area: Box) -> bool:
    west, south, east, north = area
    width = (east - west) % 360 or 360.0
    beyond = (longitude - west) % 360 - width  # degrees east of the area, 0 or less within it
    apart = min(beyond, 360 - width - beyond) if beyond > 0 else 0.0
    return apart <= AREA_MARGIN_DEGREES and south - AREA_MARGIN_DEGREES <= latitude <= north + AREA_MARGIN_DEGREES


def _label(crs: CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else "one without an EPSG code"


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):.2f}° {positive if value >= 0 else negative}"
