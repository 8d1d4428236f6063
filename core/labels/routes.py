"""The server's routes for painting. The canvas talks to them with fetch, so a brush never waits for a page to rerun.

GET  /labels/{tile}/raster.png    the class raster as palette PNG, unlabelled transparent
GET  /labels/{tile}/state.json    counts, undo and redo depth, when it was last saved
GET  /labels/{tile}/elsewhere.json    labelled instances per class on the other tiles of the collection
POST /labels/{tile}/strokes       a stroke; the answer holds the changed box as it is on disk now
POST /labels/{tile}/undo, redo, import, clear     {"client_key"}; the same answer
"""

import base64
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog.catalogue import tiles
from core.labels import importing, journal, raster
from core.labels.amounts import LabelSource, amounts
from core.labels.requests import Call, KeyedBody, get_route, parse_body, post_route
from core.labels.strokes import parse_stroke
from core.workspace import Workspace


def label_routes(workspace: Workspace) -> list[Route]:
    """The routes of the class raster and its journal."""
    return [
        get_route(workspace, "raster.png", _raster),
        get_route(workspace, "state.json", _state),
        get_route(workspace, "elsewhere.json", _elsewhere),
        post_route(workspace, "strokes", _stroke),
        post_route(workspace, "undo", _undo),
        post_route(workspace, "redo", _redo),
        post_route(workspace, "import", _import),
        post_route(workspace, "clear", _clear),
    ]


def _raster(call: Call) -> Response:
    png = raster.encode(journal.load(call.workspace, call.tile.id), see_through=True)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


def _state(call: Call) -> Response:
    state = journal.state(call.workspace, call.tile.id)
    return JSONResponse(_state_json(state), headers={"Cache-Control": "no-store"})


def _elsewhere(call: Call) -> Response:
    others = [other for other in tiles(call.workspace, call.tile.collection_id) if other.id != call.tile.id]
    counted = amounts(call.workspace, others, LabelSource.PAINTED)
    answer = {"instances": [amount.instances for amount in counted.values()]}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _stroke(call: Call) -> Response:
    return _change_json(journal.apply(call.workspace, call.tile.id, parse_stroke(call.body), annotator=call.annotator))


def _undo(call: Call) -> Response:
    return _change_json(journal.undo(call.workspace, call.tile.id, _key(call)))


def _redo(call: Call) -> Response:
    return _change_json(journal.redo(call.workspace, call.tile.id, _key(call)))


def _import(call: Call) -> Response:
    return _change_json(importing.copy_given_mask(call.workspace, call.tile, client_key=_key(call)))


def _clear(call: Call) -> Response:
    return _change_json(importing.clear(call.workspace, call.tile, client_key=_key(call)))


def _key(call: Call) -> str:
    return parse_body(KeyedBody, call.body).client_key


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
