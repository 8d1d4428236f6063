"""Laying a label picture on a tile: pixel by pixel, at an offset, or where it lies on the ground."""

from dataclasses import dataclass

import numpy as np
from affine import Affine
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import Resampling, reproject, transform_bounds

from core.errors import InputError
from core.labels.formats.class_names import Meanings, check_meanings, lookup_table
from core.labels.formats.grid import Grid
from core.labels.formats.pictures import NO_CODE, Codes, Picture
from core.labels.formats.placed import Placed


@dataclass(frozen=True, slots=True)
class RasterContent:
    """A label picture, with its file's name for the sentences about it."""

    name: str
    picture: Picture

    def place(self, grid: Grid, meanings: Meanings, offset: tuple[int, int]) -> Placed:
        """Lay the picture on a tile.

        Where both have a CRS it is laid by its place on the ground, each pixel of the tile taking the class at its
        centre (nearest neighbour). Else pixel by pixel with its first pixel at ``offset`` (column, row). Raises
        ``InputError`` where it does not fit the tile, or lies elsewhere on the ground.
        """
        picture = self.picture
        check_meanings(picture.keys, meanings)
        table = lookup_table(picture.keys, meanings)
        if picture.crs is not None and grid.crs is not None:
            codes, notes = _on_the_ground(self.name, picture, grid)
        else:
            codes, notes = _by_pixels(self.name, picture, grid, offset)
        covered = None if codes is picture.codes else codes != NO_CODE
        return Placed(table[codes], (*picture.notes, *notes), covered)


def _by_pixels(name: str, picture: Picture, grid: Grid, offset: tuple[int, int]) -> tuple[Codes, tuple[str, ...]]:
    height, width = picture.codes.shape
    column, row = offset
    if column < 0 or row < 0 or column + width > grid.width or row + height > grid.height:
        at = f" laid at column {column}, row {row}" if offset != (0, 0) else ""
        raise InputError(
            f"{name} is {width} x {height} pixels{at}, which does not fit into tile {grid.name} of {grid.size}; "
            "choose the labels of this tile, or another offset."
        )
    if (height, width) == grid.shape:
        return picture.codes, ()
    codes = np.full(grid.shape, NO_CODE, np.uint8)
    codes[row : row + height, column : column + width] = picture.codes
    return codes, (
        f"{name} is {width} x {height} pixels and the tile {grid.size}: it is laid at column {column}, row {row}, "
        "and the rest stays as it is.",
    )


def _on_the_ground(name: str, picture: Picture, grid: Grid) -> tuple[Codes, tuple[str, ...]]:
    if picture.codes.shape == grid.shape and picture.crs == grid.crs and _same(picture.transform, grid.transform):
        return picture.codes, ()
    codes = np.full(grid.shape, NO_CODE, np.uint8)
    try:
        reproject(
            picture.codes,
            codes,
            src_transform=picture.transform,
            src_crs=picture.crs,
            src_nodata=NO_CODE,
            dst_transform=grid.transform,
            dst_crs=grid.crs,
            dst_nodata=NO_CODE,
            resampling=Resampling.nearest,
        )
    except (CRSError, RasterioError) as error:
        raise InputError(f"{name} cannot be brought into the tile's CRS ({error}); save it in that CRS.") from error
    covered = float((codes != NO_CODE).mean())
    if covered == 0:
        raise InputError(
            f"{name} lies elsewhere on the ground than tile {grid.name}: {_bounds(picture.crs, picture)} against "
            f"{_bounds(grid.crs, grid)} (longitude and latitude); choose the labels of this tile."
        )
    return codes, (f"{name} is laid where it lies on the ground; it covers {covered:.0%} of the tile.",)


def _same(a: Affine, b: Affine) -> bool:
    """Whether two transforms agree to a thousandth of a pixel over the first thousand pixels."""
    step = min(np.hypot(b.a, b.d), np.hypot(b.b, b.e))
    return bool(np.allclose(a[:6], b[:6], rtol=0, atol=step * 1e-6) or a == b)


def _bounds(crs: object, of: Picture | Grid) -> str:
    """Where it lies, in degrees."""
    height, width = of.codes.shape if isinstance(of, Picture) else of.shape
    corners = [of.transform @ corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    x, y = zip(*corners, strict=True)
    west, south, east, north = transform_bounds(crs, "EPSG:4326", min(x), min(y), max(x), max(y))
    return f"{west:.3f} {south:.3f} to {east:.3f} {north:.3f}"
