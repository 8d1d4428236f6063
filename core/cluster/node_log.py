"""Reading what ``core.cluster.on_node`` writes: the command's own lines, its result, its end, what comes back.

The log is read as a whole each time, grown; what was read before is passed over.
"""

import base64
import hashlib
import io
import json
import zipfile
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from core.errors import InputError
from core.jobs.outcome import Traces

_KEPT_LINES = 20
_OWN = ("node", "result", "output", "ended", "returned", "part")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the command: what it wrote on stderr, or on stdout before its result.

    ``event`` is what a line of JSON says, and empty for one that is none.
    """

    text: str
    event: dict[str, Any] = field(default_factory=dict)
    is_output: bool = False


@dataclass
class NodeLog:
    """A log so far. ``exit_status`` is None until the command has ended; ``shared`` until the node has said it."""

    host: str | None = None
    shared: bool | None = None
    result: dict[str, Any] | None = None
    verdict: tuple[str, str] | None = None
    exit_status: int | None = None
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    _read: int = 0
    _returned: dict[str, Any] | None = None
    _parts: list[str] = field(default_factory=list)

    def feed(self, text: str) -> list[Line]:
        """Read what has been added to the log, whole lines only; returns those that are the command's own."""
        end = text.rfind("\n") + 1
        added = text[self._read : end]
        self._read = max(self._read, end)
        found = (self._line(line) for line in added.splitlines())
        return [line for line in found if line is not None]

    def traces(self) -> Traces:
        """What the command left behind, as of a job on this machine."""
        return Traces(result=self.result, verdict=self.verdict, last_lines=list(self.last_lines))

    @property
    def returned(self) -> str | None:
        """What came back: 'run' or 'files'; None where nothing did."""
        return str(self._returned["kind"]) if self._returned else None

    def archive(self) -> zipfile.ZipFile:
        """The zip that came back, whole. Raises ``InputError`` when its size or checksum is not what the node said."""
        content = b"".join(base64.b64decode(part) for part in self._parts)
        told = self._returned or {}
        if len(content) != told.get("bytes") or hashlib.sha256(content).hexdigest() != told.get("sha256"):
            raise InputError("What came back from the cluster is damaged or cut off; look again with: cluster watch")
        return zipfile.ZipFile(io.BytesIO(content))

    def _line(self, text: str) -> Line | None:
        event = _event(text)
        kind = event.get("event")
        if kind == "node":
            self.host, self.shared = str(event.get("host")), bool(event.get("shared"))
            return None
        if self.shared is None or self.exit_status is not None:
            return None  # Ray's own, before and after
        if kind not in _OWN:
            self._remember(text, event)
            return Line(text, event)
        if kind == "result":
            self.result = event.get("result")
        elif kind == "ended":
            self.exit_status = int(event["exit_status"])
        elif kind == "returned":
            self._returned, self._parts = event, []
        elif kind == "part":
            self._parts.append(str(event.get("data")))
        return Line(str(event.get("line")), is_output=True) if kind == "output" else None

    def _remember(self, text: str, event: dict[str, Any]) -> None:
        if event.get("event") in ("error", "cancelled"):
            self.verdict = (str(event["event"]), str(event.get("message", "")))
            self.last_lines.append(self.verdict[1])
        elif not event and text.strip():
            self.last_lines.append(text.strip())


def _event(text: str) -> dict[str, Any]:
    if not text.startswith('{"event"'):
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
