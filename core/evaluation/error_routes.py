"""What a browser asks for about errors: the pixels that were confused, crops of false positives, confidence layers.

GET /errors/{run}/{key}/{tile}/{true}-{predicted}.png    those pixels outlined, clear elsewhere, at the tile's size
GET /errors/{run}/{key}/{tile}/{predicted}.jpg    a crop of the image (?top, left, height, width: the region) with that
                                                  false positive of a class outlined in it
GET /confidence/{run}/{key}/{tile}/{layer}.png    'confidence' or 'entropy', from 0 to 1 in the colour map

Classes are 0 to 5, and 255 for predicted unlabelled. A run, key or tile that is not there answers 404 and a sentence.
"""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.catalog.catalogue import tile
from core.catalog.images import read_image
from core.catalog.pyramid import LevelCache, encode_jpeg
from core.catalog.routes import cached_picture
from core.classes import CLASS_COUNT
from core.errors import InputError
from core.evaluation.confidence_files import Layer, layer_path
from core.evaluation.error_regions import (
    PREDICTIONS,
    JudgedTile,
    Mask,
    confused,
    false_alarms,
    judged_tile,
    outlined_png,
)
from core.inference.prediction_routes import prediction_folder
from core.inference.switches import Switches
from core.labels.strokes import Box
from core.tables import Tile
from core.workspace import Workspace

CROP = 224
"""Side of a crop, pixels."""

_LEAST_SIDE = 96  # pixels of the tile: a small region is shown with what lies around it
_AROUND = 1.6  # a crop is so many times as wide as its region
_PICTURE_BYTES = 128 * 2**20
_BORDER = (255, 45, 149)

Handler = Callable[[Request], Response]


def confused_url(run: str, switches: Switches, tile_id: int, *, true_class: int, predicted: int, version: str) -> str:
    """The address of the picture of the pixels of one class that were predicted as another."""
    return f"/errors/{run}/{switches.key}/{tile_id}/{true_class}-{predicted}.png?v={version}"


def crop_url(run: str, switches: Switches, tile_id: int, *, predicted: int, box: Box) -> str:
    """The address of the crop around a false positive."""
    where = f"top={box.top}&left={box.left}&height={box.height}&width={box.width}"
    return f"/errors/{run}/{switches.key}/{tile_id}/{predicted}.jpg?{where}"


def layer_url(run: str, switches: Switches, tile_id: int, layer: Layer) -> str:
    """The address of a tile's confidence or entropy."""
    return f"/confidence/{run}/{switches.key}/{tile_id}/{layer}.png"


def error_routes(workspace: Workspace) -> list[BaseRoute]:
    """The routes under ``/errors`` and ``/confidence``."""
    images = LevelCache(max_bytes=_PICTURE_BYTES)

    def outlined(request: Request) -> Response:
        _, judged = _judged(workspace, request)
        true_class, predicted = request.path_params["true"], request.path_params["predicted"]
        if true_class >= CLASS_COUNT or predicted not in PREDICTIONS:
            raise InputError("Classes are 0 to 5, and 255 for predicted unlabelled; reload the page.")
        return cached_picture(
            request, "image/png", judged.version, lambda: outlined_png(confused(judged, true_class, predicted))
        )

    def crop(request: Request) -> Response:
        shown, judged = _judged(workspace, request)
        predicted = request.path_params["predicted"]
        if predicted >= CLASS_COUNT:
            raise InputError("Classes are 0 to 5; reload the page.")
        box = _box(request, shown)

        def draw() -> bytes:
            picture = images.get(shown.fingerprint, lambda: read_image(Path(shown.image_path)))[0]
            return _crop(np.asarray(picture), judged, predicted, box)

        return cached_picture(request, "image/jpeg", f"{judged.version}-{box.top}-{box.left}-{predicted}", draw)

    def layer(request: Request) -> Response:
        where = request.path_params
        shown = tile(workspace, where["tile_id"])
        prediction_folder(workspace, where["run"], where["key"], shown.collection_id)  # checks both
        folder = workspace.evaluations / where["run"] / "confidence" / where["key"] / str(shown.collection_id)
        if where["layer"] not in get_args(Layer):
            raise InputError(f"There is no layer {where['layer'][:20]!r}; reload the page.")
        path = layer_path(folder, shown.name, where["layer"])
        if not path.is_file():
            raise InputError("This has not been computed yet.")
        return FileResponse(path, media_type="image/png", headers={"Cache-Control": "no-cache"})

    return [
        Route("/errors/{run}/{key}/{tile_id:int}/{true:int}-{predicted:int}.png", _guarded(outlined)),
        Route("/errors/{run}/{key}/{tile_id:int}/{predicted:int}.jpg", _guarded(crop)),
        Route("/confidence/{run}/{key}/{tile_id:int}/{layer}.png", _guarded(layer)),
    ]


def _guarded(handler: Handler) -> Handler:
    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 404, headers={"Cache-Control": "no-store"})

    return answer


def _judged(workspace: Workspace, request: Request) -> tuple[Tile, JudgedTile]:
    where = request.path_params
    shown = tile(workspace, where["tile_id"])
    path = prediction_folder(workspace, where["run"], where["key"], shown.collection_id) / f"{shown.name}_mask.png"
    if not path.is_file():
        raise InputError("This prediction has not been made yet.")
    return shown, judged_tile(workspace, where["run"], shown, path)


def _box(request: Request, shown: Tile) -> Box:
    """The region that the query names, within the tile."""
    sides = {}
    for name in ("top", "left", "height", "width"):
        text = request.query_params.get(name, "")
        if not text.isdecimal() or len(text) > 6:
            raise InputError(f"'{name}' is a whole number of pixels; reload the page.")
        sides[name] = int(text)
    box = Box(**sides)
    inside = box.top + box.height <= shown.height and box.left + box.width <= shown.width
    if not inside or not box.height or not box.width:
        raise InputError(f"There is no such region in tile {shown.name}; reload the page.")
    return box


def _crop(picture: NDArray[np.uint8], judged: JudgedTile, predicted: int, box: Box) -> bytes:
    """A square around the region, which is outlined in it; at the edge of the tile the square is moved inwards."""
    height, width = picture.shape[:2]
    side = min(height, width, max(_LEAST_SIDE, round(_AROUND * max(box.height, box.width))))
    top = int(np.clip(box.top + (box.height - side) // 2, 0, height - side))
    left = int(np.clip(box.left + (box.width - side) // 2, 0, width - side))
    window = (slice(top, top + side), slice(left, left + side))
    part = JudgedTile(judged.truth[window], judged.prediction[window], judged.version)
    inside = _largest_within(false_alarms(part, predicted), Box(box.top - top, box.left - left, box.height, box.width))
    small = cv2.resize(picture[window], (CROP, CROP), interpolation=cv2.INTER_AREA if side > CROP else cv2.INTER_CUBIC)
    mask = cv2.resize(inside, (CROP, CROP), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    drawn = np.ascontiguousarray(small, np.uint8)
    cv2.drawContours(drawn, outlines, -1, _BORDER, 2)
    return encode_jpeg(drawn)


def _largest_within(mask: Mask, box: Box) -> NDArray[np.uint8]:
    """Of the connected regions of a mask the one with most pixels in the box: 1 there, 0 elsewhere."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    pixels = np.bincount(labels[box.slices].ravel())
    pixels[0] = 0
    return np.asarray((labels == pixels.argmax()) & mask, np.uint8)
