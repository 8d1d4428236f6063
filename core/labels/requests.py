"""What every route under ``/labels`` shares: who asks, for which tile, with what body, and how a refusal is answered.

Who asks comes in headers that the canvas sends: ``X-Tilewright-Annotator`` (a name, percent-encoded) and
``X-Tilewright-Tab`` (a key made by the browser tab). ``?opinion=1`` means the caller's own second opinion instead of
the tile's labels. Errors are ``{"error": one sentence}``: 404 no such tile, 403 another site's page, 415 or 413 not
our kind of body, 422 something that cannot be done, 507 the disk cannot be written (the browser keeps what it sent and
tries again).
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import InputError, NotSavedError
from core.labels.annotators import annotator_name
from core.labels.strokes import ClientKey
from core.tables import Tile
from core.workspace import Workspace

MAX_BODY_BYTES = 512 * 1024  # a stroke of 5,000 points takes some 100 KB
_Body = TypeVar("_Body", bound=BaseModel)
_TAB = re.compile(r"[0-9A-Za-z-]{8,64}")


class RefusedError(Exception):
    """A request that is answered with an error status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """One request about a tile's labels.

    ``path`` holds what the route's path names besides the tile, ``query`` what comes behind its question mark.
    ``annotator`` is who asks, ``tab`` the key of their browser tab (None: not sent, as by a script), ``opinion`` the
    empty string for the tile's labels, or the annotator whose second opinion is meant.
    """

    workspace: Workspace
    tile: Tile
    body: bytes
    path: dict[str, Any]
    query: dict[str, str]
    annotator: str
    tab: str | None
    opinion: str


class KeyedBody(BaseModel):
    """A body that holds nothing but the operation's key."""

    model_config = ConfigDict(extra="forbid")
    client_key: ClientKey


Handler = Callable[[Call], Response]


def get_route(workspace: Workspace, path: str, handler: Handler) -> Route:
    """``GET /labels/{tile}/path``."""
    return Route(f"/labels/{{tile_id:int}}/{path}", _endpoint(workspace, handler, writes=False), methods=["GET"])


def post_route(workspace: Workspace, path: str, handler: Handler) -> Route:
    """``POST /labels/{tile}/path``, with a JSON body from our own pages."""
    return Route(f"/labels/{{tile_id:int}}/{path}", _endpoint(workspace, handler, writes=True), methods=["POST"])


def parse_body(kind: type[_Body], body: bytes) -> _Body:
    """Read a JSON body. Raises ``InputError`` for one that is not understood."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise InputError("The request was not understood; reload the page and try again.") from error


def _endpoint(workspace: Workspace, handler: Handler, *, writes: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _checked_body(request) if writes else b""
            return await run_in_threadpool(_answer, workspace, request, handler, body)
        except RefusedError as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status)

    return endpoint


def _answer(workspace: Workspace, request: Request, handler: Handler, body: bytes) -> Response:
    tile_id = request.path_params["tile_id"]
    with workspace.database.read() as session:
        tile = session.get(Tile, tile_id)
    if tile is None:
        raise RefusedError(404, f"There is no tile {tile_id} in this workspace; choose one from the list.")
    annotator = annotator_name(unquote(request.headers.get("x-tilewright-annotator", "")))
    tab = request.headers.get("x-tilewright-tab", "")
    query = dict(request.query_params)
    call = Call(
        workspace,
        tile,
        body,
        {name: value for name, value in request.path_params.items() if name != "tile_id"},
        query,
        annotator=annotator,
        tab=tab if _TAB.fullmatch(tab) else None,
        opinion=annotator if query.get("opinion") == "1" else "",
    )
    try:
        return handler(call)
    except InputError as error:
        raise RefusedError(507 if isinstance(error, NotSavedError) else 422, str(error)) from error


async def _checked_body(request: Request) -> bytes:
    """The request's body, if it is JSON, from our own page, and small enough."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise RefusedError(403, "Labels can be changed from Tilewright's own pages only.")
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "Labels are sent as application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RefusedError(413, f"A stroke may be at most {MAX_BODY_BYTES // 1024} KB; draw it in parts.")
    return bytes(body)
