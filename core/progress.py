"""How long work tells what it does, and how it is stopped.

Long functions take a ``Progress`` and call ``update`` at every natural step. That call is also the place
where a cancel takes effect: it raises ``CancelledError``, so work stops between steps and never inside one.
"""

import json
import signal
import sys
import time
from types import FrameType
from typing import Any, Protocol, TextIO

from core.errors import CancelledError


class Progress(Protocol):
    """What long work reports to."""

    def update(self, done: float, total: float, message: str) -> None:
        """Say that ``done`` of ``total`` steps are finished and what comes next; may raise ``CancelledError``."""

    def metrics(self, values: dict[str, Any]) -> None:
        """Hand on figures of the moment (a loss, a validation score); may raise ``CancelledError``."""


class CancelFlag:
    """Set by SIGINT or SIGTERM, read by every progress call."""

    def __init__(self) -> None:
        self.raised = False

    def install(self) -> None:
        """Take over SIGINT and SIGTERM in this process (main thread only)."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def check(self) -> None:
        """Raise ``CancelledError`` when a signal came in."""
        if self.raised:
            raise CancelledError("cancelled")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.raised = True


class SilentProgress:
    """For tests and for short work inside the server: reports nothing, but can be cancelled."""

    def __init__(self, cancel: CancelFlag | None = None) -> None:
        self._cancel = cancel or CancelFlag()

    def update(self, done: float, total: float, message: str) -> None:  # noqa: ARG002
        """Only checks for a cancel."""
        self._cancel.check()

    def metrics(self, values: dict[str, Any]) -> None:  # noqa: ARG002
        """Only checks for a cancel."""
        self._cancel.check()


class PartProgress:
    """One step of a longer work as its own reporter: what the step says of itself moves the whole on by a part."""

    def __init__(self, whole: Progress, done: float, total: float, name: str) -> None:
        self._whole, self._done, self._total, self._name = whole, done, total, name

    def update(self, done: float, total: float, message: str) -> None:
        """Tell the whole; may raise ``CancelledError``."""
        share = min(1.0, done / total) if total else 0.0
        self._whole.update(self._done + share, self._total, f"{self._name}: {message}")

    def metrics(self, values: dict[str, Any]) -> None:
        """Hand the figures on."""
        self._whole.metrics(values)


class JsonProgress:
    """JSON lines: ``{"event": "progress", "done", "total", "message", "seconds"}`` or ``{"event": "metrics", ...}``."""

    def __init__(self, stream: TextIO, cancel: CancelFlag) -> None:
        self._stream = stream
        self._cancel = cancel
        self._start = time.monotonic()

    def update(self, done: float, total: float, message: str) -> None:
        """Write a progress line."""
        self._write({"event": "progress", "done": done, "total": total, "message": message})

    def metrics(self, values: dict[str, Any]) -> None:
        """Write a metrics line."""
        self._write({"event": "metrics", **values})

    def _write(self, line: dict[str, Any]) -> None:
        print(json.dumps({**line, "seconds": round(time.monotonic() - self._start, 2)}), file=self._stream, flush=True)
        self._cancel.check()


class BarProgress:
    """One line that redraws itself on a terminal; one line a step where the output is no terminal."""

    WIDTH = 24

    def __init__(self, stream: TextIO, cancel: CancelFlag) -> None:
        self._stream = stream
        self._cancel = cancel
        self._last = ""

    def update(self, done: float, total: float, message: str) -> None:
        """Redraw the bar."""
        share = min(1.0, done / total) if total else 0.0
        filled = round(self.WIDTH * share)
        line = f"[{'#' * filled}{'.' * (self.WIDTH - filled)}] {share:4.0%}  {message}"
        if self._stream.isatty():
            print(f"\r{line:<{len(self._last)}}", end="\n" if share >= 1 else "", file=self._stream, flush=True)
        elif line != self._last:
            print(line, file=self._stream, flush=True)
        self._last = line
        self._cancel.check()

    def metrics(self, values: dict[str, Any]) -> None:  # noqa: ARG002
        """Figures go to the run's metrics file; the bar shows none."""
        self._cancel.check()


def make_progress(style: str, cancel: CancelFlag) -> Progress:
    """The reporter for ``--progress json`` or ``--progress bar``, on stderr."""
    return JsonProgress(sys.stderr, cancel) if style == "json" else BarProgress(sys.stderr, cancel)
