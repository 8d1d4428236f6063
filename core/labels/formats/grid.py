"""The grid of a tile's pixels, and where it lies on the ground: all that a file format needs to know of a tile."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from core.errors import InputError
from core.tables import Tile

PIXELS = Affine.identity()
"""The transform of a tile that has no place on the ground."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A tile's pixels: ``width`` x ``height``, and its place on the ground where it has one.

    ``transform`` takes (column, row), with (0, 0) at the outer corner of the first pixel, to coordinates of ``crs``, a
    ``rasterio.crs.CRS``; it is the identity where ``crs`` is None. ``file_name`` is the image's own.
    """

    name: str
    file_name: str
    width: int
    height: int
    crs: Any = None
    transform: Affine = PIXELS

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, as of an array."""
        return self.height, self.width

    @property
    def size(self) -> str:
        """The size as a person reads it."""
        return f"{self.width} x {self.height}"


def grid_of(tile: Tile) -> Grid:
    """The grid of a tile. Reads the image's header where the catalogue says that it has a CRS.

    Raises ``InputError`` where that image cannot be read any more.
    """
    path = Path(tile.image_path)
    if tile.crs is None:
        return Grid(tile.name, path.name, tile.width, tile.height)
    try:
        with rasterio.open(path) as source:
            return Grid(tile.name, path.name, tile.width, tile.height, source.crs, source.transform)
    except RasterioError as error:
        raise InputError(
            f"The image {path} of tile {tile.name} cannot be read, so its place on the ground is not known; "
            "put the file back."
        ) from error
