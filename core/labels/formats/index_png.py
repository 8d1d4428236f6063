"""Class-index PNGs: one grey byte a pixel, 0 to 5 for the classes and 255 for unlabelled, as training programs read."""

import cv2

from core.classes import ClassRaster

SUFFIX = "_classes.png"


def encode(raster: ClassRaster) -> bytes:
    """A class raster as an 8-bit grey PNG of its own values."""
    _, encoded = cv2.imencode(".png", raster, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    return bytes(encoded.tobytes())
