"""Three steps that overlap in time: a thread reads ahead, the caller's thread computes, a thread finishes.

Between them lie bounded queues, so that a fast step waits for a slow one instead of filling memory. Whatever any of
them raises, a cancel among it, ends all three and comes out at the caller.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 1
"""Items that wait between two steps: besides the one that either has in hand."""


class _StoppedError(Exception):
    """The other side of a channel has given up."""


class _Channel(Generic[Item]):
    """A bounded queue that either side can end at any moment."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._ended = self._abandoned = False

    def put(self, item: Item) -> None:
        """Hand on an item once there is room."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._items) < self._capacity)
            if self._abandoned:
                raise _StoppedError
            self._items.append(item)
            self._changed.notify_all()

    def end(self) -> None:
        """No more items will come; those that wait are still taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Drop what waits, and wake whoever waits with ``_StoppedError``."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._abandoned or self._ended or bool(self._items))
                if self._abandoned:
                    raise _StoppedError
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


class _Helper(threading.Thread):
    """A step in a thread of its own, which keeps what it raised."""

    def __init__(self, name: str, step: Callable[[], None], on_end: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._step, self._on_end = step, on_end
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._step()
        except _StoppedError:
            pass
        except BaseException as error:  # it is raised again in the caller's thread
            self.error = error
        finally:
            self._on_end()


def run_overlapped(
    items: Generator[Item, None, None],
    work: Callable[[Item], Result],
    finish: Callable[[Result], None],
    *,
    ahead: int = AHEAD,
) -> None:
    """``finish(work(item))`` for every item, in order, with reading, working and finishing overlapping in time.

    ``items`` is read, and closed, in a thread, ``finish`` runs in another one, ``work``
    in the caller's. Raises what the first step to fail raised, after both threads have ended.
    """
    inbox: _Channel[Item] = _Channel(ahead)
    outbox: _Channel[Result] = _Channel(ahead)
    reader = _Helper("reader", lambda: _read(items, inbox), inbox.end)
    stitcher = _Helper("stitcher", lambda: _drain(outbox, finish), outbox.abandon)
    reader.start()
    stitcher.start()
    try:
        for item in inbox:
            outbox.put(work(item))
        if reader.error is None:
            outbox.end()
            stitcher.join()
    except _StoppedError:
        pass  # the stitcher failed, and its error is raised below
    finally:
        inbox.abandon()
        outbox.abandon()
        reader.join()
        stitcher.join()
    for helper in (reader, stitcher):
        if helper.error is not None:
            raise helper.error


def _read(items: Generator[Item, None, None], inbox: _Channel[Item]) -> None:
    with closing(items):
        for item in items:
            inbox.put(item)


def _drain(outbox: _Channel[Result], finish: Callable[[Result], None]) -> None:
    for result in outbox:
        finish(result)
