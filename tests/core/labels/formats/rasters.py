"""Class rasters of awkward sizes and shapes, tiles to put them on, and files of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from core.classes import UNLABELLED, ClassRaster
from core.labels.formats.grid import Grid
from core.labels.formats.placed import Placed, Reading
from core.labels.formats.recognise import read_file

HEIGHT, WIDTH = 509, 544
ROTATED = Affine.translation(500_000, 4_200_000) @ Affine.rotation(17) @ Affine.scale(23.6, -29.5)
"""Pixels that are no squares, turned by 17 degrees."""

PLAIN = Grid("t0", "t0_sat.jpg", WIDTH, HEIGHT)
ON_THE_GROUND = Grid("t0", "t0.tif", WIDTH, HEIGHT, CRS.from_epsg(26917), ROTATED)
IN_DEGREES = Grid(
    "t0", "t0.tif", WIDTH, HEIGHT, CRS.from_epsg(4326), Affine.translation(-77, 38) @ Affine.scale(1e-5, -8e-6)
)


def blocks_and_specks(seed: int = 0, shape: tuple[int, int] = (HEIGHT, WIDTH), block: int = 37) -> ClassRaster:
    """Blocks of all classes and of none, with single pixels strewn in: holes, islands, touching corners."""
    generator = np.random.default_rng(seed)
    coarse = _classes(generator, (shape[0] // block + 1, shape[1] // block + 1))
    raster = np.kron(coarse, np.ones((block, block), np.uint8))[: shape[0], : shape[1]]
    specks = generator.random(shape) < 0.01
    return np.where(specks, _classes(generator, shape), raster).astype(np.uint8)


def _classes(generator: np.random.Generator, shape: tuple[int, int]) -> ClassRaster:
    drawn = generator.integers(0, 7, shape).astype(np.uint8)
    drawn[drawn == 6] = UNLABELLED
    return drawn


def read_back(folder: Path, name: str, content: bytes, grid: Grid) -> Placed:
    """What our own reader makes of a file's bytes, laid on a tile."""
    reading = read(folder, name, content)
    return reading.content.place(grid, reading.meanings, (0, 0))


def read(folder: Path, name: str, content: bytes | dict[str, Any]) -> Reading:
    path = folder / name
    path.write_bytes(json.dumps(content).encode() if isinstance(content, dict) else content)
    return read_file(path)


def square(left: float, top: float, side: float) -> list[list[float]]:
    """A closed ring."""
    right, bottom = left + side, top + side
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def features(*polygons: tuple[dict[str, Any], list[Any]], **members: Any) -> dict[str, Any]:
    """A FeatureCollection of polygons, each given by its properties and rings."""
    return {
        "type": "FeatureCollection",
        **members,
        "features": [
            {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": rings}}
            for properties, rings in polygons
        ],
    }


def annotations(*segmentations: Any, width: int = 10, height: int = 8, name: str = "t0_sat.jpg") -> dict[str, Any]:
    """A COCO file of one image, whose annotations are all of urban."""
    return {
        "images": [{"id": 3, "file_name": name, "width": width, "height": height}],
        "categories": [{"id": 9, "name": "urban"}],
        "annotations": [
            {"id": number, "image_id": 3, "category_id": 9, "segmentation": segmentation}
            for number, segmentation in enumerate(segmentations, start=1)
        ],
    }
