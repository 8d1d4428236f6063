"""The newest of what was read or computed, by where it belongs, known to hold by a mark."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar, cast

_Part = TypeVar("_Part")


class Keeper:
    """Keeps ``most`` parts, each with the mark it was made under. Safe between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._parts: OrderedDict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = OrderedDict()

    def get(self, place: tuple[Any, ...], mark: tuple[Any, ...], make: Callable[[], _Part]) -> _Part:
        """What is kept at ``place`` under this very ``mark``, else what ``make`` gives."""
        with self._lock:
            kept = self._parts.get(place)
            if kept is not None and kept[0] == mark:
                self._parts.move_to_end(place)
                return cast("_Part", kept[1])
        part = make()  # outside the lock: two may make the same, which is harmless
        with self._lock:
            self._parts[place] = (mark, part)
            self._parts.move_to_end(place)
            while len(self._parts) > self._most:
                self._parts.popitem(last=False)
        return part
