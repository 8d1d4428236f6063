"""Mean field of the CRF (``core.inference.crf``) at working size, and its last update at full size."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from core.inference import crf_kernels
from core.inference.bilateral_grid import BilateralGrid, Planes
from core.inference.crf import CrfParameters
from core.inference.row_threads import in_row_ranges


def mean_field(
    unary: Planes, image: NDArray[np.uint8], resolution: tuple[float, float], parameters: CrfParameters
) -> Planes:
    """The weighted message into every pixel after all updates but the last: (height, width, classes) float32.

    ``unary`` are probabilities, ``image`` (height, width, 3) uint8 RGB, both at ``resolution`` metres a pixel,
    (rows, columns).
    """
    unary = np.maximum(unary, crf_kernels.FLOOR)
    metres = parameters.bilateral_metres
    grid = BilateralGrid(
        image,
        deviation_pixels=(metres / resolution[0], metres / resolution[1]),
        deviation_grey_levels=parameters.bilateral_grey_levels,
    )
    blur = _Blur(unary.shape[:2], tuple(parameters.smooth_metres / side for side in resolution))
    # What is passed on from update to update are the marginals times the blur's normaliser: both kernels start there.
    scale = np.asarray(np.outer(*blur.normalisers), np.float32)
    before = np.asarray(grid.normaliser / scale, np.float32)
    after = grid.normaliser * np.float32(parameters.bilateral_weight)
    scale *= np.float32(parameters.smooth_weight)
    marginals = np.zeros_like(unary)
    in_row_ranges(crf_kernels.update, (unary, marginals, blur.normalisers), unary.shape[0])
    for iteration in range(parameters.iterations):
        message = blur.of(marginals)
        message *= scale[..., None]
        grid.add_filtered(marginals, before, message, after)
        if iteration + 1 < parameters.iterations:
            in_row_ranges(crf_kernels.update, (unary, message, blur.normalisers), unary.shape[0])
        marginals = message
    return marginals


def last_update(probabilities: NDArray[np.float32], message: Planes) -> NDArray[np.float32]:
    """The last update at full size: the marginals of probabilities (classes, height, width).

    ``message`` (rows, columns, classes) is interpolated bilinearly between the centres of its pixels.
    """
    _, height, width = probabilities.shape
    marginals = np.empty_like(probabilities)
    taps = _between(height, message.shape[0]), _between(width, message.shape[1])
    in_row_ranges(crf_kernels.last_update, (probabilities, message, taps, marginals), height)
    return marginals


def _between(full: int, small: int) -> crf_kernels.Between:
    """Of ``full`` pixels along an axis among ``small`` ones of the same length together."""
    position = ((np.arange(full) + 0.5) * small / full - 0.5).clip(0, small - 1)
    first = np.floor(position).astype(np.int32)
    second = np.minimum(first + 1, small - 1).astype(np.int32)
    return crf_kernels.Between(first, second, (position - first).astype(np.float32))


class _Blur:
    """The Gaussian kernel over place alone.

    ``normalisers`` are D^-1/2 by row and by column, so that the border is treated like the rest: the kernel is a
    product of one over rows and one over columns, and so are its sums.
    """

    def __init__(self, shape: tuple[int, ...], deviation_pixels: tuple[float, ...]) -> None:
        self._kernels = [_gaussian(deviation) for deviation in deviation_pixels]
        rows, columns = (_inverse_root(n, kernel) for n, kernel in zip(shape, self._kernels, strict=True))
        self.normalisers = rows, columns

    def of(self, planes: Planes) -> Planes:
        down, across = self._kernels
        blurred = cv2.sepFilter2D(planes, -1, across, down, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(blurred, np.float32).reshape(planes.shape)


def _gaussian(deviation: float) -> NDArray[np.float32]:
    """Sampled out to four deviations, and summing to 1."""
    places = np.arange(-math.ceil(4 * deviation), math.ceil(4 * deviation) + 1)
    kernel = np.exp(-0.5 * (places / deviation) ** 2)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _inverse_root(length: int, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """D^-1/2 along one axis."""
    reach = len(kernel) // 2
    sums = np.convolve(np.ones(length, np.float32), kernel)[reach : reach + length]
    return np.asarray(1 / np.sqrt(sums), np.float32)
