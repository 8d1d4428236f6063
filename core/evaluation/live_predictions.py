"""Predictions that somebody waits for on Compare: made one at a time in a thread of the server, told and cancellable.

One tile with one setting of the switches is a matter of seconds; whole collections are jobs (``core/jobs``). What was
asked last is made first, since that is what is being looked at.
"""

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import CancelledError, InputError
from core.evaluation.tile_counts import kept_confusion
from core.inference import store
from core.inference.switches import Switches
from core.progress import CancelFlag
from core.tables import Tile
from core.workspace import Workspace

MAX_WAITING = 12
"""More wishes than that at one time are refused: nobody looks at so many."""

_KEPT_STATES = 64
_LOADED_RUNS = 3

_log = logging.getLogger(__name__)

State = Literal["waiting", "computing", "done", "failed", "cancelled"]
_Key = tuple[str, str, int]


@dataclass(slots=True)
class Work:
    """One prediction that was asked for, and how far it is; also its own progress reporter."""

    run: str
    tile: Tile
    switches: Switches
    cancel: CancelFlag
    state: State = "waiting"
    done: float = 0
    total: float = 1
    message: str = "Waiting for another prediction"

    @property
    def active(self) -> bool:
        """Whether it is still to be made."""
        return self.state in ("waiting", "computing")

    def update(self, done: float, total: float, message: str) -> None:
        """Keep how far it is; raises ``CancelledError`` where it is not wanted any more."""
        self.done, self.total, self.message = done, total, message
        self.cancel.check()

    def metrics(self, values: dict[str, Any]) -> None:  # noqa: ARG002
        """Only checks for a cancel."""
        self.cancel.check()


class LivePredictions:
    """The predictions that are asked for on one workspace; the thread starts with the first one."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._works: OrderedDict[_Key, Work] = OrderedDict()
        self._predictors: OrderedDict[tuple[str, str], store.Predictor] = OrderedDict()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self, run: str, tile: Tile, switches: Switches) -> Work:
        """Ask for a prediction; one that is under way already is not asked for twice.

        Raises ``InputError`` where too many wait.
        """
        key = (run, switches.key, tile.id)
        with self._changed:
            known = self._works.get(key)
            if known is not None and known.active and not known.cancel.raised:
                return known
            if sum(work.active for work in self._works.values()) >= MAX_WAITING:
                raise InputError(f"{MAX_WAITING} predictions wait already; let them finish, or cancel some.")
            work = self._works[key] = Work(run, tile, switches, CancelFlag())
            self._works.move_to_end(key)
            self._forget_old()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tilewright-compare", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return work

    def look(self, run: str, tile: Tile, switches: Switches) -> Work | None:
        """What became of a wish; None where there was none, or it is forgotten."""
        with self._changed:
            return self._works.get((run, switches.key, tile.id))

    def cancel(self, run: str, tile: Tile, switches: Switches) -> None:
        """Drop a wish: at once where it waits, and at its next step where it is being made."""
        with self._changed:
            work = self._works.get((run, switches.key, tile.id))
            if work is not None and work.active:
                work.cancel.raised = True
                if work.state == "waiting":
                    work.state = "cancelled"

    def _forget_old(self) -> None:
        for key in [key for key, work in self._works.items() if not work.active][:-_KEPT_STATES]:
            del self._works[key]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: any(work.state == "waiting" for work in self._works.values()))
                work = next(one for one in reversed(self._works.values()) if one.state == "waiting")
                work.state, work.message = "computing", "Loading the run"
            self._make(work)

    def _make(self, work: Work) -> None:
        try:
            predictor = self._predictor(work.run)
            work.message = f"Predicting tile {work.tile.name}"
            predictor.compute(work.tile, work.switches, work)
            kept_confusion(self._workspace, work.run, work.tile, work.switches)
            work.state = "done"
        except CancelledError:
            work.state = "cancelled"
        except InputError as error:
            work.message, work.state = str(error), "failed"
        except Exception:
            _log.exception("Tile %s could not be predicted with %s.", work.tile.name, work.run)
            work.message = f"Tile {work.tile.name} could not be predicted with {work.run}; the server's log says why."
            work.state = "failed"

    def _predictor(self, run: str) -> store.Predictor:
        """The run, loaded once for every version of it; the few that were used last stay in memory."""
        key = (run, store.weights_stamp(self._workspace, run))
        if key not in self._predictors:
            self._predictors[key] = store.Predictor(self._workspace, run)
        self._predictors.move_to_end(key)
        while len(self._predictors) > _LOADED_RUNS:
            self._predictors.popitem(last=False)
        return self._predictors[key]
