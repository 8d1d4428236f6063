"""Who wants to know when labels change: the learner that refits while somebody paints, for one.

A listener runs in the request that changed the labels, after they are on disk, and before the browser has its answer:
it takes note and returns, and does its work elsewhere.
"""

import logging
from collections.abc import Callable

from core.workspace import Workspace

Listener = Callable[[Workspace, int, str], None]
"""Called with the workspace, the tile's id, and the opinion: empty for the tile's labels, or an annotator's name."""

_listeners: list[Listener] = []
_log = logging.getLogger(__name__)


def listen(listener: Listener) -> Callable[[], None]:
    """Call ``listener`` after every change of labels in this process. Returns what ends it; twice ends it once."""
    _listeners.append(listener)

    def end() -> None:
        if listener in _listeners:
            _listeners.remove(listener)

    return end


def announce(workspace: Workspace, tile_id: int, opinion: str = "") -> None:
    """Tell every listener that the labels of a tile changed.

    The change is on disk by now, so what goes wrong in a listener is logged and never becomes the painter's error.
    """
    for listener in tuple(_listeners):
        try:
            listener(workspace, tile_id, opinion)
        except Exception:
            _log.exception("A listener failed after the labels of tile %d changed.", tile_id)
