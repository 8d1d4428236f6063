"""What is computed before somebody asks: the superpixels and embeddings of the tile in front of a person and the next.

Two threads a workspace, in the server's process, at low priority: one for superpixels, so that they never wait for an
embedding, and one for embeddings. Each does one piece of work at a time (one tile's superpixels, or its embedding)
and looks for the newest wish in between, so the tile that was opened last never waits for a queue. What fails is
remembered for the tile and tried again when the tile is wished for again.
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
    """The work ahead of one workspace; its threads start with the first wish and end with the process or ``stop``."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        # By kind; the first is the next.
        self._wishes: dict[str, OrderedDict[int, Tile]] = {SUPERPIXELS: OrderedDict(), EMBEDDINGS: OrderedDict()}
        self._failures: dict[tuple[int, str], str] = {}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def wish(self, tiles: Sequence[Tile]) -> None:
        """Prepare these tiles in this order, before all that was wished for earlier."""
        with self._changed:
            for kind, wishes in self._wishes.items():
                for tile in reversed(tiles[:MAX_TILES]):
                    wishes[tile.id] = tile
                    wishes.move_to_end(tile.id, last=False)
                    self._failures.pop((tile.id, kind), None)
                while len(wishes) > MAX_TILES:
                    wishes.popitem()
            if not self._threads and not self._stopped:
                for kind in self._wishes:
                    thread = threading.Thread(target=self._run, args=(kind,), name=f"tilewright-{kind}", daemon=True)
                    thread.start()
                    self._threads.append(thread)
            self._changed.notify_all()

    def wishes(self, tile: Tile) -> bool:
        """Whether a tile is still to be prepared, or is just now."""
        with self._changed:
            return any(tile.id in wishes for wishes in self._wishes.values())

    def failure(self, tile: Tile, kind: str) -> str | None:
        """Why the tile's superpixels or embeddings could not be made, in one sentence; None where they can."""
        with self._changed:
            return self._failures.get((tile.id, kind))

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not any(self._wishes.values()), seconds)

    def stop(self) -> None:
        """End the threads after the pieces of work that they are at."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, kind: str) -> None:
        if sys.platform == "linux":  # elsewhere a thread has no priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        wishes = self._wishes[kind]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or bool(wishes))
                if self._stopped:
                    return
                tile = next(iter(wishes.values()))
            if not self._do_next(tile, kind):
                with self._changed:
                    wishes.pop(tile.id, None)
                    self._changed.notify_all()

    def _do_next(self, tile: Tile, kind: str) -> bool:
        """Do the first piece of work that a tile still needs; False where it needs none, or none that can be done."""
        if self.failure(tile, kind):
            return False
        work = self._missing_pieces(tile) if kind == SUPERPIXELS else self._missing_embedding(tile)
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

    def _missing_pieces(self, tile: Tile) -> Callable[[], object] | None:
        if superpixels.is_ready(self._workspace, tile):
            return None
        return partial(superpixels.prepare, self._workspace, tile)

    def _missing_embedding(self, tile: Tile) -> Callable[[], object] | None:
        if click_to_mask.available() is not None or click_to_mask.is_ready(self._workspace, tile):
            return None
        return partial(click_to_mask.embed, self._workspace, tile)

    def _note(self, tile: Tile, kind: str, sentence: str) -> None:
        with self._changed:
            self._failures[tile.id, kind] = sentence
            while len(self._failures) > 4 * MAX_TILES:
                self._failures.pop(next(iter(self._failures)))


@lru_cache(maxsize=8)
def ahead_of(workspace: Workspace) -> Ahead:
    """The worker of a workspace, one in this process."""
    return Ahead(workspace)
