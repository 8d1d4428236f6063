"""The server's routes for painting. The canvas talks to them with fetch, so a brush never waits for a page to rerun.

GET  /labels/{tile}/raster.png    the class raster as palette PNG, unlabelled transparent
GET  /labels/{tile}/state.json    counts, undo and redo depth, when it was last saved
GET  /labels/{tile}/elsewhere.json    labelled instances per class on the other tiles of the collection
POST /labels/{tile}/strokes       a stroke; the answer holds the changed box as it is on disk now
POST /labels/{tile}/undo, redo, import, clear     {"client_key"}; the same answer
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog.catalogue import tiles
from core.labels import changes, importing, journal, raster, tile_locks
from core.labels.amounts import LabelSource, amounts
from core.labels.journal import Change
from core.labels.requests import Call, Handler, KeyedBody, get_route, parse_body, post_route
from core.labels.strokes import parse_stroke
from core.workspace import Workspace


def label_routes(workspace: Workspace) -> list[Route]:
    """The routes of the class raster and its journal."""
    return [
        get_route(workspace, "raster.png", _raster),
        get_route(workspace, "state.json", _state),
        get_route(workspace, "elsewhere.json", _elsewhere),
        post_route(workspace, "strokes", editing(_stroke)),
        post_route(workspace, "undo", editing(_undo)),
        post_route(workspace, "redo", editing(_redo)),
        post_route(workspace, "import", editing(_import)),
        post_route(workspace, "clear", editing(_clear)),
    ]


def editing(act: Callable[[Call], Change]) -> Handler:
    """A handler that changes labels: where the tab may, and then everybody who listens hears of it."""

    def handler(call: Call) -> Response:
        tile_locks.check(call.workspace, call.tile.id, call.opinion, call.annotator, call.tab)
        change = act(call)
        if change.box is not None:
            changes.announce(call.workspace, call.tile.id, call.opinion)
        return _change_json(change)

    return handler


def _raster(call: Call) -> Response:
    png = raster.encode(journal.load(call.workspace, call.tile.id, opinion=call.opinion), see_through=True)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


def _state(call: Call) -> Response:
    state = journal.state(call.workspace, call.tile.id, opinion=call.opinion)
    return JSONResponse(_state_json(state), headers={"Cache-Control": "no-store"})


def _elsewhere(call: Call) -> Response:
    others = [other for other in tiles(call.workspace, call.tile.collection_id) if other.id != call.tile.id]
    counted = amounts(call.workspace, others, LabelSource.PAINTED)
    answer = {"instances": [amount.instances for amount in counted.values()]}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _stroke(call: Call) -> Change:
    stroke = parse_stroke(call.body)
    return journal.apply(
        call.workspace,
        call.tile.id,
        stroke,
        opinion=call.opinion,
        annotator=call.annotator,
        admit=lambda session: tile_locks.check_again(session, call.tile.id, call.opinion, call.annotator, call.tab),
    )


def _undo(call: Call) -> Change:
    return journal.undo(call.workspace, call.tile.id, _key(call), opinion=call.opinion)


def _redo(call: Call) -> Change:
    return journal.redo(call.workspace, call.tile.id, _key(call), opinion=call.opinion)


def _import(call: Call) -> Change:
    return importing.copy_given_mask(
        call.workspace, call.tile, client_key=_key(call), opinion=call.opinion, annotator=call.annotator
    )


def _clear(call: Call) -> Change:
    return importing.clear(
        call.workspace, call.tile, client_key=_key(call), opinion=call.opinion, annotator=call.annotator
    )


def _key(call: Call) -> str:
    return parse_body(KeyedBody, call.body).client_key


def iso(moment: datetime) -> str:
    """A time of the database, which is UTC without saying so, as the browser reads it."""
    return moment.replace(tzinfo=UTC).isoformat()


def _state_json(state: journal.State) -> dict[str, Any]:
    return {
        "sequence": state.sequence,
        "saved_at": None if state.saved_at is None else iso(state.saved_at),
        "server_time": datetime.now(UTC).isoformat(),
        "counts": [{"name": name, "instances": c.instances, "pixels": c.pixels} for name, c in state.counts.items()],
        "undo": state.undo,
        "redo": state.redo,
    }


def _change_json(change: Change) -> JSONResponse:
    answer = _state_json(change.state) | {"previous": change.previous, "box": None, "patch": None}
    if change.box is not None and change.patch is not None:
        box = change.box
        answer["box"] = {"top": box.top, "left": box.left, "height": box.height, "width": box.width}
        answer["patch"] = base64.b64encode(raster.encode(change.patch, see_through=True)).decode()
    return JSONResponse(answer)
