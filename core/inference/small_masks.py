"""What lies over the thumbnails: the labels painted here, or a kept prediction, at a thumbnail's size.

GET /small/{tile}/labels.png             what is labelled on the tile
GET /small/{tile}/{run}/{key}.png        the kept prediction of a run with the switches of that key

Both are palette PNGs of at most 512 pixels, unlabelled transparent; with ``?v=`` as ``small_labels`` and
``small_prediction`` give it a browser may keep them.
"""

from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog import catalogue
from core.catalog.images import read_mask
from core.catalog.pyramid import LevelCache
from core.catalog.routes import asked_palette, cached_picture, mask_png
from core.catalog.thumbnails import small_mask
from core.classes import ClassRaster
from core.errors import InputError
from core.inference.prediction_routes import prediction_folder
from core.labels import raster
from core.tables import Tile
from core.workspace import Workspace

_BYTES = 64 * 2**20


def small_labels(workspace: Workspace, tile: Tile) -> str | None:
    """The address of a tile's labels; None where nothing was ever painted on it."""
    version = _version(raster.mask_path(workspace, tile))
    return version and f"/small/{tile.id}/labels.png?v={version}"


def small_prediction(workspace: Workspace, tile: Tile, run: str, key: str) -> str | None:
    """The address of a kept prediction; None where there is none of this tile."""
    version = _version(workspace.predictions / run / key / str(tile.collection_id) / f"{tile.name}_mask.png")
    return version and f"/small/{tile.id}/{run}/{key}.png?v={version}"


def small_mask_routes(workspace: Workspace) -> list[Route]:
    """The routes under ``/small``; what is not there answers 404, what cannot be read 422, with one sentence."""
    cache = LevelCache(max_bytes=_BYTES)

    def answer(request: Request, find: Callable[[Tile], Path], read: Callable[[Path, Tile], ClassRaster]) -> Response:
        try:
            tile = catalogue.tile(workspace, request.path_params["tile_id"])
            path = find(tile)
            version = _version(path)
            if version is None:
                return JSONResponse({"error": f"There is nothing of this kind on tile {tile.name}."}, 404)
            levels = cache.get(f"{path}-{version}", lambda: small_mask(read(path, tile)))
            palette = asked_palette(request)
            return cached_picture(request, "image/png", version, lambda: mask_png(levels[0], palette))
        except catalogue.UnknownIdError as error:
            return JSONResponse({"error": str(error)}, 404)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 422)

    def labels(request: Request) -> Response:
        return answer(request, lambda tile: raster.mask_path(workspace, tile), _painted)

    def prediction(request: Request) -> Response:
        run, key = request.path_params["run"], request.path_params["key"]

        def find(tile: Tile) -> Path:
            return prediction_folder(workspace, run, key, tile.collection_id) / f"{tile.name}_mask.png"

        return answer(request, find, lambda path, tile: read_mask(path, (tile.height, tile.width)).raster)

    return [Route("/small/{tile_id:int}/labels.png", labels), Route("/small/{tile_id:int}/{run}/{key}.png", prediction)]


def _painted(path: Path, tile: Tile) -> ClassRaster:
    stored = raster.read(path, (tile.height, tile.width))
    return raster.empty(tile) if stored is None else stored.raster


def _version(path: Path) -> str | None:
    try:
        return f"{path.stat().st_mtime_ns:x}"
    except OSError:
        return None
