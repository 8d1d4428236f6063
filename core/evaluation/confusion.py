"""The confusion matrix of a tile: which true class was predicted as which.

Rows are the true classes 0..5. Columns are the predicted classes 0..5 and, last, *predicted unlabelled*: a
pixel for which the prediction says nothing. Pixels without a truth (255) leave the count altogether.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster

Confusion = NDArray[np.int64]
"""``(6, 7)`` int64, pixels; rows truth, columns prediction, the last column is predicted unlabelled."""

_CHUNK = 1 << 22  # pixels; OpenCV hands back float32, which counts exactly up to 2 ** 24
_VALUES = [*range(CLASS_COUNT), UNLABELLED]


def count(truth: ClassRaster, prediction: ClassRaster) -> Confusion:
    """Count the pixels of two class rasters (height, width) uint8 into a ``(6, 7)`` int64 confusion matrix.

    Raises ``ValueError`` when the shapes differ, or where a raster is not uint8 or holds other values than 0..5
    and 255.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction is {prediction.shape}")
    if truth.dtype != np.uint8 or prediction.dtype != np.uint8:
        raise ValueError(f"class rasters are uint8, not {truth.dtype} and {prediction.dtype}")
    # One pass over all 256 x 256 pairs of values: the strange ones are found without another look at the pixels.
    pairs = np.zeros((256, 256), np.int64)
    rows, columns = truth.ravel(), prediction.ravel()
    for start in range(0, rows.size, _CHUNK):
        chunk = [rows[start : start + _CHUNK], columns[start : start + _CHUNK]]
        pairs += cv2.calcHist(chunk, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    known: Confusion = pairs[np.ix_(_VALUES, _VALUES)]
    if known.sum() != rows.size:
        raise ValueError(f"class rasters hold 0..{CLASS_COUNT - 1} and {UNLABELLED} only")
    return known[:CLASS_COUNT]
