"""Refinement by a fully connected CRF: pixels that are near and alike in colour should be of one class.

The model is that of Kraehenbuehl & Koltun (2011), "Efficient inference in fully connected CRFs with Gaussian edge
potentials": every pair of pixels is joined by a bilateral kernel (place and colour) and a smoothness kernel (place
alone), with Potts compatibility, and solved by mean field:

    q(i) = softmax over classes of (log p(i) + sum over kernels m of w_m * (K_m q)(i))

Each kernel matrix is normalised symmetrically, K = D^-1/2 G D^-1/2 with D = G 1, so that a weight means the same
in a busy and in a calm place. As in the authors' program, a pixel's own share of a message stays in.

The bilateral kernel is not summed over pairs. It is evaluated on a sparse grid (``BilateralGrid``), in time that
grows with the pixels alone. The smoothness kernel is an ordinary Gaussian blur.

Mean field runs on the ground resolution that the networks see (``working_metres``). Only the messages are brought
up to full size, bilinearly, and the last update is made there with the full-size probabilities.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.inference.limits import Limit, check_limits

MAX_WEIGHT = 40.0
"""Of the two weights together: keeps every exponential within float32."""

CRF_LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "bilateral_metres": Limit(5, 500, 1, "metres", "how far pixels of like colour hear each other"),
        "bilateral_grey_levels": Limit(3, 128, 1, "grey levels", "how unlike colours may be to count as alike"),
        "bilateral_weight": Limit(0, 40, 0.5, "", "how strongly pixels of like colour pull each other"),
        "smooth_metres": Limit(0.1, 50, 0.5, "metres", "how far neighbours of any colour hear each other"),
        "smooth_weight": Limit(0, 40, 0.5, "", "how strongly neighbours of any colour pull each other"),
        "iterations": Limit(1, 50, 1, "", "how often the messages are passed"),
        "working_metres": Limit(0.1, 10, 0.1, "metres a pixel", "the resolution at which messages are passed"),
    }
)
"""What each may be. The finer the bilateral kernel, the more memory: a tile of 2448 x 2448 takes 0.2 GB by default,
1.2 GB at 5 m and 3 grey levels."""


@dataclass(frozen=True, slots=True)
class CrfParameters:
    """How far and how strongly pixels speak to each other. Standard deviations in metres and grey levels (0..255).

    Raises ``InputError`` outside ``CRF_LIMITS``.
    """

    bilateral_metres: float = 40.0
    bilateral_grey_levels: float = 13.0
    bilateral_weight: float = 4.0
    smooth_metres: float = 2.0
    smooth_weight: float = 1.0
    iterations: int = 5
    working_metres: float = 1.0

    def __post_init__(self) -> None:
        check_limits("The CRF's", asdict(self), CRF_LIMITS)
        weights = self.bilateral_weight + self.smooth_weight
        if weights > MAX_WEIGHT:
            raise InputError(f"The CRF's weights may be {MAX_WEIGHT:g} together, not {weights:g}; lower one of them.")


def dense_crf(
    probabilities: NDArray[np.float32],
    image: NDArray[np.uint8],
    *,
    metres_per_pixel: tuple[float, float],
    parameters: CrfParameters | None = None,
) -> NDArray[np.float32]:
    """Refine class probabilities (classes, height, width) float32 with an RGB image (height, width, 3) uint8.

    ``metres_per_pixel`` is (rows, columns). Returns new probabilities, the mean-field marginals, that add up to one.
    """
    # Imported late: the compiler takes a second to load, and whoever only names the parameters need not wait for it.
    from core.inference.mean_field import last_update, mean_field  # noqa: PLC0415

    chosen = parameters or CrfParameters()
    height, width = image.shape[:2]
    rows = max(1, round(height * min(1.0, metres_per_pixel[0] / chosen.working_metres)))
    columns = max(1, round(width * min(1.0, metres_per_pixel[1] / chosen.working_metres)))
    resolution = (metres_per_pixel[0] * height / rows, metres_per_pixel[1] * width / columns)
    small_image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    unary = np.empty((rows, columns, probabilities.shape[0]), np.float32)
    for index, plane in enumerate(probabilities):
        unary[..., index] = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
    message = mean_field(unary, small_image, resolution, chosen)
    return last_update(np.ascontiguousarray(probabilities, np.float32), message)
