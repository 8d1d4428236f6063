"""What a browser asks for on the map of a collection: its pictures, given masks and labels, and what lies where.

All of it comes in three layouts (``core/catalog/maps/map_layouts.py``), by ``?layout=``. Masks and labels come filled,
or with ``?style=borders`` as the borders of their classes. A file that cannot be read shows as stripes.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog.maps.contact_sheet import SIDE, as_keys
from core.catalog.maps.drawing import MapDrawing, Source, asked_collection, asked_layout, sheet_path
from core.catalog.maps.map_layouts import laid_out
from core.catalog.maps.mask_map import FolderMasks, MaskMap
from core.catalog.maps.mosaic import GROUND
from core.catalog.pyramid import MAP_TILE, Levels, encode_jpeg
from core.catalog.routes import CHECK_FIRST, FOREVER, guarded
from core.catalog.splits import SPLITS
from core.catalog.tile_pictures import TilePictures
from core.catalog.tile_table import tile_table
from core.classes import UNLABELLED
from core.tables import Collection, Tile
from core.workspace import Workspace

Handler = Callable[[Request], Response]

STRIPES = np.repeat((np.add.outer(np.arange(64), np.arange(64)) // 8 % 2 * 40 + 70).astype(np.uint8)[..., None], 3, 2)
"""What is shown of a tile whose file cannot be read, (64, 64, 3)."""


def map_routes(workspace: Workspace, pictures: TilePictures, labels: FolderMasks | None = None) -> list[Route]:
    """The routes under ``/map`` for one workspace.

    An unknown collection or layout answers 404 as ``{"error": one sentence}``. With ``?v=`` equal to the content's
    version an answer may be kept for ever, else browsers ask again with their ETag.
    """
    server = _MapServer(workspace, pictures, labels or FolderMasks())
    tile = "{z:int}/{x:int}/{y:int}"
    handlers: dict[str, Handler] = {
        "tiles.json": server.tiles,
        "layout.json": server.layout,
        "prepare.json": server.prepare,
        f"{tile}.jpg": server.map_tile,
        "mask/prepare.json": lambda request: server.masks.prepare(request, server.given),
        f"mask/{tile}.png": lambda request: server.masks.map_tile(request, server.given),
        "labels/prepare.json": lambda request: server.labels.prepare(request, server.labelled),
        f"labels/{tile}.png": lambda request: server.labels.map_tile(request, server.labelled),
    }
    return [
        Route(f"/map/{{collection_id:int}}/{path}", guarded(handler), methods=["GET"])
        for path, handler in handlers.items()
    ]


class _MapServer:
    def __init__(self, workspace: Workspace, pictures: TilePictures, labels: FolderMasks) -> None:
        self._workspace = workspace
        self._pictures = pictures
        self._drawing = MapDrawing(workspace, STRIPES[:SIDE, :SIDE])
        self.masks = MaskMap(workspace)
        self.labels = MaskMap(workspace)
        self._labels = labels

    def tiles(self, request: Request) -> Response:
        """Ids, names, splits (a digit each, into train, val, test; 3: in none) and sizes, in the order of the names."""
        shown = asked_collection(self._workspace, request)
        table = tile_table(self._workspace, shown)
        content = {
            "ids": table.tiles.ids.tolist(),
            "names": [tile.name for tile in table.rows],
            "splits": "".join(str(split if split >= 0 else len(SPLITS)) for split in table.tiles.splits.tolist()),
            "widths": [tile.width for tile in table.rows],
            "heights": [tile.height for tile in table.rows],
        }
        return _kept_json(request, content, tiles_version(shown))

    def layout(self, request: Request) -> Response:
        """The grid, and which tile (by its number in ``tiles.json``) lies in each place of it."""
        shown = asked_collection(self._workspace, request)
        _, layout, mosaic = laid_out(self._workspace, shown, asked_layout(request))
        content = {
            "columns": mosaic.columns,
            "cellWidth": mosaic.cell_width,
            "cellHeight": mosaic.cell_height,
            "width": mosaic.width,
            "height": mosaic.height,
            "minZoom": mosaic.min_zoom,
            "order": layout.order.tolist(),
        }
        return _kept_json(request, content, layout.version)

    def map_tile(self, request: Request) -> Response:
        canvas = np.full((MAP_TILE, MAP_TILE, 3), GROUND, np.uint8)
        return self._drawing.map_tile(request, self._images, media_type="image/jpeg", canvas=canvas, encode=encode_jpeg)

    def prepare(self, request: Request) -> Response:
        return self._drawing.prepare(request, self._images)

    def _images(self, shown: Collection) -> Source:
        return Source(
            version="",
            sheet=sheet_path(self._workspace, shown.id, "images"),
            keys=lambda table: as_keys([tile.fingerprint for tile in table.rows]),
            read=self._pictures.picture_of,
            blank=[STRIPES],
            micro=self._pictures.micro,
        )

    def given(self, shown: Collection) -> Source:
        nothing = [np.full((1, 1), UNLABELLED, np.uint8)]

        def read(tile: Tile, longest: int) -> Levels:
            return self._pictures.mask(tile, longest) if tile.mask_path else nothing

        return Source(
            version="",
            sheet=sheet_path(self._workspace, shown.id, "masks"),
            keys=lambda table: as_keys([tile.mask_fingerprint or "" for tile in table.rows]),
            read=read,
            blank=nothing,
        )

    def labelled(self, shown: Collection) -> Source:
        return self._labels.source(
            labels_folder(self._workspace, shown), sheet_path(self._workspace, shown.id, "labels")
        )


def labels_folder(workspace: Workspace, shown: Collection) -> Path:
    """Where the labels that were painted on a collection lie."""
    return workspace.labels(shown.id)


def tiles_version(shown: Collection) -> str:
    """What ``?v=`` is for ``tiles.json``: another when the folder is indexed or any tile's row changes."""
    return f"{shown.indexed:%Y%m%d%H%M%S%f}-{shown.revision}"


def _kept_json(request: Request, content: object, version: str) -> Response:
    cache = FOREVER if request.query_params.get("v") == version else CHECK_FIRST
    return JSONResponse(content, headers={"Cache-Control": cache})
