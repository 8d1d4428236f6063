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

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from core.errors import InputError

Planes = NDArray[np.float32]
"""``(height, width, classes)`` float32: class last, so that one pixel's classes lie side by side in memory."""

MAX_WEIGHT = 40.0  # keeps every exponential within float32
_FLOOR = 1e-5  # log probabilities are cut here: no class is ruled out for good


@dataclass(frozen=True, slots=True)
class CrfParameters:
    """How far and how strongly pixels speak to each other. Standard deviations in metres and grey levels (0..255)."""

    bilateral_metres: float = 40.0
    bilateral_grey_levels: float = 13.0
    bilateral_weight: float = 4.0
    smooth_metres: float = 2.0
    smooth_weight: float = 1.0
    iterations: int = 5
    working_metres: float = 1.0

    def __post_init__(self) -> None:
        lengths = (self.bilateral_metres, self.bilateral_grey_levels, self.smooth_metres, self.working_metres)
        weights = (self.bilateral_weight, self.smooth_weight)
        if min(lengths) <= 0 or self.bilateral_grey_levels < 1 or self.iterations < 1:
            raise InputError(f"The CRF needs lengths above 0, at least 1 grey level and 1 iteration, not {self}.")
        if min(weights) < 0 or sum(weights) > MAX_WEIGHT:
            raise InputError(f"The CRF's weights must lie between 0 and {MAX_WEIGHT} in sum, not {weights}.")


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
    chosen = parameters or CrfParameters()
    height, width = image.shape[:2]
    rows = max(1, round(height * min(1.0, metres_per_pixel[0] / chosen.working_metres)))
    columns = max(1, round(width * min(1.0, metres_per_pixel[1] / chosen.working_metres)))
    resolution = (metres_per_pixel[0] * height / rows, metres_per_pixel[1] * width / columns)
    small_image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    unary = np.empty((rows, columns, probabilities.shape[0]), np.float32)
    for index, plane in enumerate(probabilities):
        unary[..., index] = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
    message = _mean_field(_log(unary), small_image, resolution, chosen)
    return _last_update(probabilities, message)


def _mean_field(
    log_unary: Planes, image: NDArray[np.uint8], resolution: tuple[float, float], parameters: CrfParameters
) -> Planes:
    """The weighted message into every pixel after all updates but the last: (height, width, classes)."""
    metres = parameters.bilateral_metres
    grid = BilateralGrid(
        image,
        deviation_pixels=(metres / resolution[0], metres / resolution[1]),
        deviation_grey_levels=parameters.bilateral_grey_levels,
    )
    smooth = _Smoothness(log_unary.shape[:2], tuple(parameters.smooth_metres / side for side in resolution))
    marginals = _softmax(log_unary.copy())
    message = np.zeros_like(log_unary)
    for iteration in range(parameters.iterations):
        message = grid.filter(marginals)
        message *= np.float32(parameters.bilateral_weight)
        message += np.float32(parameters.smooth_weight) * smooth.filter(marginals)
        if iteration + 1 < parameters.iterations:
            marginals = _softmax(log_unary + message)
    return message


def _last_update(probabilities: NDArray[np.float32], message: Planes) -> NDArray[np.float32]:
    """The last mean-field update at full size, with the message brought up bilinearly, class by class."""
    _, height, width = probabilities.shape
    marginals = _log(probabilities)
    for index in range(marginals.shape[0]):
        own = np.ascontiguousarray(message[..., index])
        marginals[index] += cv2.resize(own, (width, height), interpolation=cv2.INTER_LINEAR)
    np.exp(marginals, out=marginals)
    marginals /= marginals.sum(axis=0)
    return marginals


class BilateralGrid:
    """The bilateral kernel exp(-|place|^2 / 2 s^2 - |colour|^2 / 2 c^2) of one image, as sparse matrices.

    A grid over (row, column, red, green, blue) of which only the occupied cells exist, as the simplified grid of
    Barron & Poole (2016), "The fast bilateral solver". Pixels are *splatted* onto it, the grid is *blurred* by
    [1 2 1] / 4 along its five axes, and *sliced* at the pixels. Colour goes to the nearest cell; place is shared
    bilinearly among four, since the cells are tens of pixels wide and would show as blocks.

    Splat, blur and slice together widen a point: by 1/2 (blur) + 1/6 (nearest, twice) cells squared along a colour
    axis, by 1/2 + 1/3 (bilinear, twice) along a place axis. The cell sizes make that the variance asked for.
    Missing cells make the product of the five blurs depend on their order, so it is averaged with the reverse
    order, which keeps the kernel symmetric.
    """

    def __init__(
        self, image: NDArray[np.uint8], *, deviation_pixels: tuple[float, float], deviation_grey_levels: float
    ) -> None:
        self._shape = image.shape[:2]
        pixels = image.shape[0] * image.shape[1]
        bases, shares = _cells(image, deviation_pixels, deviation_grey_levels)
        used_bases = np.unique(bases)
        corners = used_bases[:, None] + _CORNER_STEPS
        occupied = np.unique(corners)
        corner_numbers = np.searchsorted(occupied, corners).astype(np.int32)
        indices = corner_numbers[np.searchsorted(used_bases, bases)]
        first = np.arange(0, 4 * pixels + 1, 4, dtype=np.int32)
        self._slice = sparse.csr_matrix((shares.ravel(), indices.ravel(), first), shape=(pixels, occupied.size))
        self._splat = self._slice.T.tocsr()
        self._blurs = [_blur_matrix(occupied, axis) for axis in range(5)]
        degree = self._apply(np.ones((pixels, 1), np.float32))
        self._normaliser = _inverse_root(degree)

    def filter(self, planes: Planes) -> Planes:
        """The symmetrically normalised kernel times (height, width, classes) float32."""
        flat = planes.reshape(-1, planes.shape[2])
        filtered = self._apply(np.multiply(flat, self._normaliser, dtype=np.float32))
        filtered *= self._normaliser
        return filtered.reshape(planes.shape)

    def _apply(self, flat: NDArray[np.float32]) -> NDArray[np.float32]:
        grid = self._splat @ flat
        forward = backward = grid
        for blur in self._blurs:
            forward = blur @ forward
        for blur in reversed(self._blurs):
            backward = blur @ backward
        return np.asarray(self._slice @ ((forward + backward) * np.float32(0.5)), np.float32)


class _Smoothness:
    """The Gaussian kernel over place alone, symmetrically normalised, so that the border is treated like the rest."""

    def __init__(self, shape: tuple[int, int], deviation_pixels: tuple[float, ...]) -> None:
        self._deviation = deviation_pixels
        self._normaliser = _inverse_root(self._blur(np.ones((*shape, 1), np.float32)))

    def filter(self, planes: Planes) -> Planes:
        filtered = self._blur(np.multiply(planes, self._normaliser, dtype=np.float32))
        filtered *= self._normaliser
        return filtered

    def _blur(self, planes: Planes) -> Planes:
        sigma_y, sigma_x = self._deviation
        blurred = cv2.GaussianBlur(planes, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(blurred, np.float32).reshape(planes.shape)


# Cells are numbered by five fields of one 64-bit word, each with room for a neighbour on both sides.
_FIELD_BITS = (14, 14, 10, 10, 10)
_FIELD_SHIFTS = tuple(int(sum(_FIELD_BITS[axis + 1 :])) for axis in range(5))
_CORNER_STEPS = np.array(
    [0, 1 << _FIELD_SHIFTS[1], 1 << _FIELD_SHIFTS[0], (1 << _FIELD_SHIFTS[0]) + (1 << _FIELD_SHIFTS[1])]
)
_PLACE_VARIANCE = 1 / 2 + 1 / 3
_COLOUR_VARIANCE = 1 / 2 + 1 / 6


def _cells(
    image: NDArray[np.uint8], deviation_pixels: tuple[float, float], deviation_grey_levels: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first of the four cells that each pixel is shared among, (pixels,), and its shares, (pixels, 4)."""
    height, width = image.shape[:2]
    colour_cell = deviation_grey_levels / np.sqrt(_COLOUR_VARIANCE)
    levels = np.floor(np.arange(256) / colour_cell).astype(np.int64) + 1
    below, row_share = _place(height, deviation_pixels[0])
    left, column_share = _place(width, deviation_pixels[1])
    cells = (below << _FIELD_SHIFTS[0])[:, None] + (left << _FIELD_SHIFTS[1])[None, :]
    for channel in range(3):
        cells += (levels << _FIELD_SHIFTS[2 + channel])[image[..., channel]]
    of_rows, of_columns = np.stack([1 - row_share, row_share]), np.stack([1 - column_share, column_share])
    shares = np.einsum("ay,bx->yxab", of_rows, of_columns)
    return cells.ravel(), np.ascontiguousarray(shares).reshape(-1, 4)


def _place(length: int, deviation: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Along one axis: the cell below each pixel, from 1, and the share of the next cell."""
    cell = max(deviation / np.sqrt(_PLACE_VARIANCE), length / (2 ** _FIELD_BITS[0] - 4))
    position = np.arange(length) / cell
    below = np.floor(position)
    return below.astype(np.int64) + 1, (position - below).astype(np.float32)


def _blur_matrix(occupied: NDArray[np.int64], axis: int) -> sparse.csr_matrix:
    """[1 2 1] / 4 along one axis between the occupied cells, given as sorted numbers."""
    step = np.int64(1) << _FIELD_SHIFTS[axis]
    neighbour = np.searchsorted(occupied, occupied + step)
    neighbour[neighbour == occupied.size] = 0
    lower = np.flatnonzero(occupied[neighbour] == occupied + step)
    upper = neighbour[lower]
    quarter = np.full(lower.size, 0.25, np.float32)
    shape = (occupied.size, occupied.size)
    upward = sparse.csr_matrix((quarter, (lower, upper)), shape=shape)
    return (sparse.identity(occupied.size, np.float32, "csr") * np.float32(0.5) + upward + upward.T).tocsr()


def _inverse_root(degree: NDArray[np.float32]) -> NDArray[np.float32]:
    """D^-1/2 of the symmetric normalisation. A degree is never zero: a pixel always hears itself."""
    return np.reciprocal(np.sqrt(degree))


def _log(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.log(np.maximum(probabilities, np.float32(_FLOOR)))


def _softmax(logits: Planes) -> Planes:
    """Softmax over the classes, in place.

    The usual shift by the largest logit is left out: log probabilities lie above log(_FLOOR) and below zero, and a
    message below its weight, so nothing overflows.
    """
    np.exp(logits, out=logits)
    total = logits.reshape(-1, logits.shape[2]) @ np.ones(logits.shape[2], np.float32)
    logits /= total.reshape(*logits.shape[:2], 1)
    return logits
