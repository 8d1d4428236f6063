"""GeoTIFFs with a known place, and an independent judge of where their corners lie on the map: pyproj."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from sqlalchemy import insert

from core.catalog.geography.places import Places, read_places
from core.tables import Collection, Tile
from core.workspace import Workspace

SQUARE = 1000
"""Side of the tiles that are only rows, in pixels."""

HALF_WORLD = 20_037_508.342789244
"""Metres of EPSG:3857 from its middle to its edge, as the OGC's tile matrix set WebMercatorQuad states it."""


def write_geotiff(
    path: Path,
    crs: str | None,
    transform: Affine,
    *,
    pixels: NDArray[np.generic] | None = None,
    nodata: float | None = None,
    size: tuple[int, int] = (120, 90),
) -> Path:
    """Write ``pixels`` (bands, height, width), or else a smooth colour picture of ``size`` (width, height)."""
    bands = smooth(*size) if pixels is None else pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "width": bands.shape[2], "height": bands.shape[1], "count": len(bands)}
    with rasterio.open(path, "w", crs=crs, transform=transform, dtype=bands.dtype, nodata=nodata, **profile) as target:
        target.write(bands)
    return path


def smooth(width: int, height: int) -> NDArray[np.uint8]:
    """Waves of other lengths in each of three bands, so that a shift by a pixel shows: ``(3, height, width)``."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 5 + y / 23), np.sin(x / 17 - y / 7), np.cos(x / 9) * np.sin(y / 11)]
    return np.stack([130 + 110 * wave for wave in waves]).astype(np.uint8)


def map_pixels(crs: str, x: NDArray[np.float64], y: NDArray[np.float64], zoom: int) -> NDArray[np.float64]:
    """Points of a CRS in pixels of the whole map at a zoom, by pyproj: (n, 2)."""
    east, north = Transformer.from_crs(crs, "EPSG:3857", always_xy=True).transform(x, y)
    pixel = 2 * HALF_WORLD / (256 * 2**zoom)
    return np.column_stack(((np.asarray(east) + HALF_WORLD) / pixel, (HALF_WORLD - np.asarray(north)) / pixel))


def corners(path: Path, zoom: int) -> NDArray[np.float64]:
    """Where the four outer corners of a GeoTIFF lie on the map, from the first pixel's clockwise: (4, 2)."""
    with rasterio.open(path) as source:
        columns, rows = np.array([0, source.width, source.width, 0]), np.array([0, 0, source.height, source.height])
        x, y = source.transform @ (columns, rows)
        return map_pixels(str(source.crs), x, y, zoom)


def source_pixels(path: Path, zoom: int, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Column and row of a GeoTIFF under the middle of each map pixel of a box (left, top, right, bottom), by pyproj."""
    pixel = 2 * HALF_WORLD / (256 * 2**zoom)
    columns, rows = np.meshgrid(np.arange(box[0], box[2]) + 0.5, np.arange(box[1], box[3]) + 0.5)
    with rasterio.open(path) as source:
        back = Transformer.from_crs("EPSG:3857", str(source.crs), always_xy=True)
        x, y = back.transform(columns * pixel - HALF_WORLD, HALF_WORLD - rows * pixel)
        return np.stack(~source.transform @ (np.asarray(x), np.asarray(y)), axis=-1)


def placed_rows(workspace: Workspace, corners: list[tuple[str, float, float]], metres: float = 2.0) -> Places:
    """The places of tiles without files, of their north western corners: (CRS, longitude, latitude)."""
    rows = []
    for number, (crs, longitude, latitude) in enumerate(corners):
        x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(longitude, latitude)
        rows.append(
            {
                "collection_id": 1, "name": f"t{number}", "image_path": "none.tif", "width": SQUARE, "height": SQUARE,
                "metres_per_pixel_x": metres, "metres_per_pixel_y": metres, "crs": crs,
                "transform": [metres, 0, x, 0, -metres, y], "fingerprint": f"{number:016x}", "split": "train",
                "split_source": "rule",
            }
        )  # fmt: skip
    with workspace.database.write() as session:
        session.add(Collection(id=1, name="places", root="/places"))
        session.flush()
        if rows:
            session.execute(insert(Tile), rows)
    return read_places(workspace, 1)
