"""How a raster's prediction tells what it does: two steps at once as one, and how long the rest will take."""

import threading
import time
from typing import Any

from core.progress import Progress


class TogetherProgress:
    """Steps that overlap in time, told as one work: done is the mean of their shares. Any thread may report."""

    def __init__(self, whole: Progress, steps: int) -> None:
        self._whole = whole
        self._shares = [0.0] * steps
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def step(self, number: int) -> Progress:
        """The reporter of the step ``number``, from 0."""
        return _Step(self, number)

    def tell(self, number: int, share: float, message: str) -> None:
        """Say how far a step is, with the time that is left by the pace so far; may raise ``CancelledError``."""
        with self._lock:
            self._shares[number] = share
            done = sum(self._shares) / len(self._shares)
            if 0 < done < 1:
                left = (time.monotonic() - self._start) / done * (1 - done)
                message = f"{message}, {_duration(left)} left"
            self._whole.update(done, 1, message)

    def metrics(self, values: dict[str, Any]) -> None:
        """Hand the figures on."""
        self._whole.metrics(values)


class _Step:
    def __init__(self, together: TogetherProgress, number: int) -> None:
        self._together, self._number = together, number

    def update(self, done: float, total: float, message: str) -> None:
        """Tell the whole; may raise ``CancelledError``."""
        self._together.tell(self._number, min(1.0, done / total) if total else 0.0, message)

    def metrics(self, values: dict[str, Any]) -> None:
        """Hand the figures on."""
        self._together.metrics(values)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
