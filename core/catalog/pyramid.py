"""Image pyramids in memory: the decoded picture, its half, its quarter, and so on down to one map tile.

From a decoded array a 256-pixel map tile is a slice (0.2 ms); decoding the file for each would take 50 ms. So
whole pyramids are kept, as many as fit a bound, the least recently used going first.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Lock

import cv2
import numpy as np
from numpy.typing import NDArray

MAP_TILE = 256
"""Side of a map tile in pixels, Leaflet's default."""

MEMORY_BYTES = 384 * 2**20
"""The pyramids kept of whole tiles: about 16 DeepGlobe tiles of 24 MB. A single larger one is kept alone."""

MASK_BYTES = 128 * 2**20
"""Those of whole masks: 16 of 8 MB. Kept once for given masks, once for labels made here, once for predictions."""

SMALL_BYTES = 64 * 2**20
"""Those of thumbnails of pictures and given masks, of labels, and of predictions."""

DECODERS = 2
"""Pictures of one kind decoded at one time; more would only take memory from each other."""

BOUND_BYTES = MEMORY_BYTES + 3 * (MASK_BYTES + SMALL_BYTES)
"""960 MB (of 2^20 bytes): all that the routes of the map keep between requests, whatever is asked and by however many.

Beside it stands what a request holds while it runs: two decodings at a time of each kind, 80 MB for DeepGlobe tiles
(a tile as bytes, as pixels in two orders of its colours, and its pyramid), and the contact sheets of the collections
that are looked at, 4.1 KB a tile, which lie in a file that the system maps (``core/catalog/maps/contact_sheet.py``).
``tests/benchmarks/browse/tile_route.py`` measures it; ``core/serving.py`` has what is dropped given back.
"""

JPEG_QUALITY = 88

Levels = list[NDArray[np.uint8]]
"""Full size first; each further one is half as wide and high, rounded up."""


def max_zoom(width: int, height: int) -> int:
    """The zoom at which an image is shown pixel by pixel, where at zoom 0 it fits one map tile."""
    return max(0, math.ceil(math.log2(max(width, height) / MAP_TILE)))


def build_levels(pixels: NDArray[np.uint8]) -> Levels:
    """The pyramid of an ``(H, W, 3)`` picture, averaged, or of an ``(H, W)`` class raster, by nearest neighbour."""
    interpolation = cv2.INTER_AREA if pixels.ndim == 3 else cv2.INTER_NEAREST
    levels = [pixels]
    for _ in range(max_zoom(pixels.shape[1], pixels.shape[0])):
        height, width = levels[-1].shape[:2]
        smaller = cv2.resize(levels[-1], ((width + 1) // 2, (height + 1) // 2), interpolation=interpolation)
        levels.append(np.asarray(smaller, np.uint8))
    return levels


def cut(levels: Levels, zoom: int, x: int, y: int) -> NDArray[np.uint8] | None:
    """The map tile ``x``, ``y`` at ``zoom``: at most 256 x 256, smaller at the right and lower edge; None outside."""
    top_zoom = len(levels) - 1
    if 0 <= zoom <= top_zoom and x >= 0 and y >= 0:
        level = levels[top_zoom - zoom]
        piece = level[y * MAP_TILE : (y + 1) * MAP_TILE, x * MAP_TILE : (x + 1) * MAP_TILE]
        if piece.size:
            return piece
    return None


def encode_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """An ``(H, W, 3)`` RGB picture as JPEG bytes."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


class LevelCache:
    """Pyramids by key, within a bound of bytes. Safe between threads; each is loaded once however many ask for it."""

    def __init__(self, max_bytes: int = MEMORY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._decoders = BoundedSemaphore(DECODERS)
        self._entries: OrderedDict[str, Future[Levels]] = OrderedDict()

    def get(self, key: str, load: Callable[[], NDArray[np.uint8]]) -> Levels:
        """The pyramid of ``key``, built from what ``load`` returns if it is not here.

        What ``load`` raises reaches everybody who waits for this key, and is not remembered.
        """
        with self._lock:
            future = self._entries.get(key)
            owner = future is None
            if future is None:
                future = self._entries[key] = Future()
            self._entries.move_to_end(key)
        if owner:
            self._fill(key, future, load)
        return future.result()

    def has(self, key: str) -> bool:
        """Whether the pyramid of ``key`` is here, or on its way."""
        with self._lock:
            return key in self._entries

    def held_bytes(self) -> int:
        """The bytes of all pyramids that are here now."""
        with self._lock:
            return sum(_size(future) for future in self._entries.values())

    def _fill(self, key: str, future: Future[Levels], load: Callable[[], NDArray[np.uint8]]) -> None:
        try:
            with self._decoders:
                future.set_result(build_levels(load()))
        except BaseException as error:
            with self._lock:
                self._entries.pop(key, None)
            future.set_exception(error)
            return
        with self._lock:
            self._evict(newest=key)

    def _evict(self, newest: str) -> None:
        held = sum(_size(future) for future in self._entries.values())
        for key in [key for key, future in self._entries.items() if future.done() and key != newest]:
            if held <= self._max_bytes:
                return
            held -= _size(self._entries.pop(key))


def _size(future: Future[Levels]) -> int:
    return sum(level.nbytes for level in future.result()) if future.done() and not future.exception() else 0
