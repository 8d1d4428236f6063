"""A prediction as files that other programs read: masks in the palette, GeoTIFFs in the tile's place."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from core.atomic import write_bytes
from core.catalog.images import read_info, write_mask
from core.classes import CLASS_NAMES, PALETTE, UNLABELLED, ClassRaster
from core.inference.predict import Probabilities


def write_prediction(
    out: Path, name: str, image_path: Path, raster: ClassRaster, probabilities: Probabilities | None
) -> None:
    """Write ``<name>_mask.png``, ``<name>_mask.tif`` where the tile has a CRS, and the probabilities if any are given.

    The mask comes last: its presence says that the tile is done. Raises ``InputError`` when it cannot be written.
    """
    if probabilities is not None:
        scaled = np.round(probabilities * 255).astype(np.uint8)
        write_bytes(out / f"{name}_probabilities.tif", geotiff(scaled, image_path, names=CLASS_NAMES))
    if read_info(image_path).crs is not None:
        write_bytes(out / f"{name}_mask.tif", mask_geotiff(raster, image_path))
    write_mask(out / f"{name}_mask.png", raster)


def mask_geotiff(raster: ClassRaster, like: Path) -> bytes:
    """A class raster as GeoTIFF: one band with the palette as colour table, 255 as nodata, in the place of ``like``."""
    return geotiff(raster[None], like, names=("land cover",))


def geotiff(bands: NDArray[np.uint8], like: Path, *, names: Sequence[str]) -> bytes:
    """(bands, height, width) uint8 as a tiled GeoTIFF in the place that the image ``like`` has on the ground."""
    with rasterio.open(like) as source:
        crs, transform = source.crs, source.transform
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "compress": "deflate",
        "tiled": True,
        "crs": crs,
        "transform": transform if crs else Affine.identity(),
    }
    if bands.shape[0] == 1:
        profile["nodata"] = UNLABELLED
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(bands)
            for number, name in enumerate(names, start=1):
                target.set_band_description(number, name)
            if bands.shape[0] == 1:
                target.write_colormap(1, {index: (*map(int, PALETTE[index]), 255) for index in range(256)})
        content: bytes = memory.read()
    return content
