"""Map tiles of a collection, of pictures or of class rasters: tile by tile near by, a contact sheet from far away."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.catalog import catalogue
from core.catalog.maps.contact_sheet import SIDE, ContactSheet, Keys, Sheets, micro
from core.catalog.maps.map_layouts import BY_NAME, laid_out, laid_out_as
from core.catalog.maps.mosaic import ZOOM_OFFSET, Canvas, Mosaic, Read, render, sample
from core.catalog.pyramid import MAP_TILE, Levels
from core.catalog.routes import cached_picture
from core.catalog.tile_table import TileTable
from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.tables import Collection, Tile
from core.workspace import Workspace

PATIENCE = 0.8
"""Seconds of drawing on a contact sheet that one request pays for; the browser asks again until nothing is left."""

_KEPT = 8


@dataclass(frozen=True, slots=True)
class Source:
    """What a map shows of its tiles.

    ``version`` is another whenever a picture is, beyond what the layout's version says. ``sheet`` is the file of the
    micro pictures, ``keys`` gives their keys for the tiles of a table (empty where there is nothing to show), and
    ``read`` a tile's pyramid. ``read`` raises ``InputError`` where a file cannot be read: the ``blank`` is then shown.
    ``micro`` gives a micro picture, where there is a quicker way than to shrink what ``read`` gives.
    """

    version: str
    sheet: Path
    keys: Callable[[TileTable], Keys]
    read: Read
    blank: Levels
    micro: Callable[[Tile], NDArray[np.uint8]] | None = None


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a contact sheet by place, and whether it has all that is to be shown."""

    sheet: ContactSheet
    by_place: NDArray[np.intp]
    whole: bool


class MapDrawing:
    """Answers for one kind of source (pictures, or classes of one origin). Safe between threads."""

    def __init__(self, workspace: Workspace, blank: NDArray[np.uint8]) -> None:
        """``blank`` is the micro picture of a tile that has none."""
        self._workspace = workspace
        self._sheets = Sheets(blank)
        self._rows: dict[tuple[Path, str, str], _Rows] = {}

    def map_tile(
        self,
        request: Request,
        source_of: Callable[[Collection], Source],
        *,
        media_type: str,
        canvas: Canvas,
        encode: Callable[[Canvas], bytes],
    ) -> Response:
        """The map tile of the request's path and ``?layout=``, drawn on ``canvas``; 404 beyond the map.

        Raises ``UnknownIdError`` for a collection or a layout that is not there.
        """
        version = request.query_params.get("v", "").rpartition(".")[2]
        collection_id = int(request.path_params["collection_id"])
        laid = laid_out_as(self._workspace, collection_id, asked_layout(request), version)
        shown, table, layout, mosaic = laid.collection, laid.table, laid.layout, laid.mosaic
        source = source_of(shown)
        zoom = int(request.path_params["z"]) - ZOOM_OFFSET
        x, y = int(request.path_params["x"]), int(request.path_params["y"])
        side = MAP_TILE * 2.0**-zoom
        if not mosaic.min_zoom <= zoom <= 0 or x * side >= mosaic.width or y * side >= mosaic.height:
            return JSONResponse({"error": f"The map of {shown.name} has no map tile {zoom}/{x}/{y}."}, 404)
        whole = True

        def draw() -> bytes:
            nonlocal whole
            if is_far(mosaic, zoom):
                rows = self._rows_of(table, mosaic, source, layout.version)
                sample(mosaic, zoom, x, y, sheet=rows.sheet, rows=rows.by_place, canvas=canvas)
                whole = rows.whole
            else:
                reader = _Reader(source)
                render(mosaic, zoom, x, y, read=reader.read, canvas=canvas)
                whole = reader.whole
            return encode(canvas)

        answer = cached_picture(request, media_type, full_version(source.version, layout.version), draw)
        if not whole:  # a file may come back, a sheet will be filled
            answer.headers["Cache-Control"] = "no-store"
        return answer

    def prepare(self, request: Request, source_of: Callable[[Collection], Source]) -> Response:
        """Fill the contact sheet for a moment, where this map is ever seen from so far: ``{"left", "of"}`` in tiles."""
        shown = asked_collection(self._workspace, request)
        table, _, mosaic = laid_out(self._workspace, shown, BY_NAME)
        source, left = source_of(shown), 0
        if is_far(mosaic, mosaic.min_zoom):
            draw = source.micro or (lambda tile: micro(_fitting(source.read(tile, SIDE))))
            left = self._sheets.fill(
                source.sheet, source.keys(table), lambda number: draw(table.rows[number]), PATIENCE
            )
        return JSONResponse({"left": left, "of": len(table.rows)}, headers={"Cache-Control": "no-store"})

    def _rows_of(self, table: TileTable, mosaic: Mosaic, source: Source, layout_version: str) -> _Rows:
        sheet = self._sheets.get(source.sheet)
        key = (source.sheet, source.version, layout_version)
        known = self._rows.get(key)
        if known is None or known.sheet is not sheet:
            keys = source.keys(table)
            whole = self._sheets.missing(source.sheet, keys) == 0
            while len(self._rows) >= _KEPT:
                self._rows.pop(next(iter(self._rows)), None)
            known = self._rows[key] = _Rows(sheet, sheet.rows_of(keys)[mosaic.order], whole)
        return known


class _Reader:
    """Reads through a source, and remembers whether all could be read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.whole = True

    def read(self, tile: Tile, longest: int) -> Levels:
        try:
            return self._source.read(tile, longest)
        except InputError:
            self.whole = False
            return self._source.blank


def is_far(mosaic: Mosaic, zoom: int) -> bool:
    """Whether no tile is larger than its micro picture at this zoom."""
    return bool(mosaic.places) and float(mosaic.sizes.max()) * 2.0**zoom <= SIDE


def full_version(source_version: str, layout_version: str) -> str:
    """What ``?v=`` is for the map tiles of a source in a layout."""
    return f"{source_version}.{layout_version}" if source_version else layout_version


def asked_collection(workspace: Workspace, request: Request) -> Collection:
    """The collection of the request's path. Raises ``UnknownIdError``."""
    return catalogue.collection(workspace, int(request.path_params["collection_id"]))


def asked_layout(request: Request) -> str:
    """The kind of layout that an address asks for by ``?layout=``; by name where it does not."""
    return request.query_params.get("layout", "") or BY_NAME


def asked_margin(request: Request) -> int:
    """Pixels that are drawn beyond each side of a class raster: one where ``?style=borders`` asks for borders only."""
    return 1 if request.query_params.get("style") == "borders" else 0


def class_borders(raster: ClassRaster) -> ClassRaster:
    """Only the pixels that touch another class, (H - 2, W - 2) of an (H, W) raster; all others unlabelled."""
    inner = raster[1:-1, 1:-1]
    beside = (raster[:-2, 1:-1], raster[2:, 1:-1], raster[1:-1, :-2], raster[1:-1, 2:])
    touches = np.logical_or.reduce([inner != other for other in beside])
    return np.where(touches, inner, np.uint8(UNLABELLED))


def sheet_path(workspace: Workspace, collection_id: int, what: str) -> Path:
    """The file of a contact sheet; ``what`` is a word."""
    return workspace.thumbnails / "sheets" / f"{collection_id}-{what}.npy"


def _fitting(levels: Levels) -> NDArray[np.uint8]:
    """The smallest level that is no smaller than a micro picture."""
    return next((level for level in reversed(levels) if min(level.shape[:2]) >= SIDE), levels[0])
