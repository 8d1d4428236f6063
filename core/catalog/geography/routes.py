"""What a browser asks for on the geographic map of a collection: images, given masks, outlines, and what is at a point.

Map tiles are Web Mercator's (EPSG:3857), 256 pixels, x and y counted from the upper left. Handlers are plain functions:
Starlette runs them on its thread pool.
"""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog import catalogue
from core.catalog.geography.display import Display, GeoPictures
from core.catalog.geography.drawing import MAX_ZOOM, MapTile, draw_classes, draw_pictures, map_tile, straight_alpha
from core.catalog.geography.outlines import OUTLINE_MARGIN, Colour, draw_outlines, read_shown
from core.catalog.geography.places import Places, places_of
from core.catalog.maps.mask_map import FolderMasks, place_version
from core.catalog.maps.routes import STRIPES
from core.catalog.pyramid import MAP_TILE, Levels
from core.catalog.routes import CHECK_FIRST, asked_palette, cached_picture, guarded, map_version, mask_png
from core.catalog.splits import SPLITS
from core.catalog.tile_pictures import TilePictures
from core.catalog.tile_table import tile_table
from core.classes import UNLABELLED
from core.errors import InputError
from core.tables import Collection, Tile
from core.workspace import Workspace

_NOTHING: Levels = [np.full((1, 1), UNLABELLED, np.uint8)]
_IDS_AT_ONCE = 500  # in one question to the database
# Run lengths alone: no slower than the fastest general setting, and smaller for photographs and outlines alike.
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_COLOURS = re.compile(r"[0-9a-f]{6}(,[0-9a-f]{6}){3}")

Handler = Callable[[Request], Response]


def outlines_version(collection: Collection) -> str:
    """What ``?v=`` is for outlines: another when the folder is indexed or any tile's split changes."""
    return f"{map_version(collection)}-{collection.revision}"


def geo_routes(workspace: Workspace, pictures: TilePictures, labels: FolderMasks | None = None) -> list[Route]:
    """The routes under ``/geo`` for one workspace, which read through ``pictures`` and ``labels``.

    An unknown collection answers 404, a wrong address 422, both as ``{"error": one sentence}``. With ``?v=`` equal to
    the content's version an answer may be kept for ever, else browsers ask again with their ETag.
    """
    server = _GeoServer(workspace, pictures, labels or FolderMasks())
    handlers: dict[str, Handler] = {
        "/geo/{collection_id:int}/{z:int}/{x:int}/{y:int}.png": server.pictures,
        "/geo/{collection_id:int}/mask/{z:int}/{x:int}/{y:int}.png": server.masks,
        "/geo/{collection_id:int}/labels/{z:int}/{x:int}/{y:int}.png": server.labels,
        "/geo/{collection_id:int}/outlines/{z:int}/{x:int}/{y:int}.png": server.outlines,
        "/geo/{collection_id:int}/at.json": server.at,
    }
    return [Route(path, guarded(handler), methods=["GET"]) for path, handler in handlers.items()]


def asked_map_tile(request: Request, places: Places, margin: int = 0) -> MapTile:
    """What lies on the map tile of the request's path or within ``margin`` pixels of it.

    Raises ``UnknownIdError`` for a map tile that does not exist.
    """
    z, x, y = (int(request.path_params[name]) for name in "zxy")
    if z > MAX_ZOOM or x >= 2**z or y >= 2**z:
        raise catalogue.UnknownIdError(f"The world has no map tile {z}/{x}/{y}.")
    return map_tile(places, z, x, y, margin)


def tiles_of(workspace: Workspace, places: Places, rows: list[int]) -> dict[int, Tile]:
    """The catalogue's rows by row of the places; one that was removed since is not there."""
    wanted = {int(places.ids[row]): row for row in rows}
    ids = list(wanted)
    found: dict[int, Tile] = {}
    with workspace.database.read() as session:
        for start in range(0, len(ids), _IDS_AT_ONCE):
            query = select(Tile).where(Tile.id.in_(ids[start : start + _IDS_AT_ONCE]))
            found |= {wanted[tile.id]: tile for tile in session.scalars(query)}
    return found


def class_tile(workspace: Workspace, request: Request, version: str, read: Callable[[Tile, int], Levels]) -> Response:
    """The map tile of the request's path over its ``collection_id``, of class rasters in the palette that it asks for.

    ``read`` gives a tile's pyramid; where it raises ``InputError`` nothing is drawn. Transparent without a class.
    """
    places = places_of(workspace, catalogue.collection(workspace, int(request.path_params["collection_id"])))
    shown = asked_map_tile(request, places)
    reader = _Reader(read, _NOTHING)

    def draw() -> bytes:
        reader.rows = tiles_of(workspace, places, [one.row for one in shown.large])
        return mask_png(draw_classes(places, shown, reader.levels), asked_palette(request))

    return reader.told(cached_picture(request, "image/png", version, draw))


class _Reader:
    """Reads the tiles of one map tile, and remembers whether all could be read."""

    def __init__(self, read: Callable[[Tile, int], Levels], blank: Levels) -> None:
        self.rows: dict[int, Tile] = {}
        self._read = read
        self._blank = blank
        self._whole = True

    def levels(self, row: int, longest: int) -> Levels:
        try:
            return self._read(self.rows[row], longest) if row in self.rows else self._blank
        except InputError:
            self._whole = False
            return self._blank

    def told(self, answer: Response) -> Response:
        """The answer; not to be kept where a file could not be read, since it may come back."""
        if not self._whole:
            answer.headers["Cache-Control"] = "no-store"
        return answer


class _GeoServer:
    def __init__(self, workspace: Workspace, pictures: TilePictures, labels: FolderMasks) -> None:
        self._workspace = workspace
        self._shared = pictures
        self._pictures = GeoPictures(workspace, pictures)
        self._labels = labels

    def pictures(self, request: Request) -> Response:
        collection, places = self._asked(request)
        display = Display.from_query(request.query_params)
        shown = asked_map_tile(request, places)
        if only := request.query_params.get("only", ""):
            shown = _only(shown, places, only)
        tiny = [one.row for one in shown.tiny]

        def find(numbers: list[int]) -> dict[int, Tile]:
            found = tiles_of(self._workspace, places, [tiny[number] for number in numbers])
            return {number: found[tiny[number]] for number in numbers if tiny[number] in found}

        def read(tile: Tile, longest: int) -> Levels:
            return self._pictures.levels(tile, display, longest)

        reader = _Reader(read, [STRIPES])

        def draw() -> bytes:
            reader.rows = tiles_of(self._workspace, places, [one.row for one in shown.large])
            specks = self._pictures.specks([places.fingerprints[row] for row in tiny], display, find)
            return _png(draw_pictures(places, shown, reader.levels, specks))

        return reader.told(cached_picture(request, "image/png", map_version(collection), draw))

    def masks(self, request: Request) -> Response:
        collection, _ = self._asked(request)
        return class_tile(self._workspace, request, map_version(collection), self._given_mask)

    def labels(self, request: Request) -> Response:
        collection, _ = self._asked(request)
        place = self._workspace.labels(collection.id)

        def read(tile: Tile, longest: int) -> Levels:
            return self._labels.levels(place / f"{tile.name}_mask.png", tile, longest)

        return class_tile(self._workspace, request, place_version(place), read)

    def outlines(self, request: Request) -> Response:
        collection, places = self._asked(request)
        shown = asked_map_tile(request, places, OUTLINE_MARGIN)
        colours = _colours(request.query_params.get("colours", ""))
        passes = read_shown(request.query_params.get("shown", ""), len(places.ids))

        def draw() -> bytes:
            known = tile_table(self._workspace, collection).tiles
            splits = np.full(len(places.ids), len(SPLITS), np.int8)
            for number in {one.row for one in (*shown.tiny, *shown.large)}:
                row = known.number_of.get(int(places.ids[number]))
                if row is not None and known.splits[row] >= 0:
                    splits[number] = known.splits[row]
            return _png(draw_outlines(places, shown, splits, colours, passes))

        return cached_picture(request, "image/png", outlines_version(collection), draw)

    def at(self, request: Request) -> Response:
        """The uppermost tile under a point, with the point's coordinates in it; else the nearest within ``reach``."""
        _, places = self._asked(request)
        longitude, latitude = _coordinate(request, "longitude"), _coordinate(request, "latitude")
        if abs(latitude) > 90:
            raise InputError("'latitude' is a point in degrees.")
        point = places.at(longitude, latitude)
        found: dict[str, Any] | None = None
        if point is not None:
            crs = point.crs if point.crs.startswith("EPSG:") else "its own CRS"
            found = {"tile": point.tile_id, "name": point.name, "crs": crs}
            found |= {"x": point.x, "y": point.y, "column": point.column, "row": point.row}
        elif "reach" in request.query_params:
            row = places.nearest(longitude, latitude, _coordinate(request, "reach"))
            found = None if row is None else {"tile": int(places.ids[row]), "name": places.names[row]}
        return JSONResponse(found, headers={"Cache-Control": CHECK_FIRST})

    def _asked(self, request: Request) -> tuple[Collection, Places]:
        collection = catalogue.collection(self._workspace, int(request.path_params["collection_id"]))
        return collection, places_of(self._workspace, collection)

    def _given_mask(self, tile: Tile, longest: int) -> Levels:
        return self._shared.mask(tile, longest) if tile.mask_path else _NOTHING


def _coordinate(request: Request, name: str) -> float:
    try:
        value = float(request.query_params.get(name, ""))
    except ValueError:
        value = math.nan
    if not abs(value) <= 1e6:
        raise InputError(f"'{name}' is a number, longitude and latitude in degrees.")
    return value


def _only(shown: MapTile, places: Places, tile_id: str) -> MapTile:
    """The map tile with a single tile, which others may hide."""
    large, tiny = (
        tuple(one for one in part if str(places.ids[one.row]) == tile_id) for part in (shown.large, shown.tiny)
    )
    return replace(shown, large=large, tiny=tiny)


def _colours(text: str) -> list[Colour]:
    if not _COLOURS.fullmatch(text):
        raise InputError("'colours' are four colours such as 2fae84: of train, val, test and of no split.")
    return [(int(one[:2], 16), int(one[2:4], 16), int(one[4:], 16)) for one in text.split(",")]


def _png(premultiplied: NDArray[np.uint8]) -> bytes:
    if not premultiplied[..., 3].any():
        return _EMPTY
    bgra = cv2.cvtColor(straight_alpha(premultiplied), cv2.COLOR_RGBA2BGRA)
    pixels = bgra[..., :3] if (bgra[..., 3] == 255).all() else bgra
    return cv2.imencode(".png", pixels, _PNG_OPTIONS)[1].tobytes()


_EMPTY = cv2.imencode(".png", np.zeros((MAP_TILE, MAP_TILE, 4), np.uint8))[1].tobytes()
