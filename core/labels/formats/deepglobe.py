"""DeepGlobe's masks: an RGB PNG in the seven colours, as the data set itself has them."""

import cv2

from core.classes import ClassRaster, encode_colours

SUFFIX = "_mask.png"


def encode(raster: ClassRaster) -> bytes:
    """A class raster as a DeepGlobe mask: 24-bit RGB PNG, unlabelled black."""
    bgr = cv2.cvtColor(encode_colours(raster), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    return bytes(encoded.tobytes())
