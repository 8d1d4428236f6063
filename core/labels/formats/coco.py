"""COCO annotations, read and written: one file for many images, polygons and run-length masks in it.

A COCO polygon has no holes. So a region without holes is written as a polygon along its pixels' edges, and one with
holes as a compressed run-length mask; programs built on pycocotools take either in the same place. Ids begin at 1.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from core.classes import CLASSES, UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels.formats import coco_rle
from core.labels.formats.class_names import Meanings, check_meanings, known_meanings
from core.labels.formats.grid import Grid
from core.labels.formats.json_file import Budget, number, ring_of_positions
from core.labels.formats.placed import Format, Placed, Reading
from core.labels.formats.polygons import Polygon, Ring, fill_runs, paint, trace

FILE_NAME = "annotations.json"
_TILE_ENDINGS = ("_sat", "_mask", "_pred", "_classes")


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image of a file: its name and size in pixels."""

    file_name: str
    width: int
    height: int

    @property
    def tile_name(self) -> str:
        """The name of the tile that it probably is."""
        return tile_name(self.file_name)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One region of a class in one image: polygons, or the runs of a run-length mask."""

    key: str
    rings: tuple[Ring, ...] | None
    counts: coco_rle.Counts | None


@dataclass(frozen=True, slots=True)
class CocoContent:
    """A file's images, and the annotations of each by the image's place in the list."""

    name: str
    images: tuple[CocoImage, ...]
    annotations: dict[int, list[Annotation]]

    def place(self, grid: Grid, meanings: Meanings, offset: tuple[int, int]) -> Placed:  # noqa: ARG002
        """Paint the annotations of the tile's image, later ones over earlier ones.

        Raises ``InputError`` where the file does not know the tile's image, or has it in another size.
        """
        chosen = self._image(grid)
        image = self.images[chosen]
        notes = []
        if image.tile_name != grid.name:
            notes.append(f"The file's only image, {image.file_name}, was taken for the tile.")
        if (image.height, image.width) != grid.shape:
            raise InputError(
                f"{self.name} has {image.file_name} with {image.width} x {image.height} pixels and tile {grid.name} is "
                f"{grid.size}; export the annotations at the tile's size."
            )
        annotations = self.annotations.get(chosen, [])
        check_meanings([annotation.key for annotation in annotations], meanings)
        raster = np.full(grid.shape, UNLABELLED, np.uint8)
        missed = 0
        for is_polygon, some in groupby(annotations, key=lambda annotation: annotation.rings is not None):
            if is_polygon:
                missed += paint(raster, [Polygon(meanings[a.key], (ring,)) for a in some for ring in a.rings or ()])
            else:
                _paint_runs(raster, [(meanings[a.key], a.counts) for a in some if a.counts is not None])
        if missed:
            notes.append(f"Outside the tile, or over no pixel's centre: {missed:,} polygons.")
        others = len(self.images) - 1
        notes.append(
            f"{len(annotations):,} annotations of {image.file_name}"
            + (f"; {others:,} other images" if others else "")
            + "."
        )
        return Placed(raster, tuple(notes))

    def _image(self, grid: Grid) -> int:
        for place, image in enumerate(self.images):
            if image.tile_name == grid.name or PurePosixPath(image.file_name).name == grid.file_name:
                return place
        if len(self.images) == 1 and (self.images[0].height, self.images[0].width) == grid.shape:
            return 0
        first = ", ".join(image.file_name for image in self.images[:3])
        raise InputError(
            f"{self.name} has no image of tile {grid.name} ({grid.file_name}); it has {len(self.images):,}, such as "
            f"{first}. Choose the file of this tile, or rename the image in it."
        )


def tile_name(file_name: str) -> str:
    """The tile that a file belongs to, by its name: without folder, ending, and ``_sat``, ``_mask`` and the like."""
    stem = PurePosixPath(file_name.replace("\\", "/")).stem
    for ending in _TILE_ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def is_coco(content: dict[str, Any]) -> bool:
    """Whether a JSON object looks like COCO annotations."""
    return isinstance(content.get("images"), list) and isinstance(content.get("annotations"), list)


def read(path: Path, content: dict[str, Any]) -> Reading:
    """Read a COCO object. Raises ``InputError`` for what is missing or damaged, naming the annotation."""
    images, places = _images(path, content["images"])
    categories = _categories(path, content.get("categories"))
    annotations: dict[int, list[Annotation]] = {}
    keys: Counter[str] = Counter()
    budget = Budget(path.name)
    for position, row in enumerate(content["annotations"], start=1):
        where = f"Annotation {_id(row, position)} of {path.name}"
        if not isinstance(row, dict) or not _hashable(row, "image_id", "category_id"):
            raise InputError(f"{where} is no object with an image and a category; export the file again.")
        if row.get("image_id") not in places or row.get("category_id") not in categories:
            raise InputError(f"{where} names an image or a category that the file does not list; export it again.")
        place = places[row["image_id"]]
        annotation = _annotation(row.get("segmentation"), categories[row["category_id"]], images[place], where)
        budget.spend(polygons=max(1, len(annotation.rings or ())), points=sum(map(len, annotation.rings or ())))
        annotations.setdefault(place, []).append(annotation)
        keys[annotation.key] += 1
    total = sum(keys.values())
    summary = f"{total:,} annotations of {len(images):,} image{'s' if len(images) != 1 else ''}"
    body = CocoContent(path.name, tuple(images), annotations)
    names = tuple(image.file_name for image in images)
    return Reading(Format.COCO, summary, body, dict(keys), known_meanings(keys), image_names=names)


def encode(tiles: Iterable[tuple[ClassRaster, Grid]], *, info: dict[str, Any]) -> bytes:
    """The class rasters of tiles as one COCO file. ``info`` becomes the file's own ``info`` member."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for raster, grid in tiles:
        image_id = len(images) + 1
        images.append({"id": image_id, "file_name": grid.file_name, "width": grid.width, "height": grid.height})
        for region in regions(raster):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **region})
    categories = [
        {"id": c.index + 1, "name": c.name, "supercategory": "land cover", "color": list(c.colour)} for c in CLASSES
    ]
    content = {"info": info, "images": images, "annotations": annotations, "categories": categories}
    return json.dumps(content, separators=(",", ":")).encode()


def regions(raster: ClassRaster) -> Iterator[dict[str, Any]]:
    """The 4-connected regions of a class raster as COCO annotations, but for their ids: those with holes come last."""
    for polygon in sorted(trace(raster), key=lambda polygon: len(polygon.rings) > 1):
        outline = polygon.rings[0].astype(np.int64)
        left, top = outline.min(axis=0).tolist()
        right, bottom = outline.max(axis=0).tolist()
        if len(polygon.rings) == 1:
            segmentation: Any = [outline.reshape(-1).tolist()]
            area = _area(outline)
        else:
            window = np.full((bottom - top, right - left), UNLABELLED, np.uint8)
            paint(window, [Polygon(polygon.class_index, tuple(ring - (left, top) for ring in polygon.rings))])
            mask = window != UNLABELLED
            counts = coco_rle.counts_of_mask(mask, top=top, left=left, shape=raster.shape)
            segmentation = {"size": list(raster.shape), "counts": coco_rle.compress(counts)}
            area = int(mask.sum())
        yield {
            "category_id": polygon.class_index + 1,
            "segmentation": segmentation,
            "area": area,
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
        }


def _area(ring: Any) -> int:
    x, y = ring.T
    return int(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) // 2)


def _paint_runs(raster: ClassRaster, masks: list[tuple[int, coco_rle.Counts]]) -> None:
    """Paint run-length masks, in place: their runs go down the columns, so they are painted on the transposed."""
    turned = np.ascontiguousarray(raster.T)
    for class_index, counts in masks:
        first, lengths = coco_rle.runs_of_counts(counts, raster.shape)
        fill_runs(turned.reshape(-1), first, lengths, np.full(len(first), class_index, np.uint8))
    raster[:] = turned.T


def _images(path: Path, rows: list[Any]) -> tuple[list[CocoImage], dict[Any, int]]:
    images: list[CocoImage] = []
    places: dict[Any, int] = {}
    for row in rows:
        size = (row.get("width"), row.get("height")) if isinstance(row, dict) else (None, None)
        whole = all(isinstance(side, int) and 0 < side <= 100_000 for side in size)
        if not whole or not isinstance(row.get("file_name"), str) or not _hashable(row, "id"):
            raise InputError(f"{path.name} lists an image without a file_name, id, width or height; export it again.")
        places[row["id"]] = len(images)
        images.append(CocoImage(row["file_name"], row["width"], row["height"]))
    if not images:
        raise InputError(f"{path.name} lists no image; export it again.")
    return images, places


def _categories(path: Path, rows: Any) -> dict[Any, str]:
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path.name} has no list of categories, so its classes have no names; export it again.")
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not _hashable(row, "id"):
            raise InputError(f"{path.name} lists a category without an id or a name; export it again.")
    return {row["id"]: row["name"].strip() for row in rows}


def _annotation(segmentation: Any, key: str, image: CocoImage, where: str) -> Annotation:
    shape = (image.height, image.width)
    if isinstance(segmentation, list) and segmentation:
        return Annotation(key, tuple(_flat_ring(flat, where) for flat in segmentation), None)
    if isinstance(segmentation, dict):
        counts = _counts(segmentation.get("counts"), where)
        if segmentation.get("size") != list(shape):
            raise InputError(
                f"{where} is a mask of size {str(segmentation.get('size'))[:40]} in an image of height and width "
                f"{list(shape)}; export it again."
            )
        try:
            coco_rle.runs_of_counts(counts, shape)
        except InputError as error:
            raise InputError(f"{where}: {error}; export the file again.") from error
        return Annotation(key, None, counts)
    raise InputError(f"{where} has no segmentation, only a box perhaps; export polygons or masks.")


def _counts(counts: Any, where: str) -> coco_rle.Counts:
    try:
        if isinstance(counts, str):
            return coco_rle.decompress(counts)
        return np.array([int(length) for length in counts if _is_length(length)], np.int64)
    except (InputError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where} has a run-length mask that is damaged; export the file again.") from error


def _is_length(length: Any) -> bool:
    value = number(length)
    if value is None or value != int(value):
        raise ValueError("a run's length is a whole number")
    return True


def _flat_ring(flat: Any, where: str) -> Ring:
    if not isinstance(flat, list) or len(flat) % 2:
        raise InputError(f"{where} has a polygon that is no flat list of x, y, x, y; export the file again.")
    return ring_of_positions(list(zip(flat[::2], flat[1::2], strict=True)), where)


def _hashable(row: dict[str, Any], *names: str) -> bool:
    return all(isinstance(row.get(name), int | str) for name in names)


def _id(row: Any, position: int) -> str:
    return str(row.get("id", position))[:20] if isinstance(row, dict) else str(position)
