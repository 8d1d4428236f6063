"""What reading a file gives, before and after its labels are laid on a tile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.classes import ClassRaster
from core.labels.formats.class_names import Meanings
from core.labels.formats.grid import Grid


class Format(StrEnum):
    """The formats that are read and written, by the names that the command line knows."""

    DEEPGLOBE = "deepglobe"
    INDEX = "index"
    GEOTIFF = "geotiff"
    GEOJSON = "geojson"
    COCO = "coco"


FORMAT_WORDS = {
    Format.DEEPGLOBE: "DeepGlobe mask (RGB)",
    Format.INDEX: "Class-index image",
    Format.GEOTIFF: "GeoTIFF",
    Format.GEOJSON: "GeoJSON polygons",
    Format.COCO: "COCO annotations",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A file's labels on a tile.

    ``raster`` is uint8 of the tile's size, 255 where the file labels nothing. ``notes`` are sentences on what was done:
    where it was laid, what lies outside. ``covered`` is bool of the tile's size, the pixels that the file speaks of;
    None where that is the whole tile.
    """

    raster: ClassRaster
    notes: tuple[str, ...] = ()
    covered: NDArray[np.bool_] | None = None


class Content(Protocol):
    """The labels of a file, ready to be laid on a tile."""

    def place(self, grid: Grid, meanings: Meanings, offset: tuple[int, int]) -> Placed:
        """Lay the labels on a tile; ``offset`` is (column, row) of a smaller picture's first pixel.

        Raises ``InputError`` where they do not fit the tile.
        """


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read.

    ``keys`` are what it calls its classes, with pixels (or polygons) of each, ``meanings`` what we take them for.
    Where that is a guess, ``question`` says in one sentence what a person must settle first. ``size`` is (width,
    height) of a picture that is laid by pixels; None where the file says itself where its labels lie.
    """

    format: Format
    summary: str
    content: Content
    keys: Mapping[str, int]
    meanings: Meanings
    question: str | None = None
    size: tuple[int, int] | None = None
    image_names: tuple[str, ...] = field(default=())
    """The images that it speaks of, where it names any."""
