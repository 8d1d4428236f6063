"""What the Compare page's component asks for, so that a switch is shown without the page being run anew.

GET  /compare/{collection}/desk.json             the tiles, the runs, what each trained on, what is kept of it
GET  /compare/pair.json?a=RUN&b=RUN              what the two were made from differently, in sentences
GET  /compare/{tile}/side.json?run=&switches=    one prediction: kept, under way, or not there; where its classes are
GET  /compare/{tile}/codes.bin?run=&switches=    its classes (``code_rasters``); the truth's where no run is named
GET  /compare/{tile}/scores.json?run=&switches=  its scores, what each of its switches changes, what else is kept;
                                                 with &other=RUN scored on the part of the tile that both cover
POST /compare/{tile}/compute                     {"run", "switches"}: make it; the answer is that of side.json
POST /compare/{tile}/cancel                      {"run", "switches"}: do not; the same answer

Tiles and collections are found by their ids, runs by their names in the workspace, switches are the facts of
``Switches.facts`` as JSON. Errors are ``{"error": one sentence}``: 404 no such thing, 403 another site's page, 415 or
413 not our kind of body, 422 something that cannot be done.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.catalog import catalogue
from core.catalog.images import read_mask
from core.errors import InputError
from core.evaluation.code_rasters import CodeRasters, pack_codes
from core.evaluation.compare_desk import CHOICES, desk
from core.evaluation.compare_kept import shared_part
from core.evaluation.held_out import held_out
from core.evaluation.intervals import PairedDifferences
from core.evaluation.live_predictions import LivePredictions
from core.evaluation.run_differences import what_differs
from core.evaluation.scores import from_confusion
from core.evaluation.switch_effects import CountingTime, Effect, Side, effects
from core.evaluation.tile_counts import kept_confusion, prediction_stamp
from core.inference import store
from core.inference.extent import Extent
from core.inference.switches import Switches
from core.tables import Tile
from core.training.runs import read_run
from core.workspace import Workspace

MAX_BODY_BYTES = 16 * 1024
COUNTING_SECONDS = 1.0
"""How long one answer may count pixels before it says that there are more."""

_NO_STORE = {"Cache-Control": "no-store"}
_Numbers = dict[str, int | float]


class SwitchFacts(BaseModel):
    """The switches as ``Switches.facts`` writes them; whether their values make sense ``Switches`` says."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    tta: str = "none"
    refinement: str = "none"
    min_region: int = 0
    gate: float = 0
    abstain: float = 0
    offsets: list[float] = []
    class_regions: list[float] = []
    crf: _Numbers | None = None
    guided: _Numbers | None = None


class Wanted(BaseModel):
    """A run and its switches."""

    model_config = ConfigDict(extra="forbid")
    run: str
    switches: SwitchFacts = SwitchFacts()


class _RefusedError(Exception):
    """A request that is answered with an error status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def compare_routes(workspace: Workspace) -> list[Route]:
    """The routes under ``/compare``; the thread that predicts starts when somebody first asks for a prediction."""
    answers = _Answers(workspace)
    gets: dict[str, Callable[[Request], Any]] = {
        "/compare/{collection_id:int}/desk.json": answers.desk,
        "/compare/pair.json": answers.pair,
        "/compare/{tile_id:int}/side.json": answers.side,
        "/compare/{tile_id:int}/codes.bin": answers.codes,
        "/compare/{tile_id:int}/scores.json": answers.scores,
    }
    posts: dict[str, Callable[[Request, bytes], Any]] = {
        "/compare/{tile_id:int}/compute": answers.compute,
        "/compare/{tile_id:int}/cancel": answers.cancel,
    }
    return [
        *(Route(path, _get(handler), methods=["GET"]) for path, handler in gets.items()),
        *(Route(path, _post(handler), methods=["POST"]) for path, handler in posts.items()),
    ]


def parse_switches(text: str) -> Switches:
    """The switches that ``Switches.facts`` wrote as JSON. Raises ``InputError`` for what is none."""
    try:
        return _switches(SwitchFacts.model_validate_json(text or "{}"))
    except ValidationError as error:
        raise InputError("The switches were not understood; choose them on the page.") from error


class _Answers:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._live = LivePredictions(workspace)
        self._codes = CodeRasters()

    def desk(self, request: Request) -> dict[str, Any]:
        return desk(self._workspace, request.path_params["collection_id"])

    def pair(self, request: Request) -> dict[str, Any]:
        names = [request.query_params.get(letter, "") for letter in "ab"]
        a, b = (read_run(store.run_folder(self._workspace, name)).card for name in names)
        return {"differs": [] if names[0] == names[1] else what_differs(names[0], a, names[1], b)}

    def side(self, request: Request) -> dict[str, Any]:
        return self._side(*self._asked(request))

    def codes(self, request: Request) -> Response:
        if "run" in request.query_params:
            tile, run, switches = self._asked(request)
            covers = store.extent(self._workspace.runs / run, tile)
            found = store.kept(self._workspace, run, tile, switches)
            if covers is None or found is None:
                raise InputError("This prediction has not been made yet.")
            version, path = f"{run} {switches.key} {prediction_stamp(found)}", found.path
        else:
            tile = catalogue.tile(self._workspace, request.path_params["tile_id"])
            if tile.mask_path is None:
                raise InputError(f"Tile {tile.name} came without a mask.")
            covers = Extent(0, 0, tile.height, tile.width)
            version, path = f"truth {tile.mask_fingerprint}", Path(tile.mask_path)
        raster = self._codes.get(
            f"{tile.id} {version}", lambda: pack_codes(read_mask(path, shape=(tile.height, tile.width)).raster, covers)
        )
        size = {"X-Raster-Width": str(raster.width), "X-Raster-Height": str(raster.height)}
        headers = {**_NO_STORE, **size, "Content-Encoding": "deflate"}
        return Response(raster.packed, media_type="application/octet-stream", headers=headers)

    def scores(self, request: Request) -> dict[str, Any]:
        tile, run, switches = self._asked(request)
        judged = held_out(self._workspace, run, tile.collection_id).tiles
        side, allowed = Side(self._workspace, run, switches), CountingTime(COUNTING_SECONDS)
        part = self._part(side, request.query_params.get("other", run), tile)
        matrix = kept_confusion(self._workspace, run, tile, switches, within=part)
        return {
            "scores": from_confusion(matrix).as_dict() if matrix is not None and matrix.any() else None,
            "effects": [_effect_json(one) for one in effects(side, tile, judged, allowed)],
            "part": part and asdict(part),
            "uncounted": allowed.left_out,
            "kept": self._kept_choices(run, tile, switches),
        }

    def _part(self, side: Side, other: str, tile: Tile) -> Extent | None:
        """What the run and the one beside it both cover of a tile, None for all of it: only there they are judged."""
        part = shared_part(side, replace(side, run=other), tile)
        return None if part is None or part.is_whole(tile) else part

    def compute(self, request: Request, body: bytes) -> dict[str, Any]:
        tile, run, switches = self._wanted(request, body)
        found = self._side(tile, run, switches)
        if found["state"] in ("kept", "nothing"):
            return found
        self._live.start(run, tile, switches)
        return self._side(tile, run, switches)

    def cancel(self, request: Request, body: bytes) -> dict[str, Any]:
        tile, run, switches = self._wanted(request, body)
        self._live.cancel(run, tile, switches)
        return self._side(tile, run, switches)

    def _asked(self, request: Request) -> tuple[Tile, str, Switches]:
        tile = catalogue.tile(self._workspace, request.path_params["tile_id"])
        run = store.run_folder(self._workspace, request.query_params.get("run", "")).name
        return tile, run, parse_switches(request.query_params.get("switches", ""))

    def _wanted(self, request: Request, body: bytes) -> tuple[Tile, str, Switches]:
        try:
            wanted = Wanted.model_validate_json(body)
        except ValidationError as error:
            raise InputError("The request was not understood; reload the page and try again.") from error
        tile = catalogue.tile(self._workspace, request.path_params["tile_id"])
        return tile, store.run_folder(self._workspace, wanted.run).name, _switches(wanted.switches)

    def _side(self, tile: Tile, run: str, switches: Switches) -> dict[str, Any]:
        answer: dict[str, Any] = {"run": run, "key": switches.key, "facts": switches.facts, "tile": tile.id}
        covered = store.extent(self._workspace.runs / run, tile)
        if covered is None:
            sentence = f"{run} was imported and has nothing of tile {tile.name}; choose another tile."
            return {**answer, "state": "nothing", "sentence": sentence}
        found = store.find(self._workspace, run, tile, switches)
        if found is not None and found.stale is None:
            store.touch(found)
            query = {"run": run, "switches": json.dumps(switches.facts), "v": prediction_stamp(found)}
            return {
                **answer,
                "state": "kept",
                "codes": f"{tile.id}/codes.bin?{urlencode(query)}",
                "seconds": found.seconds,
            }
        work = self._live.look(run, tile, switches)
        stale = f"It is predicted anew: {found.stale}." if found else None
        if work is None or work.state in ("done", "cancelled"):
            return {**answer, "state": "absent", "sentence": stale}
        if work.state == "failed":
            return {**answer, "state": "failed", "sentence": work.message}
        progress = {"done": work.done, "total": work.total, "message": work.message}
        return {**answer, "state": work.state, "sentence": stale, "progress": progress}

    def _kept_choices(self, run: str, tile: Tile, switches: Switches) -> list[dict[str, Any]]:
        """Of the choices that are one click away, those that are kept: they show at once."""
        found = []
        for name, values in CHOICES.items():
            for value in values:
                one = replace(switches, **{name: value})
                kept = store.kept(self._workspace, run, tile, one)
                if kept is None:
                    continue
                matrix = kept_confusion(self._workspace, run, tile, one, count=False)
                miou = from_confusion(matrix).miou if matrix is not None else None
                found.append({"name": name, "value": value, "seconds": kept.seconds, "miou": miou})
        return found


def _switches(facts: SwitchFacts) -> Switches:
    try:
        return Switches.from_facts(facts.model_dump(exclude_none=True))
    except TypeError as error:  # a parameter of a refinement that it does not have
        raise InputError("The switches were not understood; choose them on the page.") from error


def _effect_json(effect: Effect) -> dict[str, Any]:
    return {
        "name": effect.name,
        "without": effect.without.facts,
        "before": effect.before and {"miou": effect.before.miou, "iou": effect.before.iou},
        "after": effect.after and {"miou": effect.after.miou, "iou": effect.after.iou},
        "tiles": list(effect.tiles),
        "over": effect.over and _over_json(effect.over),
        "seconds": effect.seconds,
    }


def _over_json(over: PairedDifferences) -> dict[str, Any]:
    return {
        "miou": over.miou and over.miou.as_dict(),
        "iou": {name: asdict(difference) for name, difference in over.iou.items()},
        "note": over.note,
    }


def _get(handler: Callable[[Request], Any]) -> Callable[[Request], Response]:
    def respond(request: Request) -> Response:
        try:
            answer = handler(request)
            return answer if isinstance(answer, Response) else JSONResponse(answer, headers=_NO_STORE)
        except catalogue.UnknownIdError as error:
            return _failure(404, str(error))
        except InputError as error:
            return _failure(422, str(error))

    return respond


def _post(handler: Callable[[Request, bytes], Any]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            body = await _checked_body(request)
        except _RefusedError as refusal:
            return _failure(refusal.status, str(refusal))
        return await run_in_threadpool(_get(lambda asked: handler(asked, body)), request)

    return answer


def _failure(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, headers=_NO_STORE)


async def _checked_body(request: Request) -> bytes:
    """The request's body, if it is JSON, from our own page, and small."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise _RefusedError(403, "Predictions are started from Tilewright's own pages only.")
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise _RefusedError(415, "What is to be predicted is sent as application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _RefusedError(413, "That is too much for a run and its switches; reload the page.")
    return bytes(body)
