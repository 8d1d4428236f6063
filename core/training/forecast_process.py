"""A forecast in a process of its own, which a page starts and looks at: trying a fit takes seconds and memory.

Its files lie in ``forecasts/<key>/`` of the workspace. One runs at a time: a new one ends the one before.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import InputError
from core.training.forecast import Forecast
from core.training.provenance import digest
from core.workspace import CACHE_VARIABLE, WORKSPACE_VARIABLE, Workspace

PROJECT = Path(__file__).resolve().parents[2]
_KEPT = 20
_RESULT, _LOG = "result.json", "log.jsonl"

# The forecast that this process started on a workspace: its key and its process.
_RUNNING: dict[Path, tuple[str, subprocess.Popen[bytes]]] = {}


@dataclass(frozen=True, slots=True)
class ForecastState:
    """How far a forecast is: ``share`` 0 to 1 and ``message`` while it runs, the ``message`` why it failed."""

    state: Literal["none", "running", "done", "failed"]
    forecast: Forecast | None = None
    share: float = 0.0
    message: str = ""


def forecast_key(arguments: Sequence[str], labels: str) -> str:
    """What tells a forecast from others: its command line, and the version of the labels."""
    return digest({"arguments": list(arguments), "labels": labels})


def start(workspace: Workspace, key: str, arguments: Sequence[str]) -> None:
    """Start ``python -m core <arguments>`` (a ``forecast``) in the background; ends the one before.

    Raises ``InputError`` when it cannot be started.
    """
    stop(workspace)
    folder = _folder(workspace, key)
    try:
        _forget_oldest(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _RESULT).open("wb") as result, (folder / _LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "core", *arguments, "--progress", "json"],
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=log,
                cwd=PROJECT,
                env={
                    **os.environ,
                    WORKSPACE_VARIABLE: str(workspace.root),
                    CACHE_VARIABLE: str(workspace.features),
                },
                start_new_session=True,
            )
    except OSError as error:
        raise InputError(f"The forecast could not be started in {folder} ({error.strerror}); try again.") from error
    _RUNNING[workspace.root] = (key, process)


def stop(workspace: Workspace) -> None:
    """End the forecast that runs, if one does: training is about to begin, or a setting was changed."""
    _, process = _RUNNING.pop(workspace.root, (None, None))
    if process is not None and process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it has nothing to finish
        process.wait()


def look(workspace: Workspace, key: str) -> ForecastState:
    """How far the forecast of ``key`` is."""
    folder = _folder(workspace, key)
    running_key, process = _RUNNING.get(workspace.root, (None, None))
    if running_key == key and process is not None and process.poll() is None:
        share, message = _progress(folder / _LOG)
        return ForecastState("running", share=share, message=message)
    result = _last_object(folder / _RESULT)
    if result:
        try:
            return ForecastState("done", forecast=Forecast(**result))
        except TypeError:
            return ForecastState("none")  # of another version of the code
    if running_key == key and process is not None:
        verdict = _last_object(folder / _LOG)
        told = verdict.get("message") if verdict.get("event") == "error" else None
        return ForecastState("failed", message=str(told or f"It ended with status {process.returncode}; see {folder}."))
    return ForecastState("none")


def _folder(workspace: Workspace, key: str) -> Path:
    return workspace.root / "forecasts" / key


def _forget_oldest(folder: Path) -> None:
    kept = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _progress(path: Path) -> tuple[float, str]:
    event = _last_object(path)
    total = event.get("total") or 0
    return (min(1.0, event["done"] / total) if total else 0.0), str(event.get("message", "Starting"))


def _last_object(path: Path) -> dict[str, Any]:
    """The JSON object of the last whole line that is one; empty without."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                return value
    return {}
