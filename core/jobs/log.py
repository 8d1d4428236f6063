"""What a job says, read from its folder: progress and figures as JSON lines, anything else as plain lines.

The job may be writing while we read, and may have been killed in the middle of a line: a line that is not
whole JSON is not an event. Logs grow; only their end is read where the end is enough.

A job that was paused and resumed goes on in the same log; a ``begin`` event parts the attempts. Progress, verdict
and tail are those of the last attempt, the curve is that of all.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.workspace import Workspace

TAIL_BYTES = 64 * 1024
METRICS_BYTES = 16 * 1024 * 1024
LONGEST_LINE = 500
WARNING = "Warning: "
"""How a step begins that is a warning for people."""

_SENTENCES = ("message", "error", "cancelled")
"""The events that are for people to read."""
_BEGIN = json.dumps({"event": "begin"})

_FIGURE = re.compile(r"\d+(?:\.\d+)?")
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    ``done`` of ``total`` steps of the present phase; ``seconds`` since its start when it said so;
    ``remaining_seconds`` to the end of the phase at its present pace, None while that cannot be told.
    """

    done: float
    total: float
    message: str
    seconds: float
    remaining_seconds: float | None

    @property
    def share(self) -> float:
        """The share done, 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0


NOT_STARTED = JobProgress(0.0, 0.0, "Starting", 0.0, None)


def job_folder(workspace: Workspace, job_id: int) -> Path:
    """Where one job's ``log.jsonl`` and ``result.json`` lie."""
    return workspace.jobs / str(job_id)


def log_path(workspace: Workspace, job_id: int) -> Path:
    """What the job writes on stderr."""
    return job_folder(workspace, job_id) / "log.jsonl"


def result_path(workspace: Workspace, job_id: int) -> Path:
    """What the job writes on stdout."""
    return job_folder(workspace, job_id) / "result.json"


def begin_attempt(workspace: Workspace, job_id: int) -> None:
    """Make ready for a process that starts: an older attempt's log stays, its result goes.

    Raises ``OSError`` when the job's folder cannot be made or written.
    """
    job_folder(workspace, job_id).mkdir(parents=True, exist_ok=True)
    result_path(workspace, job_id).unlink(missing_ok=True)
    path = log_path(workspace, job_id)
    if path.exists():
        with path.open("a") as stream:
            stream.write(f"\n{_BEGIN}\n")  # on a line of its own, also where the last one was cut off


def read_progress(workspace: Workspace, job_id: int) -> JobProgress:
    """The latest progress of a job; ``NOT_STARTED`` before its first."""
    lines = _last_attempt(_last_lines(log_path(workspace, job_id), TAIL_BYTES))
    steps = [e for e in _events(lines) if e.get("event") == "progress" and _is_step(e)]
    if not steps:
        return NOT_STARTED
    last = steps[-1]
    return JobProgress(
        float(last["done"]), float(last["total"]), str(last["message"]), float(last["seconds"]), _remaining(steps)
    )


def read_metrics(workspace: Workspace, job_id: int) -> list[dict[str, Any]]:
    """The figures that the job handed out so far, oldest first, each with its ``seconds``.

    One curve: where a resumed job went back to its checkpoint, or began anew, what it had said beyond is left out.
    The ``seconds`` go on from those of the attempt before.
    """
    points: list[dict[str, Any]] = []
    before, latest = 0.0, 0.0
    for event in _events(_last_lines(log_path(workspace, job_id), METRICS_BYTES)):
        if event.get("event") == "begin":
            before = latest
        elif event.get("event") == "metrics":
            point = {k: v for k, v in event.items() if k != "event"}
            if isinstance(point.get("seconds"), int | float):
                latest = point["seconds"] = before + point["seconds"]
            points.append(point)
    return without_superseded(points)


def without_superseded(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A curve without the points that a later one of the same ``member`` replaces: at its step or beyond it."""
    curves: dict[Any, list[dict[str, Any]]] = {}
    for point in points:
        curve = curves.setdefault(point.get("member"), [])
        while curve and _replaces(point, curve[-1]):
            curve.pop()
        curve.append(point)
    return [point for curve in curves.values() for point in curve]


def step_of(point: dict[str, Any]) -> float | None:
    """Where on its curve a point lies: its ``epoch`` or its ``iteration``; None without either."""
    step = point.get("epoch", point.get("iteration"))
    return step if isinstance(step, int | float) else None


def _replaces(later: dict[str, Any], earlier: dict[str, Any]) -> bool:
    after, before = step_of(later), step_of(earlier)
    return after is not None and before is not None and after <= before


def read_result(workspace: Workspace, job_id: int) -> dict[str, Any] | None:
    """The JSON object in the last line of what the job wrote on stdout, or None."""
    lines = _last_lines(result_path(workspace, job_id), TAIL_BYTES * 16)
    return _json_object(lines[-1]) if lines else None


def tail(workspace: Workspace, job_id: int, limit: int = 20) -> list[str]:
    """The last lines of a job's log that a person would read: what is no progress and no figures."""
    return _readable(_last_attempt(_last_lines(log_path(workspace, job_id), TAIL_BYTES)), _SENTENCES)[-limit:]


def story(workspace: Workspace, job_id: int, limit: int = 20) -> list[str]:
    """The last lines of a job's log with the steps it reported among them, a step said over and over once."""
    lines = _readable(_last_lines(log_path(workspace, job_id), TAIL_BYTES), (*_SENTENCES, "progress"))
    shortened: list[str] = []
    for line in lines:
        if shortened and _without_figures(line) == _without_figures(shortened[-1]):
            shortened[-1] = line
        else:
            shortened.append(line)
    return shortened[-limit:]


def read_messages(workspace: Workspace, job_id: int) -> list[str]:
    """What the job wants a person to know, oldest first, each once: its messages and warnings."""
    found: dict[str, None] = {}
    for event in _events(_last_lines(log_path(workspace, job_id), METRICS_BYTES)):
        text = str(event.get("message", ""))
        if event.get("event") == "message" or (event.get("event") == "progress" and text.startswith(WARNING)):
            found[text.removeprefix(WARNING).strip()[:LONGEST_LINE]] = None
    return [text for text in found if text]


def last_verdict(workspace: Workspace, job_id: int) -> tuple[str, str] | None:
    """The ``error`` or ``cancelled`` event that the command line ends with, and its sentence; None without one."""
    events = list(_events(_last_lines(log_path(workspace, job_id), TAIL_BYTES)))
    if events and events[-1].get("event") in ("error", "cancelled"):
        return str(events[-1]["event"]), str(events[-1].get("message", ""))
    return None


def _remaining(steps: list[dict[str, Any]]) -> float | None:
    """Seconds left in the present phase: the steps at the end that count towards the same total."""
    last = steps[-1]
    first = last
    for step in reversed(steps):
        if step["total"] != last["total"] or step["done"] > first["done"]:
            break
        first = step
    gained = last["done"] - first["done"]
    if gained <= 0:
        return None
    pace = (last["seconds"] - first["seconds"]) / gained
    return float(max(0.0, (last["total"] - last["done"]) * pace))


def _is_step(event: dict[str, Any]) -> bool:
    return "message" in event and all(isinstance(event.get(k), int | float) for k in ("done", "total", "seconds"))


def _last_attempt(lines: list[str]) -> list[str]:
    begins = [index for index, line in enumerate(lines) if line == _BEGIN]
    return lines[begins[-1] + 1 :] if begins else lines


def _readable(lines: list[str], events: tuple[str, ...]) -> list[str]:
    """Plain lines as they are, of the named events what they say, and nothing of others."""
    said = []
    for line in lines:
        event = _json_object(line)
        if event is not None:
            text = str(event.get("message", "")) if event.get("event") in events else ""
        elif line.startswith('{"event"'):
            continue  # an event that was cut off by the end of the process or of what we read
        else:
            text = line
        text = _TERMINAL_CODES.sub("", text.rsplit("\r", maxsplit=1)[-1]).rstrip()
        if text:
            said.append(text[:LONGEST_LINE])
    return said


def _without_figures(line: str) -> str:
    return _FIGURE.sub("#", line)


def _events(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        event = _json_object(line)
        if event is not None:
            yield event


def _json_object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _last_lines(path: Path, limit: int) -> list[str]:
    """The lines in the last ``limit`` bytes of a file, without the one that this cuts; none if there is no file."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            start = max(0, size - limit)
            stream.seek(start)
            content = stream.read(limit)
    except FileNotFoundError:
        return []
    lines = content.decode("utf-8", errors="replace").split("\n")
    if start > 0 and len(lines) > 1:
        lines = lines[1:]
    return [line for line in lines if line.strip()]
