"""The server's routes for painting. The canvas talks to them with fetch, so a brush never waits for a page to rerun.

GET  /labels/{tile}/raster.png    the class raster as palette PNG, unlabelled transparent
GET  /labels/{tile}/state.json    counts, undo and redo depth, when it was last saved
GET  /labels/{tile}/elsewhere.json    labelled instances per class on the other tiles of the collection
POST /labels/{tile}/strokes       a stroke; the answer holds the changed box as it is on disk now
POST /labels/{tile}/undo, redo, import, clear     {"client_key"}; the same answer

Errors are ``{"error": one sentence}``: 404 no such tile, 403 another site's page, 415 or 413 not our kind of body,
422 a stroke that cannot be painted, 507 the disk cannot be written (the browser keeps the stroke and tries again).
"""

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog.catalogue import tiles
from core.database import Tile
from core.errors import InputError
from core.labels import importing, journal, raster
from core.labels.amounts import LabelSource, amounts
from core.labels.strokes import ClientKey, parse_stroke
from core.workspace import Workspace

MAX_BODY_BYTES = 512 * 1024  # a stroke of 5,000 points takes some 100 KB


class _Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """A request answered with an error status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Step(BaseModel):
    """The body of undo, redo, import and clear."""

    model_config = ConfigDict(extra="forbid")
    client_key: ClientKey


_Handler = Callable[[Workspace, Tile, bytes], Response]


def label_routes(workspace: Workspace) -> list[Route]:
    """All routes under ``/labels``, on this workspace."""

    def get(path: str, handler: _Handler) -> Route:
        return Route(f"/labels/{{tile_id:int}}/{path}", _endpoint(workspace, handler, writes=False), methods=["GET"])

    def post(path: str, handler: _Handler) -> Route:
        return Route(f"/labels/{{tile_id:int}}/{path}", _endpoint(workspace, handler, writes=True), methods=["POST"])

    return [
        get("raster.png", _raster),
        get("state.json", _state),
        get("elsewhere.json", _elsewhere),
        post("strokes", _stroke),
        post("undo", _undo),
        post("redo", _redo),
        post("import", _import),
        post("clear", _clear),
    ]


def _endpoint(workspace: Workspace, handler: _Handler, *, writes: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _checked_body(request) if writes else b""
            return await run_in_threadpool(_answer, workspace, request.path_params["tile_id"], handler, body)
        except _Refusal as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status)

    return endpoint


def _answer(workspace: Workspace, tile_id: int, handler: _Handler, body: bytes) -> Response:
    with workspace.database.read() as session:
        tile = session.get(Tile, tile_id)
    if tile is None:
        raise _Refusal(404, f"There is no tile {tile_id} in this workspace; choose one from the list.")
    try:
        return handler(workspace, tile, body)
    except InputError as error:
        raise _Refusal(507 if isinstance(error, raster.NotSavedError) else 422, str(error)) from error


async def _checked_body(request: Request) -> bytes:
    """The request's body, if it is JSON, from our own page, and small enough."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise _Refusal(403, "Labels can be changed from Tilewright's own pages only.")
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise _Refusal(415, "Labels are sent as application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _Refusal(413, f"A stroke may be at most {MAX_BODY_BYTES // 1024} KB; draw it in parts.")
    return bytes(body)


def _raster(workspace: Workspace, tile: Tile, _body: bytes) -> Response:
    png = raster.encode(journal.load(workspace, tile.id), see_through=True)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


def _state(workspace: Workspace, tile: Tile, _body: bytes) -> Response:
    return JSONResponse(_state_json(journal.state(workspace, tile.id)), headers={"Cache-Control": "no-store"})


def _elsewhere(workspace: Workspace, tile: Tile, _body: bytes) -> Response:
    others = [other for other in tiles(workspace, tile.collection_id) if other.id != tile.id]
    counted = amounts(workspace, others, LabelSource.PAINTED)
    answer = {"instances": [amount.instances for amount in counted.values()]}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _stroke(workspace: Workspace, tile: Tile, body: bytes) -> Response:
    return _change_json(journal.apply(workspace, tile.id, parse_stroke(body)))


def _undo(workspace: Workspace, tile: Tile, body: bytes) -> Response:
    return _change_json(journal.undo(workspace, tile.id, _key(body)))


def _redo(workspace: Workspace, tile: Tile, body: bytes) -> Response:
    return _change_json(journal.redo(workspace, tile.id, _key(body)))


def _import(workspace: Workspace, tile: Tile, body: bytes) -> Response:
    return _change_json(importing.copy_given_mask(workspace, tile, client_key=_key(body)))


def _clear(workspace: Workspace, tile: Tile, body: bytes) -> Response:
    return _change_json(importing.clear(workspace, tile, client_key=_key(body)))


def _key(body: bytes) -> str:
    try:
        return _Step.model_validate_json(body).client_key
    except ValidationError as error:
        raise InputError("The request was not understood; reload the page and try again.") from error


def _state_json(state: journal.State) -> dict[str, Any]:
    return {
        "sequence": state.sequence,
        "saved_at": None if state.saved_at is None else state.saved_at.replace(tzinfo=UTC).isoformat(),
        "server_time": datetime.now(UTC).isoformat(),
        "counts": [{"name": name, "instances": c.instances, "pixels": c.pixels} for name, c in state.counts.items()],
        "undo": state.undo,
        "redo": state.redo,
    }


def _change_json(change: journal.Change) -> JSONResponse:
    answer = _state_json(change.state) | {"previous": change.previous, "box": None, "patch": None}
    if change.box is not None and change.patch is not None:
        box = change.box
        answer["box"] = {"top": box.top, "left": box.left, "height": box.height, "width": box.width}
        answer["patch"] = base64.b64encode(raster.encode(change.patch, see_through=True)).decode()
    return JSONResponse(answer)
