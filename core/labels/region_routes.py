"""The routes of the tools that find a region by themselves: superpixels and click-to-mask.

GET  /labels/{tile}/superpixels/{grain}.png    pieces at half resolution, number = r + 256 g + 65536 b; 202 while cut
GET  /labels/{tile}/click.json    whether click-to-mask is there, and whether it has seen this tile
POST /labels/{tile}/click    {"points", "signs"}: the mask that these clicks ask for; 503 where there is no model
POST /labels/{tile}/ahead    {"tiles"}: prepare this tile and then these; the answer is click.json
"""

import base64
import io
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import InputError
from core.labels import click_to_mask, superpixels
from core.labels.ahead import EMBEDDINGS, MAX_TILES, SUPERPIXELS, ahead_of
from core.labels.requests import Call, RefusedError, get_route, parse_body, post_route
from core.labels.strokes import Coordinate
from core.tables import Tile
from core.workspace import Workspace

MAX_CLICKS = 50

_NOT_KEPT = {"Cache-Control": "no-store"}


class ClickBody(BaseModel):
    """Clicks in their order: (x, y) in tile pixels, and for each 1 to add or 0 to take away."""

    model_config = ConfigDict(extra="forbid")
    points: list[tuple[Coordinate, Coordinate]] = Field(min_length=1, max_length=MAX_CLICKS)
    signs: list[Literal[0, 1]] = Field(min_length=1, max_length=MAX_CLICKS)


class AheadBody(BaseModel):
    """The tiles that come next, the nearest first."""

    model_config = ConfigDict(extra="forbid")
    tiles: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(max_length=MAX_TILES)


def region_routes(workspace: Workspace) -> list[Route]:
    """The routes; the worker behind them starts when a canvas first asks."""
    return [
        get_route(workspace, "superpixels/{grain}.png", _superpixels),
        get_route(workspace, "click.json", _click_state),
        post_route(workspace, "click", _click),
        post_route(workspace, "ahead", _ahead),
    ]


def pieces_png(ids: NDArray[np.int32]) -> bytes:
    """Piece numbers (h, w) as a 24-bit RGB PNG: number = red + 256 green + 65536 blue."""
    bgr = np.stack([ids >> 16, ids >> 8 & 255, ids & 255], axis=-1).astype(np.uint8)
    return bytes(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """A bool mask (h, w) as a PNG of one bit a pixel that is white inside and transparent outside."""
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "png", compress_level=1, transparency=0)
    return stream.getvalue()


def _superpixels(call: Call) -> Response:
    grain = str(call.path["grain"])
    if grain in superpixels.GRAINS and not superpixels.is_ready(call.workspace, call.tile):
        worker = ahead_of(call.workspace)
        failure = worker.failure(call.tile, SUPERPIXELS)
        if failure is not None:
            raise InputError(failure)
        if not worker.wishes(call.tile):
            worker.wish([call.tile])
        return JSONResponse({"state": "computing"}, 202, headers=_NOT_KEPT)
    png = pieces_png(superpixels.ids(call.workspace, call.tile, grain))
    return Response(png, media_type="image/png", headers=_NOT_KEPT)


def _click_state(call: Call) -> Response:
    reason = click_to_mask.available()
    if reason is None:
        reason = ahead_of(call.workspace).failure(call.tile, EMBEDDINGS)
    if reason is not None:
        state = "unavailable"
    else:
        state = "ready" if click_to_mask.is_ready(call.workspace, call.tile) else "embedding"
    return JSONResponse({"available": reason is None, "reason": reason, "state": state}, headers=_NOT_KEPT)


def _click(call: Call) -> Response:
    reason = click_to_mask.available()
    if reason is not None:
        raise RefusedError(503, reason)
    body = parse_body(ClickBody, call.body)
    answer = click_to_mask.click(call.workspace, call.tile, points=body.points, signs=body.signs)
    box = answer.box
    content = {
        "box": {"top": box.top, "left": box.left, "height": box.height, "width": box.width},
        "mask": base64.b64encode(mask_png(answer.mask)).decode(),
        "score": round(answer.score, 4),
        "seconds": round(answer.seconds, 4),
    }
    return JSONResponse(content, headers=_NOT_KEPT)


def _ahead(call: Call) -> Response:
    wanted = [call.tile.id, *parse_body(AheadBody, call.body).tiles]
    with call.workspace.database.read() as session:
        tiles = [session.get(Tile, tile_id) for tile_id in dict.fromkeys(wanted)]
    ahead_of(call.workspace).wish([tile for tile in tiles if tile is not None])
    return _click_state(call)
