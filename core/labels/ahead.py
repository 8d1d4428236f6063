"""What is computed before somebody asks: the superpixels and embeddings of the tile in front of a person and the next.

One worker a workspace, in the server's process, at low priority. It does one piece of work at a time (a tile's
superpixels, one window's embedding) and looks for the newest wish in between, so the tile that was opened last never
waits for a queue. What fails is remembered for the tile and tried again when the tile is wished for again.
"""

import logging
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from core.errors import InputError
from core.labels import click_to_mask, superpixels
from core.tables import Tile
from core.workspace import Workspace

MAX_TILES = 16
"""Tiles that are wished for at one time; the oldest wishes are forgotten."""

SUPERPIXELS = "superpixels"
EMBEDDINGS = "embeddings"

_NICE = 10
_log = logging.getLogger(__name__)


class Ahead:
    """The worker of one workspace; its thread starts with the first wish and ends with the process or ``stop``."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._wishes: OrderedDict[int, Tile] = OrderedDict()  # the first is the next
        self._failures: dict[tuple[int, str], str] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def wish(self, tiles: Sequence[Tile]) -> None:
        """Prepare these tiles in this order, before all that was wished for earlier."""
        with self._changed:
            for tile in reversed(tiles[:MAX_TILES]):
                self._wishes[tile.id] = tile
                self._wishes.move_to_end(tile.id, last=False)
                for kind in (SUPERPIXELS, EMBEDDINGS):
                    self._failures.pop((tile.id, kind), None)
            while len(self._wishes) > MAX_TILES:
                self._wishes.popitem()
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="tilewright-ahead", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wishes(self, tile: Tile) -> bool:
        """Whether a tile is still to be prepared, or is just now."""
        with self._changed:
            return tile.id in self._wishes

    def failure(self, tile: Tile, kind: str) -> str | None:
        """Why the tile's superpixels or embeddings could not be made, in one sentence; None where they can."""
        with self._changed:
            return self._failures.get((tile.id, kind))

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._wishes, seconds)

    def stop(self) -> None:
        """End the thread after the piece of work that it is at."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or bool(self._wishes))
                if self._stopped:
                    return
                tile = next(iter(self._wishes.values()))
            if not self._do_next(tile):
                with self._changed:
                    self._wishes.pop(tile.id, None)
                    self._changed.notify_all()

    def _do_next(self, tile: Tile) -> bool:
        """Do the first piece of work that a tile still needs; False where it needs none, or none that can be done."""
        kind, work = self._missing(tile)
        if work is None:
            return False
        try:
            work()
        except InputError as error:
            self._note(tile, kind, str(error))
        except Exception:
            _log.exception("The %s of tile %d could not be made.", kind, tile.id)
            self._note(tile, kind, f"The {kind} of tile {tile.name} could not be made; the server's log says why.")
        return True

    def _missing(self, tile: Tile) -> tuple[str, Callable[[], object] | None]:
        if not self.failure(tile, SUPERPIXELS) and not superpixels.is_ready(self._workspace, tile):
            return SUPERPIXELS, lambda: superpixels.prepare(self._workspace, tile)
        if not self.failure(tile, EMBEDDINGS) and click_to_mask.available() is None:
            for window in click_to_mask.windows_ahead(tile):
                if not click_to_mask.is_ready(self._workspace, tile, window):
                    return EMBEDDINGS, partial(click_to_mask.embed, self._workspace, tile, window)
        return EMBEDDINGS, None

    def _note(self, tile: Tile, kind: str, sentence: str) -> None:
        with self._changed:
            self._failures[tile.id, kind] = sentence
            while len(self._failures) > 4 * MAX_TILES:
                self._failures.pop(next(iter(self._failures)))


@lru_cache(maxsize=8)
def ahead_of(workspace: Workspace) -> Ahead:
    """The worker of a workspace, one in this process."""
    return Ahead(workspace)
