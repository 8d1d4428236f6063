"""The guided filter: smooth class probabilities along the image, and stop at its edges.

He, Sun & Tang (2013), "Guided image filtering", IEEE TPAMI 35(6). In every window the output is a linear function
of the guide, fitted to the input with a ridge penalty; what is flat in the guide is averaged, what steps in it
is kept. The guide is grey, which is six times cheaper than a colour guide; box filters make the cost independent
of the radius.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from core.inference.limits import Limit, check_limits

GUIDED_LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "radius_metres": Limit(0.5, 100, 0.5, "metres", "half the side of the window that is averaged over"),
        "edge_grey_levels": Limit(1, 64, 0.5, "grey levels", "weaker edges than this are averaged across"),
    }
)


@dataclass(frozen=True, slots=True)
class GuidedParameters:
    """How far the guided filter averages, and which edges it keeps. Raises ``InputError`` outside ``GUIDED_LIMITS``."""

    radius_metres: float = 8.0
    edge_grey_levels: float = 8.0

    def __post_init__(self) -> None:
        check_limits("The guided filter's", asdict(self), GUIDED_LIMITS)

    @property
    def epsilon(self) -> float:
        """The ridge penalty: the squared grey levels of an edge, for a guide that runs from 0 to 1."""
        return (self.edge_grey_levels / 255) ** 2

    def radius(self, metres_per_pixel: tuple[float, float]) -> tuple[int, int]:
        """In pixels, (rows, columns), at least 1."""
        rows, columns = (max(1, round(self.radius_metres / side)) for side in metres_per_pixel)
        return rows, columns


def guided_filter(
    probabilities: NDArray[np.float32], image: NDArray[np.uint8], *, radius: tuple[int, int], epsilon: float
) -> NDArray[np.float32]:
    """Filter class probabilities (classes, height, width) float32 along an RGB image (height, width, 3) uint8.

    ``radius`` is (rows, columns) in pixels: windows are 2 r + 1 wide. ``epsilon`` is in squared grey values of a
    guide that runs from 0 to 1: variance below it counts as flat. Returns new probabilities that add up to one.
    """
    size = (2 * radius[1] + 1, 2 * radius[0] + 1)

    def box(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.boxFilter(plane, -1, size, borderType=cv2.BORDER_REFLECT_101), np.float32)

    guide = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
    guide_mean = box(guide)
    spread = box(np.square(guide)) - np.square(guide_mean) + np.float32(epsilon)
    filtered = np.empty_like(probabilities)
    for plane, out in zip(probabilities, filtered, strict=True):
        mean = box(plane)
        slope = (box(guide * plane) - guide_mean * mean) / spread
        offset = mean - slope * guide_mean
        # A line can overshoot on a bright or dark speck; a probability cannot.
        np.maximum(box(slope) * guide + box(offset), 0, out=out)
    # Before the cut at zero the classes add up to one, so their sum here is at least one.
    filtered /= filtered.sum(axis=0)
    return filtered
