"""Kept predictions over the map of a collection: map tiles in the same grid and at the same zooms as the images'."""

from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.catalog.catalogue import collection, tiles
from core.catalog.images import read_mask
from core.catalog.mosaic import ZOOM_OFFSET, Mosaic, lay_out, render
from core.catalog.pyramid import MAP_TILE, LevelCache, Levels
from core.catalog.routes import asked_palette, cached_picture, mask_png
from core.catalog.thumbnails import MASK_THUMBNAIL_SIZE
from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.tables import Tile
from core.workspace import Workspace

_LARGE_BYTES = 128 * 2**20
_SMALL_BYTES = 64 * 2**20
_KEPT_LAYOUTS = 8


def place_version(place: Path) -> str:
    """What ``?v=`` is for a folder of kept predictions: another whenever one is made, made anew or removed."""
    return f"{place.stat().st_mtime_ns:x}" if place.is_dir() else "none"


class PredictionMap:
    """Draws map tiles of folders of kept predictions, with caches of their rasters."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._large = LevelCache(max_bytes=_LARGE_BYTES)
        self._small = LevelCache(max_bytes=_SMALL_BYTES)
        self._layouts: dict[tuple[int, datetime], Mosaic] = {}

    def answer(self, request: Request, place: Path) -> Response:
        """The map tile ``z``, ``x``, ``y`` of the request's path over ``collection_id``; transparent without a class.

        Raises ``InputError`` for a collection that is not there; 404 beyond the map.
        """
        where = request.path_params
        mosaic = self._layout(where["collection_id"])
        zoom, x, y = where["z"] - ZOOM_OFFSET, where["x"], where["y"]
        side = MAP_TILE * 2.0**-zoom
        if not mosaic.min_zoom <= zoom <= 0 or x * side >= mosaic.width or y * side >= mosaic.height:
            return JSONResponse({"error": f"The map has no map tile {zoom}/{x}/{y}."}, status_code=404)

        def read(tile: Tile, longest: int) -> Levels:
            return self._levels(place / f"{tile.name}_mask.png", tile, longest)

        def draw() -> bytes:
            canvas = np.full((MAP_TILE, MAP_TILE), UNLABELLED, np.uint8)
            render(mosaic, zoom, x, y, read=read, canvas=canvas)
            return mask_png(canvas, asked_palette(request))

        return cached_picture(request, "image/png", place_version(place), draw)

    def _layout(self, collection_id: int) -> Mosaic:
        shown = collection(self._workspace, collection_id)
        key = (shown.id, shown.indexed)
        if key not in self._layouts:
            while len(self._layouts) >= _KEPT_LAYOUTS:
                self._layouts.pop(next(iter(self._layouts)), None)
            self._layouts[key] = lay_out(tiles(self._workspace, shown.id))
        return self._layouts[key]

    def _levels(self, path: Path, tile: Tile, longest: int) -> Levels:
        """The pyramid of a kept raster, or of a small copy where that will do; one unlabelled pixel without one."""
        try:
            key = f"{path}-{path.stat().st_mtime_ns}"

            def whole() -> ClassRaster:
                return read_mask(path, (tile.height, tile.width)).raster

            if longest > MASK_THUMBNAIL_SIZE:
                return self._large.get(key, whole)
            return self._small.get(key, lambda: _reduced(whole()))
        except (OSError, InputError):
            return [np.full((1, 1), UNLABELLED, np.uint8)]


def _reduced(raster: ClassRaster) -> ClassRaster:
    scale = min(1.0, MASK_THUMBNAIL_SIZE / max(raster.shape))
    size = (max(1, round(raster.shape[1] * scale)), max(1, round(raster.shape[0] * scale)))
    return np.asarray(cv2.resize(raster, size, interpolation=cv2.INTER_NEAREST), np.uint8)
