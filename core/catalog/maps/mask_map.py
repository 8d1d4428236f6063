"""Class rasters over the map of a collection: given masks, labels that were painted here, kept predictions."""

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from core.catalog.images import read_mask
from core.catalog.maps.contact_sheet import SIDE, Keys, as_keys
from core.catalog.maps.drawing import MapDrawing, Source, asked_margin, class_borders
from core.catalog.pyramid import MAP_TILE, MASK_BYTES, SMALL_BYTES, LevelCache, Levels
from core.catalog.routes import asked_palette, mask_png
from core.catalog.thumbnails import MASK_THUMBNAIL_SIZE
from core.catalog.tile_table import TileTable
from core.classes import UNLABELLED, ClassRaster
from core.tables import Collection, Tile
from core.workspace import Workspace

_NOTHING: Levels = [np.full((1, 1), UNLABELLED, np.uint8)]


class MaskMap:
    """Draws class rasters of one origin, filled or as borders, in the palette that is asked for."""

    def __init__(self, workspace: Workspace) -> None:
        self._drawing = MapDrawing(workspace, np.full((SIDE, SIDE), UNLABELLED, np.uint8))

    def map_tile(self, request: Request, source_of: Callable[[Collection], Source]) -> Response:
        """The map tile of the request; transparent without a class. Raises as ``MapDrawing.map_tile``."""
        margin = asked_margin(request)
        side = MAP_TILE + 2 * margin

        def encode(raster: ClassRaster) -> bytes:
            return mask_png(class_borders(raster) if margin else raster, asked_palette(request))

        canvas = np.full((side, side), UNLABELLED, np.uint8)
        return self._drawing.map_tile(request, source_of, media_type="image/png", canvas=canvas, encode=encode)

    def prepare(self, request: Request, source_of: Callable[[Collection], Source]) -> Response:
        """As ``MapDrawing.prepare``."""
        return self._drawing.prepare(request, source_of)


def place_version(place: Path) -> str:
    """What ``?v=`` is for a folder of masks: another whenever one is made, made anew or removed."""
    return f"{place.stat().st_mtime_ns:x}" if place.is_dir() else "none"


class FolderMasks:
    """Folders of ``<tile>_mask.png`` as sources, with caches of their rasters."""

    def __init__(self) -> None:
        self._large = LevelCache(max_bytes=MASK_BYTES)
        self._small = LevelCache(max_bytes=SMALL_BYTES)

    def source(self, place: Path, sheet: Path) -> Source:
        """The folder ``place`` as it is now."""
        return Source(
            version=place_version(place),
            sheet=sheet,
            keys=lambda table: _keys(place, table),
            read=lambda tile, longest: self.levels(place / f"{tile.name}_mask.png", tile, longest),
            blank=_NOTHING,
        )

    def levels(self, path: Path, tile: Tile, longest: int) -> Levels:
        """The pyramid of a raster, or of a small copy where that will do; one unlabelled pixel without one."""
        try:
            key = f"{path}-{path.stat().st_mtime_ns}"
        except OSError:
            return _NOTHING

        def whole() -> ClassRaster:
            return read_mask(path, (tile.height, tile.width)).raster

        if longest > MASK_THUMBNAIL_SIZE:
            return self._large.get(key, whole)
        return self._small.get(key, lambda: _reduced(whole()))


def _keys(place: Path, table: TileTable) -> Keys:
    """A key for every tile that has a mask in the folder, of its name and when the file was written."""
    try:
        written = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(place)}
    except FileNotFoundError:
        written = {}
    names = [f"{tile.name}_mask.png" for tile in table.rows]
    marks = [f"{name}-{written[name]}" if name in written else "" for name in names]
    return as_keys([blake2b(mark.encode(), digest_size=8).hexdigest() if mark else "" for mark in marks])


def _reduced(raster: ClassRaster) -> ClassRaster:
    scale = min(1.0, MASK_THUMBNAIL_SIZE / max(raster.shape))
    size = (max(1, round(raster.shape[1] * scale)), max(1, round(raster.shape[0] * scale)))
    return np.asarray(cv2.resize(raster, size, interpolation=cv2.INTER_NEAREST), np.uint8)
