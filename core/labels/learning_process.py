"""The process that learns while somebody paints: ``python -m core learn --workspace W``, one for a workspace.

The server starts it (``learning.py``) and writes requests to its standard input, one JSON object a line:
``{"tile": id, "stroke": true, "at": seconds since 1970}``; ``stroke`` false asks for a suggestion because somebody
looks at the tile. It answers on standard output, one JSON object a line, each with ``event`` and ``tile``:

    working      with a ``sentence``
    suggestion   on disk now: ``suggestion``, ``sequence``, ``seconds`` since ``at``, ``stages``, ``sentence``
    needs labels, failed   with a ``sentence``
    scored       ``score``, a new point of the curve, or null where no tile is held out; ``sentence``

A stroke is followed by a short wait for the next one; then the newest request counts, and strokes before looks. The
process ends when its input closes, so it never outlives its server. It leaves the processor to the brush: it is nice,
and on one thread, which on two busy cores is also quicker than two threads that wait for each other.
"""

import json
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TextIO

import cv2
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from core.catalog.catalogue import tile as find_tile
from core.errors import CancelledError, InputError
from core.labels import live_scores
from core.labels.learner import RECIPE, Learner, OvertakenError
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.training.joined_features import make_recipe_extractor
from core.training.live import NeedsLabelsError
from core.training.live_features import FeatureSource
from core.workspace import Workspace

QUIET_SECONDS = 0.3
"""How long nothing may come in after a stroke before the head is refitted."""

LONGEST_WAIT_SECONDS = 0.9
"""Strokes that come thick and fast are waited for no longer than this."""

IDLE_SECONDS = 30 * 60.0
"""After so long without a request the process ends, and gives its memory back."""

NICENESS = 5
SCORING_PATIENCE_SECONDS = 0.4
"""Scoring gives way to a newer stroke, but not before this: otherwise steady painting would never be scored."""


class Request(BaseModel):
    """One line of the input."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    tile: int
    stroke: bool
    at: float


class Inbox:
    """The requests that wait, one a tile, filled by a thread that reads the input."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._waiting: OrderedDict[int, Request] = OrderedDict()
        self._changed = threading.Condition()
        self._last = 0.0
        self.closed = False
        threading.Thread(target=self._fill, args=(lines,), daemon=True, name="inbox").start()

    def next(self) -> Request | None:
        """The request to see to now: the newest stroke, else the newest look. None when the input closed, or idle."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._waiting, timeout=IDLE_SECONDS)
            until = time.monotonic() + LONGEST_WAIT_SECONDS
            while self._has_stroke() and not self.closed:
                wait = min(until, self._last + QUIET_SECONDS) - time.monotonic()
                if wait <= 0:
                    break
                self._changed.wait(wait)
            if self.closed or not self._waiting:
                return None
            newest = [*reversed(self._waiting.values())]
            chosen = next((request for request in newest if request.stroke), newest[0])
            return self._waiting.pop(chosen.tile)

    def has_stroke(self) -> bool:
        """Whether a stroke waits, or the input is closed."""
        with self._changed:
            return self.closed or self._has_stroke()

    def _has_stroke(self) -> bool:
        return any(request.stroke for request in self._waiting.values())

    def _fill(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                request = Request.model_validate_json(line)
            except ValidationError:  # nobody but our own server writes here
                continue
            with self._changed:
                before = self._waiting.pop(request.tile, None)
                if before is not None and before.stroke and not request.stroke:
                    request = before
                self._waiting[request.tile] = request
                self._last = time.monotonic()
                self._changed.notify_all()
        with self._changed:
            self.closed = True
            self._changed.notify_all()


class _UntilClosed:
    """Progress that stops the work when nobody listens any more."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def update(self, done: float, total: float, message: str) -> None:  # noqa: ARG002
        if self._inbox.closed:
            raise CancelledError("nobody listens any more")

    def metrics(self, values: dict[str, Any]) -> None:
        """Figures go to the curve in the database."""


class _Loop:
    """Sees to one request after another, with a learner for the collection that is at hand."""

    def __init__(self, workspace: Workspace, source: FeatureSource, inbox: Inbox, out: TextIO) -> None:
        self._workspace, self._source, self._inbox, self._out = workspace, source, inbox, out
        self._learner: Learner | None = None
        self._tile = 0
        self.answered = 0

    def run(self) -> None:
        while (request := self._inbox.next()) is not None:
            try:
                self._see_to(request)
            except CancelledError:
                return

    def _see_to(self, request: Request) -> None:
        self._tile = request.tile
        try:
            tile = find_tile(self._workspace, request.tile)
            learner = self._learner_of(tile)
            self._say("Learning from the labels so far.")
            answer = learner.answer(tile)
        except NeedsLabelsError as error:
            self._tell("needs labels", sentence=str(error))
            return
        except InputError as error:
            self._tell("failed", sentence=str(error))
            return
        self.answered += 1
        self._tell(
            "suggestion",
            suggestion=answer.suggestion,
            sequence=answer.sequence,
            seconds=round(time.time() - request.at, 3),
            stages=answer.stages,
            sentence=answer.sentence,
        )
        if answer.refitted:
            self._score(learner, tile)

    def _score(self, learner: Learner, tile: Tile) -> None:
        """Add a point to the curve, unless a newer stroke makes it pointless."""
        start = time.monotonic()

        def may_go_on() -> bool:
            return time.monotonic() - start < SCORING_PATIENCE_SECONDS or not self._inbox.has_stroke()

        try:
            made = learner.score(may_go_on)
        except OvertakenError:
            return
        if made is not None:
            live_scores.append(self._workspace, learner.collection_id, made)
        self._tell("scored", sentence=learner.sentence(tile), score=None if made is None else asdict(made))

    def _learner_of(self, tile: Tile) -> Learner:
        """Only one collection is kept in memory: the one that was painted last."""
        if self._learner is None or self._learner.collection_id != tile.collection_id:
            self._learner = None  # let go of the old one before the new one takes its room
            self._learner = Learner(
                self._workspace,
                tile.collection_id,
                self._source,
                say=self._say,
                progress=_UntilClosed(self._inbox),
            )
        return self._learner

    def _say(self, sentence: str) -> None:
        self._tell("working", sentence=sentence)

    def _tell(self, event: str, **facts: Any) -> None:
        print(json.dumps({"event": event, "tile": self._tile, **facts}), file=self._out, flush=True)


def learn(workspace: Workspace, *, requests: TextIO, out: TextIO) -> dict[str, Any]:
    """See to requests until the input closes; returns how many suggestions were made.

    Always on the processor: the head is small, and a GPU is left to the jobs. Raises ``InputError`` where the encoder
    cannot be had.
    """
    inbox = Inbox(requests)
    source = FeatureSource(make_recipe_extractor(RECIPE, device="cpu"), FeatureCache(workspace.features))
    loop = _Loop(workspace, source, inbox, out)
    with suppress(BrokenPipeError):  # the server is gone
        loop.run()
    return {"suggestions": loop.answered}


def step_aside() -> None:
    """Make this process nice, bind it to one thread, and let signals end it at once: all its writes are atomic."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.nice(NICENESS)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
