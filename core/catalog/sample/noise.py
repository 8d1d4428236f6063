"""Random fields: the raw material of borders, mottles and relief."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""``(size, size)`` float32, about zero mean and unit spread."""


def fractal(rng: np.random.Generator, size: int, *, coarsest: float, finest: float = 1.0, gain: float = 0.6) -> Field:
    """A field with features from ``coarsest`` down to ``finest`` pixels, each octave ``gain`` times the one above.

    Octaves are added from the coarse end and enlarged together, so only the last step works at full size.
    """
    octaves = max(1, round(np.log2(max(coarsest / finest, 1.0))) + 1)
    side = int(np.ceil(size / coarsest)) + 3
    field = rng.standard_normal((side, side), np.float32)
    variance, amplitude, scale = 1.0, 1.0, coarsest
    for _ in range(octaves - 1):
        # The spare border is cut as we go, or each octave would carry the margin of the coarsest one.
        side = min(side * 2, int(np.ceil(2 * size / scale)) + 6)
        field = cv2.resize(field, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)[:side, :side]
        amplitude *= gain
        variance += amplitude**2
        scale /= 2
        field = field + np.float32(amplitude) * rng.standard_normal(field.shape, np.float32)
    return enlarge(field / np.float32(np.sqrt(variance)), size, scale)


def enlarge(field: Field, size: int, scale: float) -> Field:
    """The first ``size`` x ``size`` pixels of ``field`` with each cell ``scale`` pixels wide, interpolated."""
    if scale <= 1:
        return np.ascontiguousarray(field[:size, :size])
    matrix = np.array([[1 / scale, 0, 0.5], [0, 1 / scale, 0.5]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    enlarged: Field = cv2.warpAffine(field, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return enlarged


def shifted(field: Field, across: float, down: float) -> Field:
    """``field`` moved by a whole number of pixels, its border repeated."""
    matrix = np.array([[1, 0, round(across)], [0, 1, round(down)]], np.float32)
    moved: Field = cv2.warpAffine(
        field, matrix, field.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return moved
