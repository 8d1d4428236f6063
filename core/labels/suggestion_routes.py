"""The routes of the model's suggestions, and of the learning while somebody paints.

GET  /labels/{tile}/suggestion.json    the suggestion that is shown, what learning does, the held-out score, its curve
GET  /labels/{tile}/suggestion/{id}/raster.png, confidence.png    its classes (palette) and how sure it is (grey)
POST /labels/{tile}/learning    {"on"}: switch learning on or off, in this workspace; the answer is suggestion.json
POST /labels/{tile}/suggest     {"run": NAME}: show what a trained run predicts; null goes back to the live head

The one who gives a second opinion (``?opinion=1``) gets no suggestion: the live head has learnt from the labels that
the opinion is to be compared with.
"""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from core.errors import InputError
from core.labels import live_scores, run_suggestions, suggestions
from core.labels.learning import Learning, Status, learning_of
from core.labels.requests import Call, RefusedError, get_route, parse_body, post_route
from core.tables import Tile
from core.training.runs import list_runs
from core.workspace import Workspace

_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""The pictures of one suggestion never change."""

NO_SECOND_GUESS = "A second opinion is given without suggestions: the model has learnt from the first."


class SwitchBody(BaseModel):
    """Learning on or off."""

    model_config = ConfigDict(extra="forbid")
    on: bool


class RunBody(BaseModel):
    """Whose suggestion to show: a run's by its name, or the live head's."""

    model_config = ConfigDict(extra="forbid")
    run: str | None = Field(max_length=200)


def suggestion_routes(workspace: Workspace) -> list[Route]:
    """The routes; the learner itself starts when a canvas first asks for a suggestion."""
    return [
        get_route(workspace, "suggestion.json", _suggestion),
        get_route(workspace, "suggestion/{suggestion}/raster.png", _raster),
        get_route(workspace, "suggestion/{suggestion}/confidence.png", _confidence),
        post_route(workspace, "learning", _learning),
        post_route(workspace, "suggest", _suggest),
    ]


def _suggestion(call: Call) -> Response:
    learning = learning_of(call.workspace)
    if call.opinion:
        return _answer(call, learning, Status("off", NO_SECOND_GUESS), None)
    status = learning.look(call.tile)
    shown = suggestions.current(call.workspace, call.tile)
    if shown is not None and shown.source == suggestions.LIVE and status.state in ("off", "needs labels"):
        shown = None  # of labels that are no more, or not wanted
    return _answer(call, learning, status, shown)


def _answer(call: Call, learning: Learning, status: Status, shown: suggestions.Note | None) -> Response:
    collection = call.tile.collection_id
    score = live_scores.latest(call.workspace, collection) if status.judged else None
    answer = {
        "suggestion": shown and shown.id,
        "source": shown.source if shown else suggestions.LIVE,
        "sequence": shown.sequence if shown else 0,
        "learning": learning.on,
        "state": status.state,
        "sentence": status.sentence,
        "seconds": status.seconds,
        "score": score and {"miou": score.miou, "low": score.low, "high": score.high, "tiles": score.tiles},
        "curve": live_scores.curve(call.workspace, collection),
        "runs": [run.name for run in list_runs(call.workspace.runs)],
    }
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _raster(call: Call) -> Response:
    return _picture(suggestions.raster_file, call)


def _confidence(call: Call) -> Response:
    return _picture(suggestions.confidence_file, call)


def _picture(find: Callable[[Workspace, Tile, str], Path], call: Call) -> Response:
    try:
        path = find(call.workspace, call.tile, call.path["suggestion"])
    except InputError as error:
        raise RefusedError(404, str(error)) from error
    return FileResponse(path, media_type="image/png", headers=_FOREVER)


def _learning(call: Call) -> Response:
    learning_of(call.workspace).switch(parse_body(SwitchBody, call.body).on)
    return _suggestion(call)


def _suggest(call: Call) -> Response:
    run = parse_body(RunBody, call.body).run
    if run is None:
        suggestions.choose(call.workspace, call.tile, None)
    elif call.opinion:
        raise InputError(NO_SECOND_GUESS)
    else:
        run_suggestions.suggest(call.workspace, call.tile, run)
    return _suggestion(call)
