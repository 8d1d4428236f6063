"""A painter without a browser: sends operations as the canvas does, one at a time, each with a key of its own.

It remembers what was answered, what was not, and (``model``) what the tile's labels must be after what was answered.
"""

import http.client
import io
import json
import threading
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from core.classes import ClassRaster, decode_colours
from tests.benchmarks.labelling.sheet_model import SheetModel

SHARES = {"strokes": 0.78, "undo": 0.13, "redo": 0.09}
CLASSES = 6
PATIENCE = 30  # seconds for one answer


@dataclass(frozen=True, slots=True)
class Operation:
    """What is sent to ``POST /labels/{tile}/{path}``."""

    path: str
    body: dict[str, Any]


class NoAnswerError(Exception):
    """The server is gone, or went before it had answered wholly."""


class RefusedByServerError(Exception):
    """The server answered, with an error."""


class HttpPainter:
    """Paints on one tile that is its alone.

    With ``truth`` each stroke has the class that the truth has at its start, as a person's would; else one by lot.
    """

    def __init__(
        self, url: str, tile_id: int, shape: tuple[int, int], seed: int, *, truth: ClassRaster | None = None
    ) -> None:
        self.url, self.tile_id, self._truth = url, tile_id, truth
        self.model = SheetModel(shape)
        self.pending: Operation | None = None
        self.answered = 0
        self.changed_keys: set[str] = set()  # of what was answered and changed a pixel
        self._generator = np.random.default_rng(seed)
        self._headers = {
            "Content-Type": "application/json",
            "X-Tilewright-Annotator": f"painter%20{seed}",
            "X-Tilewright-Tab": str(uuid.UUID(int=seed + 1)),
        }

    def paint_until(self, stopped: threading.Event) -> None:
        """Paint until told to stop or until the server is gone; then ``pending`` is what was not answered."""
        while not stopped.is_set():
            self.pending = self._next()
            try:
                self.send(self.pending)
            except NoAnswerError:
                return

    def paint(self) -> dict[str, Any]:
        """Send one more stroke; returns the answer."""
        return self.send(Operation("strokes", self._stroke()))

    def unlock(self) -> None:
        """Give the tile back, so that a browser can take it at once."""
        self._post("unlock", {})

    def send(self, operation: Operation) -> dict[str, Any]:
        """Send one operation; returns the answer. Raises ``NoAnswerError`` where none came."""
        answer = self._post(operation.path, operation.body)
        self.settle(operation)
        return answer

    def settle(self, operation: Operation) -> None:
        """Note that an operation is on the server's disk."""
        if self.model.perform(operation.path, operation.body):
            self.changed_keys.add(operation.body["client_key"])
        self.answered += 1
        self.pending = None

    def seen(self) -> tuple[ClassRaster, dict[str, Any]]:
        """The class raster and the state as the server gives them now."""
        with urllib.request.urlopen(f"{self.url}/labels/{self.tile_id}/raster.png", timeout=PATIENCE) as reply:
            raster = raster_of(reply.read())
        with urllib.request.urlopen(f"{self.url}/labels/{self.tile_id}/state.json", timeout=PATIENCE) as reply:
            return raster, json.loads(reply.read())

    def step(self, path: str) -> Operation:
        """An undo or a redo with a new key."""
        return Operation(path, {"client_key": self._key()})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        address = f"{self.url}/labels/{self.tile_id}/{path}"
        request = urllib.request.Request(address, json.dumps(body).encode(), self._headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
                answer: dict[str, Any] = json.loads(reply.read())
        except urllib.error.HTTPError as error:
            raise RefusedByServerError(f"{error.code}: {error.read().decode()}") from error
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:  # the last: cut off in its answer
            raise NoAnswerError(str(error)) from error
        return answer

    def _next(self) -> Operation:
        path = str(self._generator.choice(list(SHARES), p=list(SHARES.values())))
        return self.step(path) if path != "strokes" else Operation("strokes", self._stroke())

    def _stroke(self) -> dict[str, Any]:
        tool = str(self._generator.choice(["brush", "brush", "brush", "eraser", "polygon", "rectangle"]))
        corners = 2 if tool == "rectangle" else int(self._generator.integers(3, 12))
        height, width = self.model.shape
        spread = min(width, height) / 12
        start = self._generator.uniform((spread, spread), (width - spread, height - spread))  # some of it is inside
        path = start + np.cumsum(self._generator.normal(0, spread, (corners, 2)), axis=0)
        points = np.vstack([start, path[1:]]).clip(0, (width, height)).round(2)
        if tool == "rectangle" and np.abs(points[1] - points[0]).min() < 2:
            points[1] = (start + spread / 2).round(2)  # a narrower one may cover no pixel, and be refused
        body = {
            "client_key": self._key(),
            "tool": tool,
            "class_index": 255 if tool == "eraser" else self._class_at(*start),
            "points": points.tolist(),
            "guard": self._guard(),
        }
        radius = {"radius": round(float(self._generator.uniform(2, 40)), 1)}
        return body | radius if tool in {"brush", "eraser"} else body

    def _class_at(self, x: float, y: float) -> int:
        if self._truth is None:
            return int(self._generator.integers(CLASSES))
        return int(self._truth[int(y), int(x)])

    def _guard(self) -> dict[str, Any]:
        over = self._generator.choice(["anything"] * 8 + ["unlabelled", "class"])
        protected = self._generator.choice(CLASSES, int(self._generator.integers(3)) // 2, replace=False)
        return {
            "over": int(self._generator.integers(CLASSES)) if over == "class" else str(over),
            "protect": protected.tolist(),
        }

    def _key(self) -> str:
        return str(uuid.UUID(bytes=self._generator.bytes(16)))


def raster_of(png: bytes) -> ClassRaster:
    """The class raster in a palette PNG, read by its colours as any other program would."""
    with Image.open(io.BytesIO(png)) as image:
        return decode_colours(np.asarray(image.convert("RGB"))).raster
