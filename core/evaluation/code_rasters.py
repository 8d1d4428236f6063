"""Class rasters for the browser as one small number a pixel, compressed: nothing is left to be decoded there.

A mask of 2448 x 2448 as PNG keeps a browser busy for a fifth of a second until it has the classes of its pixels; these
are inflated on the way in. 0..5 are the classes, 6 is unlabelled, 7 lies where the prediction was never meant to say
anything; ``assets/components/compare/rasters.js`` names them too.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from core.catalog.routes import MAX_MASK_SIDE
from core.classes import CLASS_COUNT, ClassRaster
from core.inference.extent import Extent

UNLABELLED_CODE, OUTSIDE_CODE = CLASS_COUNT, CLASS_COUNT + 1
_KEPT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class CodeRaster:
    """The codes of a raster row by row, compressed by zlib, and its width and height in pixels."""

    packed: bytes
    width: int
    height: int


def pack_codes(raster: ClassRaster, covers: Extent) -> CodeRaster:
    """The codes of a class raster (height, width) uint8 of which ``covers`` was meant to say something.

    A raster with a side over 4096 pixels is sent reduced, by nearest pixels.
    """
    height, width = raster.shape
    codes = np.full((height, width), OUTSIDE_CODE, np.uint8)
    inside = covers.crop(codes)
    inside[:] = np.minimum(covers.crop(raster), UNLABELLED_CODE)
    longest = max(height, width)
    if longest > MAX_MASK_SIDE:
        height, width = (max(1, round(side * MAX_MASK_SIDE / longest)) for side in (height, width))
        codes = np.asarray(cv2.resize(codes, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    return CodeRaster(zlib.compress(codes.tobytes(), 1), width, height)


class CodeRasters:
    """The code rasters that were asked for last, by what they were made from; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, CodeRaster] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, version: str, make: Callable[[], CodeRaster]) -> CodeRaster:
        """The raster of this version, made where it is not at hand."""
        with self._lock:
            found = self._kept.get(version)
        if found is None:
            found = make()
        with self._lock:
            self._kept[version] = found
            self._kept.move_to_end(version)
            while sum(len(one.packed) for one in self._kept.values()) > _KEPT_BYTES and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return found
