"""The part of a tile that a prediction covers: all of it, but for some that came from elsewhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.tables import Tile


@dataclass(frozen=True, slots=True)
class Extent:
    """The part of a tile that a prediction covers, in pixels of the tile."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, raster: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """That part of a (height, width) raster of the whole tile."""
        return raster[self.top : self.top + self.height, self.left : self.left + self.width]

    def is_whole(self, tile: Tile) -> bool:
        """Whether it is all of the tile."""
        return (self.height, self.width) == (tile.height, tile.width)
