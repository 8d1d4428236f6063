"""How work on a cluster tells the process that began it what it does, and is told to stop.

A small actor beside that process: workers put messages in, it takes them out. The workers ask it whether they are to
stop. Messages are plain data.
"""

import time
from types import ModuleType
from typing import Any

from core.errors import CancelledError

ASKING_SECONDS = 0.25
"""How often a worker tells its progress and asks whether to stop; in between its calls cost nothing."""


class Mailbox:
    """Keeps the messages until they are taken; lives in a process of its own."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, str, Any]] = []
        self._cancelled = False

    def put(self, sender: int, kind: str, content: Any) -> bool:
        """Leave a message of a worker or call, known by its number; returns whether to stop."""
        self._messages.append((sender, kind, content))
        return self._cancelled

    def take(self) -> list[tuple[int, str, Any]]:
        """All messages since the last time: sender, kind and content, oldest first."""
        taken, self._messages = self._messages, []
        return taken

    def cancel(self) -> None:
        """Ask everybody to stop."""
        self._cancelled = True


def open_mailbox(ray: ModuleType) -> Any:
    """A mailbox on this process's node; its methods are called as Ray's are, with ``remote``."""
    here = ray.get_runtime_context().get_node_id()
    return ray.remote(num_cpus=0, label_selector={"ray.io/node-id": here})(Mailbox).remote()


class Sender:
    """A worker's end of a mailbox. Sends without waiting; an answer is looked at once it is there."""

    def __init__(self, ray: ModuleType, mailbox: Any, number: int) -> None:
        self._ray, self._mailbox, self._number = ray, mailbox, number
        self._answer: Any = None
        self._asked = -float("inf")
        self.cancelled = False

    def progress(self, done: float, total: float, message: str) -> None:
        """Tell what comes next; left out where the last telling was a moment ago. Notes whether to stop."""
        if self._answer is not None and self._ray.wait([self._answer], timeout=0)[0]:
            self.cancelled |= self._ray.get(self._answer)
            self._answer = None
        if self._answer is None and time.monotonic() - self._asked >= ASKING_SECONDS:
            self._asked = time.monotonic()
            self._answer = self._mailbox.put.remote(self._number, "progress", (done, total, message))

    def send(self, kind: str, content: Any) -> None:
        """Tell something that must not be lost: waits until it is there."""
        self.cancelled |= self._ray.get(self._mailbox.put.remote(self._number, kind, content))


class SentProgress:
    """The progress of a call by itself: a cancel takes effect in it."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def update(self, done: float, total: float, message: str) -> None:
        """Send it on; may raise ``CancelledError``."""
        self._sender.progress(done, total, message)
        self._check()

    def metrics(self, values: dict[str, Any]) -> None:  # noqa: ARG002
        """Only checks for a cancel: a part's curve is not the whole's."""
        self._check()

    def _check(self) -> None:
        if self._sender.cancelled:
            raise CancelledError
