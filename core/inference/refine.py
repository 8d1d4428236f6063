"""Refinement of class probabilities with the image: none, guided filter or CRF, by name.

The lengths are in metres, so that a run does the same on the ground whatever the tile's resolution.
"""

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.inference.crf import dense_crf
from core.inference.guided_filter import guided_filter

REFINEMENTS = ("none", "guided", "crf")

GUIDED_RADIUS_METRES = 8.0
GUIDED_EPSILON = 1e-3  # a standard deviation of 8 grey levels: texture below it is averaged


def refine(
    name: str, probabilities: NDArray[np.float32], image: NDArray[np.uint8], *, metres_per_pixel: tuple[float, float]
) -> NDArray[np.float32]:
    """Refine class probabilities (6, height, width) float32 with an RGB image (height, width, 3) uint8.

    ``metres_per_pixel`` is (rows, columns). Returns probabilities that add up to one; for ``none`` the ones given.
    Raises ``InputError`` for an unknown name.
    """
    if name == "none":
        return probabilities
    if name == "guided":
        rows, columns = (max(1, round(GUIDED_RADIUS_METRES / side)) for side in metres_per_pixel)
        return guided_filter(probabilities, image, radius=(rows, columns), epsilon=GUIDED_EPSILON)
    if name == "crf":
        return dense_crf(probabilities, image, metres_per_pixel=metres_per_pixel)
    raise InputError(f"There is no refinement '{name}'; choose one of {', '.join(REFINEMENTS)}.")
