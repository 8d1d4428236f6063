"""Refinement of class probabilities with the image: none, guided filter or CRF, by name.

The lengths are in metres, so that a run does the same on the ground whatever the tile's resolution.
"""

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.inference.crf import CrfParameters, dense_crf
from core.inference.guided_filter import GuidedParameters, guided_filter

REFINEMENTS = ("none", "guided", "crf")


def refine(
    name: str,
    probabilities: NDArray[np.float32],
    image: NDArray[np.uint8],
    *,
    metres_per_pixel: tuple[float, float],
    crf: CrfParameters | None = None,
    guided: GuidedParameters | None = None,
) -> NDArray[np.float32]:
    """Refine class probabilities (6, height, width) float32 with an RGB image (height, width, 3) uint8.

    ``metres_per_pixel`` is (rows, columns); ``crf`` and ``guided`` are the parameters of the two, by default
    their own. Returns probabilities that add up to one; for ``none`` the ones given. Raises ``InputError`` for an
    unknown name.
    """
    if name == "none":
        return probabilities
    if name == "guided":
        chosen = guided or GuidedParameters()
        return guided_filter(probabilities, image, radius=chosen.radius(metres_per_pixel), epsilon=chosen.epsilon)
    if name == "crf":
        return dense_crf(probabilities, image, metres_per_pixel=metres_per_pixel, parameters=crf)
    raise InputError(f"There is no refinement '{name}'; choose one of {', '.join(REFINEMENTS)}.")
