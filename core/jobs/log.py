"""What a job says, read from its folder: progress and figures as JSON lines, anything else as plain lines.

The job may be writing while we read, and may have been killed in the middle of a line: a line that is not
whole JSON is not an event. Logs grow; only their end is read where the end is enough.
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


def read_progress(workspace: Workspace, job_id: int) -> JobProgress:
    """The latest progress of a job; ``NOT_STARTED`` before its first."""
    steps = [
        e for e in _events(log_path(workspace, job_id), TAIL_BYTES) if e.get("event") == "progress" and _is_step(e)
    ]
    if not steps:
        return NOT_STARTED
    last = steps[-1]
    return JobProgress(
        float(last["done"]), float(last["total"]), str(last["message"]), float(last["seconds"]), _remaining(steps)
    )


def read_metrics(workspace: Workspace, job_id: int) -> list[dict[str, Any]]:
    """The figures that the job handed out so far, oldest first, each with its ``seconds``."""
    events = _events(log_path(workspace, job_id), METRICS_BYTES)
    return [{k: v for k, v in event.items() if k != "event"} for event in events if event.get("event") == "metrics"]


def read_result(workspace: Workspace, job_id: int) -> dict[str, Any] | None:
    """The JSON object in the last line of what the job wrote on stdout, or None."""
    lines = _last_lines(result_path(workspace, job_id), TAIL_BYTES * 16)
    return _json_object(lines[-1]) if lines else None


def tail(workspace: Workspace, job_id: int, limit: int = 20) -> list[str]:
    """The last lines of a job's log that a person would read: what is no progress and no figures."""
    said = []
    for line in _last_lines(log_path(workspace, job_id), TAIL_BYTES):
        event = _json_object(line)
        if event is not None:
            line = str(event.get("message", "")) if event.get("event") in ("error", "cancelled") else ""  # noqa: PLW2901
        elif line.startswith('{"event"'):
            continue  # an event that was cut off by the end of the process or of what we read
        text = _TERMINAL_CODES.sub("", line.rsplit("\r", maxsplit=1)[-1]).rstrip()
        if text:
            said.append(text[:LONGEST_LINE])
    return said[-limit:]


def last_verdict(workspace: Workspace, job_id: int) -> tuple[str, str] | None:
    """The ``error`` or ``cancelled`` event that the command line ends with, and its sentence; None without one."""
    events = list(_events(log_path(workspace, job_id), TAIL_BYTES))
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


def _events(path: Path, limit: int) -> Iterator[dict[str, Any]]:
    for line in _last_lines(path, limit):
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
