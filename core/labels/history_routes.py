"""The routes of a sheet's past: where its pixels come from, and its versions.

GET  /labels/{tile}/provenance.png     a map of the kinds of origin, unlabelled see-through
GET  /labels/{tile}/provenance.json    pixels per kind and annotator; with ?x=&y= the origin of one pixel, or {}
GET  /labels/{tile}/versions.json      the named versions, newest first
POST /labels/{tile}/versions           {"client_key", "name"}: keep the labels as they are under a name
POST /labels/{tile}/restore            {"client_key", "version"}: go back to one; the answer is that of a stroke
GET  /labels/{tile}/versions/{id}/raster.png, diff.png, diff.json      a version; how now differs from it
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.classes import ClassRaster
from core.errors import InputError
from core.labels import importing, journal, provenance, raster, versions
from core.labels.journal import Change
from core.labels.requests import Call, get_route, parse_body, post_route
from core.labels.routes import editing, iso
from core.labels.strokes import ClientKey
from core.workspace import Workspace

_NO_STORE = {"Cache-Control": "no-store"}


class VersionBody(BaseModel):
    """A request to keep a version."""

    model_config = ConfigDict(extra="forbid")
    client_key: ClientKey
    name: str = Field(max_length=1000)


class RestoreBody(BaseModel):
    """A request to go back to a version."""

    model_config = ConfigDict(extra="forbid")
    client_key: ClientKey
    version: int


def history_routes(workspace: Workspace) -> list[Route]:
    """The routes of provenance and versions."""
    return [
        get_route(workspace, "provenance.png", _provenance_map),
        get_route(workspace, "provenance.json", _provenance),
        get_route(workspace, "versions.json", _versions),
        post_route(workspace, "versions", _save),
        post_route(workspace, "restore", editing(_restore)),
        get_route(workspace, "versions/{version:int}/raster.png", _version_raster),
        get_route(workspace, "versions/{version:int}/diff.png", _diff_map),
        get_route(workspace, "versions/{version:int}/diff.json", _diff),
    ]


def _provenance_map(call: Call) -> Response:
    journal.state(call.workspace, call.tile.id, opinion=call.opinion)  # takes in what another program wrote
    return _png(provenance.encode_kinds(provenance.kinds(call.workspace, call.tile.id, call.opinion)))


def _provenance(call: Call) -> Response:
    journal.state(call.workspace, call.tile.id, opinion=call.opinion)
    if "x" in call.query or "y" in call.query:
        return _origin(call)
    shares = provenance.shares(call.workspace, call.tile.id, call.opinion)
    colours = {kind.name: kind.hex_colour for kind in provenance.KINDS}
    labelled = max(1, sum(shares.kinds.values()))
    answer = {
        "kinds": [
            {"name": name, "colour": colours[name], "pixels": pixels, "share": pixels / labelled}
            for name, pixels in shares.kinds.items()
        ],
        "annotators": [
            {"name": name, "pixels": pixels, "share": pixels / labelled} for name, pixels in shares.annotators.items()
        ],
    }
    return JSONResponse(answer, headers=_NO_STORE)


def _origin(call: Call) -> Response:
    try:
        x, y = float(call.query["x"]), float(call.query["y"])
    except (KeyError, ValueError) as error:
        raise InputError("A place is two numbers, x and y, in tile pixels.") from error
    origin = provenance.at(call.workspace, call.tile.id, x, y, opinion=call.opinion)
    answer: dict[str, Any] = {}
    if origin is not None:
        answer = {
            "kind": origin.kind.name,
            "tool": origin.tool,
            "annotator": origin.annotator,
            "when": iso(origin.when),
            "detail": origin.detail,
        }
    return JSONResponse(answer, headers=_NO_STORE)


def _versions(call: Call) -> Response:
    found = versions.listed(call.workspace, call.tile.id, opinion=call.opinion)
    return JSONResponse({"versions": [_version_json(version) for version in found]}, headers=_NO_STORE)


def _save(call: Call) -> Response:
    asked = parse_body(VersionBody, call.body)
    journal.state(call.workspace, call.tile.id, opinion=call.opinion)
    saved = versions.save(call.workspace, call.tile.id, asked.name, opinion=call.opinion, annotator=call.annotator)
    return JSONResponse(_version_json(saved))


def _restore(call: Call) -> Change:
    asked = parse_body(RestoreBody, call.body)
    return importing.restore(
        call.workspace,
        call.tile,
        asked.version,
        client_key=asked.client_key,
        opinion=call.opinion,
        annotator=call.annotator,
    )


def _version_raster(call: Call) -> Response:
    return _png(raster.encode(_then(call), see_through=True))


def _diff_map(call: Call) -> Response:
    return _png(versions.encode_diff(versions.diff_map(_then(call), _now(call))))


def _diff(call: Call) -> Response:
    found = versions.diff(_then(call), _now(call))
    colours = {change.name: "#{:02x}{:02x}{:02x}".format(*change.colour[:3]) for change in versions.CHANGES}
    answer = {
        "kinds": [{"name": name, "colour": colours[name], "pixels": n} for name, n in found.pixels.items()],
        "classes": [{"name": name, "gained": found.gained[name], "lost": found.lost[name]} for name in found.gained],
    }
    return JSONResponse(answer, headers=_NO_STORE)


def _then(call: Call) -> ClassRaster:
    return versions.load(call.workspace, call.tile, call.path["version"])


def _now(call: Call) -> ClassRaster:
    return journal.load(call.workspace, call.tile.id, opinion=call.opinion)


def _version_json(version: versions.Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "name": version.name,
        "annotator": version.annotator,
        "sequence": version.sequence,
        "created": iso(version.created),
    }


def _png(content: bytes) -> Response:
    return Response(content, media_type="image/png", headers=_NO_STORE)
