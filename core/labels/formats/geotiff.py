"""GeoTIFF class rasters: one band of class indices with CRS, transform, colour table and nodata."""

from rasterio.io import MemoryFile

from core.classes import CLASS_NAMES, PALETTE, UNLABELLED, ClassRaster
from core.labels.formats.grid import Grid

SUFFIX = "_classes.tif"
BLOCK = 256


def encode(raster: ClassRaster, grid: Grid) -> bytes:
    """A class raster as a tiled GeoTIFF, deflated, nodata 255, with the classes' colours and names.

    Where the tile has no place on the ground the file has none either: plain pixels.
    """
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": grid.height,
        "width": grid.width,
        "compress": "deflate",
        "nodata": UNLABELLED,
    }
    if grid.crs is not None:
        profile |= {"crs": grid.crs, "transform": grid.transform}
    if min(grid.height, grid.width) >= BLOCK:
        profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    with MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(raster, 1)
            target.set_band_description(1, "land cover")
            target.write_colormap(1, {index: (*map(int, PALETTE[index]), 255) for index in range(256)})
            target.update_tags(1, **{f"class_{index}": name for index, name in enumerate(CLASS_NAMES)})
        return bytes(memory.read())
