"""The routes of several people at one server: locks, the status of a tile, second opinions and how far they agree.

POST /labels/{tile}/lock      {"take_over"}: take or renew the tab's lock; says who holds it and where the tile stands
POST /labels/{tile}/unlock    {}: give the lock back
POST /labels/{tile}/status    {"status", "comment"}: one step of ``work_status.STEPS``
GET  /labels/{tile}/opinions.json              who has a second opinion on this tile
GET  /labels/{tile}/agreement.png?with=NAME    the agreement map of the labels and NAME's opinion
GET  /labels/{tile}/agreement.json?with=NAME   Cohen's kappa, overall and per class
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import InputError
from core.labels import agreement, changes, tile_locks, work_status
from core.labels.annotators import annotator_name
from core.labels.requests import Call, get_route, parse_body, post_route
from core.labels.work_status import MAX_COMMENT_LETTERS, Status
from core.workspace import Workspace

_NO_STORE = {"Cache-Control": "no-store"}


class LockBody(BaseModel):
    """A request for a lock; ``take_over``: whoever holds it."""

    model_config = ConfigDict(extra="forbid")
    take_over: bool = False


class NoBody(BaseModel):
    """A body that says nothing."""

    model_config = ConfigDict(extra="forbid")


class StatusBody(BaseModel):
    """A step of a tile's status."""

    model_config = ConfigDict(extra="forbid")
    status: Status
    comment: str = Field(default="", max_length=4 * MAX_COMMENT_LETTERS)


def team_routes(workspace: Workspace) -> list[Route]:
    """The routes; from now on, a change of labels in this process also puts its tile in work."""
    _follow_changes()
    return [
        post_route(workspace, "lock", _lock),
        post_route(workspace, "unlock", _unlock),
        post_route(workspace, "status", _status),
        get_route(workspace, "opinions.json", _opinions),
        get_route(workspace, "agreement.png", _agreement_map),
        get_route(workspace, "agreement.json", _agreement),
    ]


@cache
def _follow_changes() -> None:
    """Once a process, however many workspaces it serves."""
    changes.listen(work_status.labels_changed)


def _lock(call: Call) -> Response:
    if call.tab is None:
        raise InputError("A lock belongs to a browser tab; reload the page, then it sends its key.")
    take = tile_locks.take_over if parse_body(LockBody, call.body).take_over else tile_locks.take
    held = take(call.workspace, call.tile.id, call.opinion, annotator=call.annotator, tab=call.tab)
    return JSONResponse({"mine": held.mine, "holder": _holder_json(held.holder, call)} | _work_json(call))


def _unlock(call: Call) -> Response:
    parse_body(NoBody, call.body)
    if call.tab is not None:
        tile_locks.release(call.workspace, call.tile.id, call.opinion, tab=call.tab)
    return JSONResponse({"mine": False, "holder": None} | _work_json(call))


def _status(call: Call) -> Response:
    asked = parse_body(StatusBody, call.body)
    work_status.set_status(call.workspace, call.tile.id, asked.status, annotator=call.annotator, comment=asked.comment)
    return JSONResponse(_work_json(call))


def _opinions(call: Call) -> Response:
    return JSONResponse({"opinions": agreement.opinions(call.workspace, call.tile.id)}, headers=_NO_STORE)


def _agreement_map(call: Call) -> Response:
    png = agreement.encode_map(agreement.agreement_map(*_both(call)))
    return Response(png, media_type="image/png", headers=_NO_STORE)


def _agreement(call: Call) -> Response:
    found = agreement.agree(*_both(call))
    answer = {
        "kappa": found.kappa,
        "kappa_by_class": found.kappa_by_class,
        "agreement": found.agreement,
        "both_labelled_pixels": found.both_labelled_pixels,
    }
    return JSONResponse(answer, headers=_NO_STORE)


def _both(call: Call) -> agreement.Both:
    return agreement.both(call.workspace, call.tile.id, annotator_name(call.query.get("with", "")))


def _holder_json(holder: tile_locks.Holder, call: Call) -> dict[str, Any]:
    return {
        "annotator": holder.annotator,
        "same_person": holder.annotator == call.annotator,
        "since": _iso(holder.since),
        "expires": _iso(holder.expires),
    }


def _work_json(call: Call) -> dict[str, Any]:
    found = work_status.work(call.workspace, call.tile.id)
    return {"status": found.status, "comment": found.comment}


def _iso(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).isoformat()
