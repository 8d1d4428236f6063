"""What a browser asks for about tiles: facts, thumbnails, map tiles, masks, and the map of a whole collection.

Every picture is found by an id in the catalogue, never by a path from the address. Handlers are plain functions:
Starlette runs them on its thread pool, so decoding never holds up the event loop.
"""

from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog import catalogue, thumbnails
from core.catalog.images import read_image, read_mask
from core.catalog.mosaic import GROUND, ZOOM_OFFSET, Mosaic, lay_out, render
from core.catalog.pyramid import MAP_TILE, LevelCache, Levels, cut, encode_jpeg, max_zoom
from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.errors import InputError
from core.screen_colours import Palette, parse_palette, raster_colours
from core.tables import Collection, Tile
from core.workspace import Workspace

FOREVER = "private, max-age=31536000, immutable"
CHECK_FIRST = "private, no-cache"
MAX_MASK_SIDE = 4096
"""A mask larger than this is sent reduced, whatever was asked."""

_SMALL_BYTES = 64 * 2**20
_KEPT_LAYOUTS = 8
_VISIBLE = bytes([255] * CLASS_COUNT + [0] * (256 - CLASS_COUNT))
_STRIPES = np.repeat((np.add.outer(np.arange(64), np.arange(64)) // 8 % 2 * 40 + 70).astype(np.uint8)[..., None], 3, 2)

Handler = Callable[[Request], Response]


def tile_routes(workspace: Workspace) -> list[Route]:
    """The routes under ``/tiles`` and ``/map`` for one workspace, with caches of their own.

    An unknown id answers 404, a file that cannot be read 422, both as ``{"error": one sentence}``. With ``?v=``
    equal to the content's version an answer may be kept for ever, else browsers ask again with their ETag.
    """
    server = _TileServer(workspace)
    handlers: dict[str, Handler] = {
        "/tiles/{tile_id:int}/info.json": server.info,
        "/tiles/{tile_id:int}/thumbnail.jpg": server.thumbnail,
        "/tiles/{tile_id:int}/mask.png": server.mask,
        "/tiles/{tile_id:int}/{z:int}/{x:int}/{y:int}.jpg": server.map_tile,
        "/map/{collection_id:int}/{z:int}/{x:int}/{y:int}.jpg": server.collection_tile,
        "/map/{collection_id:int}/mask/{z:int}/{x:int}/{y:int}.png": server.collection_mask_tile,
    }
    return [Route(path, _guarded(handler), methods=["GET"]) for path, handler in handlers.items()]


def map_version(collection: Collection) -> str:
    """What ``?v=`` is for a collection's map: it changes whenever the folder is indexed."""
    return f"{collection.indexed:%Y%m%d%H%M%S%f}"


def _guarded(handler: Handler) -> Handler:
    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except catalogue.UnknownIdError as error:
            return _failure(404, str(error))
        except InputError as error:
            return _failure(422, str(error))

    return answer


def _failure(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, headers={"Cache-Control": "no-store"})


class _TileServer:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._pictures = LevelCache()
        self._masks = LevelCache(max_bytes=128 * 2**20)
        self._small = LevelCache(max_bytes=_SMALL_BYTES)
        self._layouts: dict[tuple[int, datetime], Mosaic] = {}

    def info(self, request: Request) -> Response:
        tile = self._tile(request)
        collection = catalogue.collection(self._workspace, tile.collection_id)
        content = {
            "id": tile.id,
            "name": tile.name,
            "width": tile.width,
            "height": tile.height,
            "metres_per_pixel_x": tile.metres_per_pixel_x,
            "metres_per_pixel_y": tile.metres_per_pixel_y,
            "max_zoom": max_zoom(tile.width, tile.height),
            "synthetic": collection.synthetic,
            "split": tile.split,
            "has_mask": tile.mask_path is not None,
        }
        return JSONResponse(content, headers={"Cache-Control": CHECK_FIRST})

    def thumbnail(self, request: Request) -> Response:
        tile = self._tile(request)
        size = _number(request, "size", 256)
        if size not in thumbnails.THUMBNAIL_SIZES:
            return _failure(422, f"Thumbnails come in {thumbnails.THUMBNAIL_SIZES} pixels, not {size}.")
        return cached_picture(
            request,
            "image/jpeg",
            tile.fingerprint,
            lambda: thumbnails.thumbnail(self._workspace, tile, size),
        )

    def map_tile(self, request: Request) -> Response:
        tile = self._tile(request)
        z, x, y = (int(request.path_params[name]) for name in "zxy")
        if not _exists(tile, z, x, y):
            return _failure(404, f"Tile {tile.name} has no map tile {z}/{x}/{y}.")

        def draw() -> bytes:
            piece = cut(self._picture_levels(tile), z, x, y)
            if piece is None:
                raise InputError(f"{tile.image_path} changed its size since it was indexed; index its folder again.")
            return encode_jpeg(piece)

        return cached_picture(request, "image/jpeg", tile.fingerprint, draw)

    def mask(self, request: Request) -> Response:
        tile = self._tile(request)
        if tile.mask_path is None:
            return _failure(404, f"Tile {tile.name} came without a mask.")
        longest = max(tile.width, tile.height)
        side = max(1, min(_number(request, "size", longest), longest, MAX_MASK_SIDE))

        def draw() -> bytes:
            levels = self._mask_levels(tile, side)
            level = next((level for level in reversed(levels) if max(level.shape) >= side), levels[0])
            scale = side / longest
            size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
            resized = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_NEAREST), np.uint8)
            return mask_png(resized, asked_palette(request))

        return cached_picture(request, "image/png", tile.mask_fingerprint or "", draw)

    def collection_tile(self, request: Request) -> Response:
        canvas = np.full((MAP_TILE, MAP_TILE, 3), GROUND, np.uint8)
        return self._draw_collection(request, "image/jpeg", canvas, self._read_picture, encode_jpeg)

    def collection_mask_tile(self, request: Request) -> Response:
        canvas = np.full((MAP_TILE, MAP_TILE), UNLABELLED, np.uint8)
        palette = asked_palette(request)
        return self._draw_collection(
            request, "image/png", canvas, self._read_mask, lambda raster: mask_png(raster, palette)
        )

    def _draw_collection(
        self,
        request: Request,
        media_type: str,
        canvas: NDArray[np.uint8],
        read: Callable[[Tile, int], Levels],
        encode: Callable[[NDArray[np.uint8]], bytes],
    ) -> Response:
        collection = catalogue.collection(self._workspace, int(request.path_params["collection_id"]))
        mosaic = self._layout(collection)
        zoom = int(request.path_params["z"]) - ZOOM_OFFSET
        x, y = int(request.path_params["x"]), int(request.path_params["y"])
        side = MAP_TILE * 2.0**-zoom
        if not mosaic.min_zoom <= zoom <= 0 or x * side >= mosaic.width or y * side >= mosaic.height:
            return _failure(404, f"The map of {collection.name} has no map tile {zoom}/{x}/{y}.")

        def draw() -> bytes:
            render(mosaic, zoom, x, y, read=read, canvas=canvas)
            return encode(canvas)

        return cached_picture(request, media_type, map_version(collection), draw)

    def _layout(self, collection: Collection) -> Mosaic:
        key = (collection.id, collection.indexed)
        mosaic = self._layouts.get(key)
        if mosaic is None:
            while len(self._layouts) >= _KEPT_LAYOUTS:
                self._layouts.pop(next(iter(self._layouts)), None)
            mosaic = self._layouts[key] = lay_out(catalogue.tiles(self._workspace, collection.id))
        return mosaic

    def _tile(self, request: Request) -> Tile:
        return catalogue.tile(self._workspace, int(request.path_params["tile_id"]))

    def _picture_levels(self, tile: Tile) -> Levels:
        return self._pictures.get(tile.fingerprint, lambda: read_image(Path(tile.image_path)))

    def _mask_levels(self, tile: Tile, longest: int) -> Levels:
        key = tile.mask_fingerprint or ""
        if longest <= thumbnails.MASK_THUMBNAIL_SIZE:
            return self._small.get(f"{key}-mask", lambda: thumbnails.mask_thumbnail(self._workspace, tile))
        shape = (tile.height, tile.width)
        return self._masks.get(key, lambda: read_mask(Path(tile.mask_path or ""), shape).raster)

    def _read_picture(self, tile: Tile, longest: int) -> Levels:
        """The levels to draw a tile from; stripes where its file can no longer be read, so the rest still shows."""
        size = next((size for size in thumbnails.INDEXED_SIZES if size >= longest), None)
        try:
            if size is None:
                return self._picture_levels(tile)
            return self._small.get(f"{tile.fingerprint}-{size}", lambda: self._decoded_thumbnail(tile, size))
        except InputError:
            return [_STRIPES]

    def _decoded_thumbnail(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        with Image.open(BytesIO(thumbnails.thumbnail(self._workspace, tile, size)), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))

    def _read_mask(self, tile: Tile, longest: int) -> Levels:
        """The levels of a tile's given mask; one unlabelled pixel where it has none or it can no longer be read."""
        nothing = [np.full((1, 1), UNLABELLED, np.uint8)]
        try:
            return self._mask_levels(tile, longest) if tile.mask_path else nothing
        except InputError:
            return nothing


def cached_picture(request: Request, media_type: str, version: str, draw: Callable[[], bytes]) -> Response:
    """The picture, or 304 where the browser has this version of it; ``draw`` is only called when needed."""
    cache = FOREVER if request.query_params.get("v") == version else CHECK_FIRST
    headers = {"ETag": f'"{version}"', "Cache-Control": cache}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(draw(), media_type=media_type, headers=headers)


def asked_palette(request: Request) -> Palette:
    """The colours that an address asks for by ``?palette=``; DeepGlobe's where it does not."""
    return parse_palette(request.query_params.get("palette", ""))


def mask_png(raster: ClassRaster, palette: Palette = Palette.DEEPGLOBE) -> bytes:
    """A class raster as palette PNG, unlabelled transparent."""
    image = Image.fromarray(raster)
    image.putpalette(raster_colours(palette).tobytes())
    stream = BytesIO()
    image.save(stream, "PNG", compress_level=1, transparency=_VISIBLE)
    return stream.getvalue()


def _exists(tile: Tile, z: int, x: int, y: int) -> bool:
    """Whether a tile has this map tile, told from its size alone: a wrong address must not cost a decoding."""
    top = max_zoom(tile.width, tile.height)
    side = MAP_TILE * 2 ** max(0, top - z)
    return z <= top and x * side < tile.width and y * side < tile.height


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 6:
        raise InputError(f"'{name}' is a whole number of pixels, not {text[:20]!r}.")
    return int(text)
