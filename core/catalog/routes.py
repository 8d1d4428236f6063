"""What a browser asks for about single tiles: facts, thumbnails, map tiles, masks; and what other routes answer by.

Every picture is found by an id in the catalogue, never by a path from the address. Handlers are plain functions:
Starlette runs them on its thread pool, so decoding never holds up the event loop.
"""

from collections.abc import Callable
from io import BytesIO

import cv2
import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog import catalogue, thumbnails
from core.catalog.pyramid import MAP_TILE, cut, encode_jpeg, max_zoom
from core.catalog.tile_pictures import TilePictures
from core.classes import CLASS_COUNT, ClassRaster
from core.errors import InputError
from core.screen_colours import Palette, parse_palette, raster_colours
from core.tables import Collection, Tile
from core.workspace import Workspace

FOREVER = "private, max-age=31536000, immutable"
CHECK_FIRST = "private, no-cache"
MAX_MASK_SIDE = 4096
"""A mask larger than this is sent reduced, whatever was asked."""

_VISIBLE = bytes([255] * CLASS_COUNT + [0] * (256 - CLASS_COUNT))

Handler = Callable[[Request], Response]


def tile_routes(workspace: Workspace, pictures: TilePictures | None = None) -> list[Route]:
    """The routes under ``/tiles`` for one workspace, which read through ``pictures``.

    An unknown id answers 404, a file that cannot be read 422, both as ``{"error": one sentence}``. With ``?v=``
    equal to the content's version an answer may be kept for ever, else browsers ask again with their ETag.
    """
    server = _TileServer(workspace, pictures or TilePictures(workspace))
    handlers: dict[str, Handler] = {
        "/tiles/{tile_id:int}/info.json": server.info,
        "/tiles/{tile_id:int}/thumbnail.jpg": server.thumbnail,
        "/tiles/{tile_id:int}/mask.png": server.mask,
        "/tiles/{tile_id:int}/{z:int}/{x:int}/{y:int}.jpg": server.map_tile,
    }
    return [Route(path, guarded(handler), methods=["GET"]) for path, handler in handlers.items()]


def map_version(collection: Collection) -> str:
    """What ``?v=`` is for a collection's map: it changes whenever the folder is indexed."""
    return f"{collection.indexed:%Y%m%d%H%M%S%f}"


def guarded(handler: Handler) -> Handler:
    """A handler whose ``InputError`` becomes an answer: 404 for what is not there, else 422."""

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
    def __init__(self, workspace: Workspace, pictures: TilePictures) -> None:
        self._workspace = workspace
        self._pictures = pictures

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
            piece = cut(self._pictures.picture(tile), z, x, y)
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
            levels = self._pictures.mask(tile, side)
            level = next((level for level in reversed(levels) if max(level.shape) >= side), levels[0])
            scale = side / longest
            size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
            resized = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_NEAREST), np.uint8)
            return mask_png(resized, asked_palette(request))

        return cached_picture(request, "image/png", tile.mask_fingerprint or "", draw)

    def _tile(self, request: Request) -> Tile:
        return catalogue.tile(self._workspace, int(request.path_params["tile_id"]))


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
