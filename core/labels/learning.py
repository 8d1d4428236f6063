"""The server's side of learning while somebody paints: the process, its switch, and what it last said of each tile.

The process is started when a canvas first looks at a tile of a collection with labels, so that it is warm before the
next stroke. It ends with the server, when it is switched off, or after a long quiet time. Nothing here waits for it: a
stroke writes one line into a pipe. A process that dies is started again, which the canvas says; one that dies again
and again stays down until it is switched off and on.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from core.labels import changes
from core.tables import Setting, Tile
from core.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
SETTING = "learning while painting"
LOOK_AGAIN_SECONDS = 5.0
"""How soon a tile that somebody looks at is predicted again because labels changed on another."""

MAX_CRASHES, CRASH_SECONDS = 3, 60.0
"""So many ends within so many seconds are too many."""

NOTICE_SECONDS = 60.0
"""How long the canvas is told of a restart."""

STOP_SECONDS = 3.0
NOTHING_LABELLED = "Nothing is labelled so far; label two classes, then the model suggests the rest."
BAD_INPUT = 2
"""The exit status of a command that says in one sentence why it cannot work."""

State = Literal["off", "waiting", "working", "ready", "needs labels"]
_EVENTS: dict[str, State] = {
    "working": "working",
    "suggestion": "ready",
    "scored": "ready",
    "needs labels": "needs labels",
    "failed": "waiting",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What learning does for one tile just now, in a word and in a sentence.

    ``seconds`` is how long the last suggestion took, from the stroke to the disk. ``judged`` is False once the learner
    found no held-out tile.
    """

    state: State
    sentence: str
    seconds: float | None = None
    judged: bool = True


@dataclass(slots=True)
class _Asked:
    """One tile that was asked for: when, at which count of changes, whether the answer is still to come."""

    at: float
    changes: int
    stroke: bool
    waiting: bool = True


class Learning:
    """Learning in one workspace. Safe between threads."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._looked_at: set[int] = set()
        self._asked: dict[int, _Asked] = {}
        self._said: dict[int, Status] = {}
        self._changes = 0
        self._crashes: deque[float] = deque(maxlen=MAX_CRASHES)
        self._given_up = ""
        self._notice = ("", 0.0)
        self._on = self._kept_switch()
        self._end_listening = changes.listen(self._labels_changed)

    @property
    def on(self) -> bool:
        """Whether it is switched on; it is, until somebody switches it off."""
        return self._on

    @property
    def pid(self) -> int | None:
        """The process, if one runs."""
        with self._lock:
            return self._process.pid if self._process and self._process.poll() is None else None

    def look(self, tile: Tile) -> Status:
        """Say how learning stands for a tile that somebody looks at, and ask for a suggestion if it needs one."""
        tile_id = tile.id
        with self._lock:
            self._looked_at.add(tile_id)
            if not self._on:
                return Status("off", "Learning while you paint is switched off.")
            if self._given_up:
                return Status("waiting", self._given_up)
            asked = self._asked.get(tile_id)
            if asked is None and not any(self.workspace.labels(tile.collection_id).glob("*_mask.png")):
                return Status("needs labels", NOTHING_LABELLED)
            if asked is None or (
                not asked.waiting
                and asked.changes != self._changes
                and time.monotonic() - asked.at > LOOK_AGAIN_SECONDS
            ):
                self._ask(tile_id, stroke=False)
            return self._with_notice(self._said.get(tile_id) or Status("working", "The learner is starting."))

    def switch(self, on: bool) -> None:
        """Switch it on or off, for everybody who paints in this workspace, until it is switched again."""
        with self.workspace.database.write() as session:
            session.merge(Setting(key=SETTING, value={"on": on}))
        with self._lock:
            self._on = on
            self._given_up, self._notice = "", ("", 0.0)
            self._crashes.clear()
        if not on:
            self._stop()

    def close(self) -> None:
        """End the process and stop listening to changes."""
        self._end_listening()
        self._stop()

    def _labels_changed(self, workspace: Workspace, tile_id: int, opinion: str) -> None:
        """A stroke is on disk. Second opinions never train."""
        if workspace.root != self.workspace.root or opinion:
            return
        with self._lock:
            self._changes += 1
            if self._on and not self._given_up and tile_id in self._looked_at:  # else no canvas shows it
                self._ask(tile_id, stroke=True)

    def _ask(self, tile_id: int, *, stroke: bool) -> None:
        self._asked[tile_id] = _Asked(time.monotonic(), self._changes, stroke)
        if self._process is None:
            self._start()
        self._send(tile_id)

    def _send(self, tile_id: int) -> None:
        line = json.dumps({"tile": tile_id, "stroke": self._asked[tile_id].stroke, "at": time.time()})
        with suppress(BrokenPipeError):  # it has just died: whoever reads its output starts it again and asks anew
            if self._process is not None and self._process.stdin is not None:
                print(line, file=self._process.stdin, flush=True)

    def _start(self) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("wb") as log:
            process = subprocess.Popen(
                _command(self.workspace),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=dict(os.environ),
                start_new_session=True,  # Ctrl-C in the server's terminal is not for it: its input closes instead
            )
        self._process = process
        threading.Thread(target=self._listen, args=(process,), daemon=True, name="learning").start()

    def _stop(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            self._asked.clear()
            self._said.clear()
        if process is None:
            return
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Take in what the process says until it ends, then see whether that was meant."""
        for line in process.stdout or ():
            try:
                self._take_in(process, json.loads(line))
            except (ValueError, KeyError):
                _log.warning("The learner said something that is not understood: %.200s", line)
        status = process.wait()
        with self._lock:
            if process is self._process:
                self._process = None
                if status != 0:
                    self._recover(status)
                elif any(asked.waiting for asked in self._asked.values()):  # asked while it went idle
                    self._start_again()
        for pipe in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()

    def _take_in(self, process: subprocess.Popen[str], said: dict[str, Any]) -> None:
        if "event" not in said:  # the result, its last line
            return
        with self._lock:
            if process is not self._process or said["tile"] not in self._asked:
                return
            tile_id = said["tile"]
            state, sentence = _EVENTS[said["event"]], str(said["sentence"])
            before = self._said.get(tile_id)
            seconds = said.get("seconds", before.seconds if before else None)
            judged = said["score"] is not None if "score" in said else before is None or before.judged
            self._said[tile_id] = Status(state, sentence, seconds, judged)
            if state != "working":
                self._asked[tile_id].waiting = False

    def _recover(self, status: int) -> None:
        """Start a process that died once more, and ask it again for what was waited for."""
        why = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        if status == -signal.SIGKILL:
            why += ", as for want of memory"
        _log.warning("The learner ended unexpectedly (%s); see %s.", why, self._log_file)
        now = time.monotonic()
        self._crashes.append(now)
        if status == BAD_INPUT:
            self._given_up = f"The learner cannot work: {_last_line(self._log_file)}"
            return
        if len(self._crashes) == MAX_CRASHES and now - self._crashes[0] < CRASH_SECONDS:
            self._given_up = (
                f"The learner ended {MAX_CRASHES} times within a minute (last: {why}) and was left alone; see "
                f"{self._log_file}, then switch learning off and on again."
            )
            return
        self._notice = (f"The learner ended unexpectedly ({why}) and was started again.", now)
        self._start_again()

    def _start_again(self) -> None:
        self._start()
        for tile_id, asked in self._asked.items():
            if asked.waiting:
                self._send(tile_id)

    def _with_notice(self, status: Status) -> Status:
        sentence, since = self._notice
        if not sentence or time.monotonic() - since > NOTICE_SECONDS:
            return status
        return replace(status, sentence=f"{sentence} {status.sentence}")

    @property
    def _log_file(self) -> Path:
        return self.workspace.jobs / "learning.log"

    def _kept_switch(self) -> bool:
        with self.workspace.database.read() as session:
            row = session.get(Setting, SETTING)
        return True if row is None else bool(row.value["on"])


def _command(workspace: Workspace) -> list[str]:
    return [sys.executable, "-m", "core", "learn", "--workspace", str(workspace.root)]


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"see {log}"


_known: dict[Path, Learning] = {}
_known_lock = threading.Lock()


def learning_of(workspace: Workspace) -> Learning:
    """The one ``Learning`` of a workspace in this server."""
    with _known_lock:
        known = _known.get(workspace.root)
        if known is None or known.workspace.database is not workspace.database:  # made anew in the same folder
            if known is not None:
                known.close()
            _known[workspace.root] = known = Learning(workspace)
        return known
