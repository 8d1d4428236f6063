"""Small regions: islands of a few pixels that no person would have drawn, filled from what surrounds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, ClassRaster
from core.errors import InputError

MAX_SQUARE_METRES = 1_000_000
"""A square kilometre, two thirds of a DeepGlobe tile: a larger smallest region leaves nothing."""

_NO_REGION = 0


class Sides(NamedTuple):
    """On which sides a picture goes on beyond the piece of it that is at hand."""

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False


WHOLE = Sides()
"""A picture that ends on all sides."""


@dataclass(frozen=True, slots=True)
class _Regions:
    """The 4-connected regions of a raster. Region 0 stands for all unlabelled pixels."""

    numbers: NDArray[np.int32]  # (height, width)
    classes: NDArray[np.int64]  # (regions,)
    sizes: NDArray[np.int64]  # (regions,), pixels


def smallest_in_pixels(square_metres: Sequence[float], metres_per_pixel: tuple[float, float]) -> tuple[int, ...]:
    """The smallest areas by class in pixels, as ``remove_small_regions`` takes them.

    Raises ``InputError`` unless there is one area a class, at least 0 and at most ``MAX_SQUARE_METRES``.
    """
    if len(square_metres) != CLASS_COUNT or not all(0 <= area <= MAX_SQUARE_METRES for area in square_metres):
        raise InputError(
            f"The smallest regions are {CLASS_COUNT} areas, one a class, between 0 and {MAX_SQUARE_METRES} square "
            f"metres, not {', '.join(f'{area:g}' for area in square_metres) or 'none'}."
        )
    pixel = metres_per_pixel[0] * metres_per_pixel[1]
    return tuple(round(area / pixel) for area in square_metres)


def remove_small_regions(
    raster: ClassRaster,
    probabilities: NDArray[np.float32] | None,
    *,
    min_pixels: int | Sequence[int],
    open_sides: Sides = WHOLE,
) -> ClassRaster:
    """Fill every 4-connected region of fewer than ``min_pixels`` pixels from its neighbours; returns a new raster.

    ``min_pixels`` is one number for all classes, or one for each: a pond is worth keeping where a speck of rangeland
    of its size is not.

    A small region takes a class of the kept regions that touch it: the one of highest mean probability in it, or,
    without ``probabilities`` (6, height, width), the one with the longest common border. Small regions among small
    ones are filled from the outside inwards. Unlabelled pixels (255) stay and fill nothing; a small region that
    only unlabelled pixels surround stays as well. A region that reaches one of the ``open_sides`` goes on beyond them,
    nobody knows how far, and is kept.
    """
    regions = _label(raster)
    small = regions.sizes < np.broadcast_to(min_pixels, CLASS_COUNT)[regions.classes]
    small[_NO_REGION] = False
    edges = (regions.numbers[0], regions.numbers[-1], regions.numbers[:, 0], regions.numbers[:, -1])
    for edge, is_open in zip(edges, open_sides, strict=True):
        if is_open:
            small[edge] = False
    if not small.any():
        return raster.copy()
    links = _links(regions.numbers, small)
    preference = None if probabilities is None else _mean_probabilities(regions, small, probabilities)
    classes = _fill(regions.classes, small, links, preference)
    table = classes.astype(np.uint8)
    filled = raster.copy()
    pixels = small[regions.numbers]
    filled[pixels] = table[regions.numbers[pixels]]
    return filled


def _label(raster: ClassRaster) -> _Regions:
    numbers = np.zeros(raster.shape, np.int32)
    classes, sizes = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    total = 0
    for index in range(CLASS_COUNT):
        mask = (raster == index).view(np.uint8)
        count, own, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        np.add(numbers, own + total, out=numbers, where=mask.view(bool))
        classes.append(np.full(count - 1, index, np.int64))
        sizes.append(stats[1:, cv2.CC_STAT_AREA].astype(np.int64))
        total += count - 1
    return _Regions(numbers, np.concatenate(classes), np.concatenate(sizes))


def _links(numbers: NDArray[np.int32], small: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(links, 3): a small region, a region that touches it, and the length of their common border in pixels."""
    keys = []
    for one, other in ((numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:])):
        border = (one != other) & (one != _NO_REGION) & (other != _NO_REGION)
        u, v = one[border].astype(np.int64), other[border].astype(np.int64)
        keys += [(u * small.size + v)[small[u]], (v * small.size + u)[small[v]]]
    pairs, lengths = np.unique(np.concatenate(keys), return_counts=True)
    return np.stack([*np.divmod(pairs, small.size), lengths], axis=1)


def _mean_probabilities(
    regions: _Regions, small: NDArray[np.bool_], probabilities: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Up to the factor 1 / size, which no comparison within a region needs: (regions, 6)."""
    pixels = np.flatnonzero(small[regions.numbers])
    owners = regions.numbers.ravel()[pixels]
    sums = [np.bincount(owners, weights=plane.reshape(-1)[pixels], minlength=small.size) for plane in probabilities]
    return np.stack(sums, axis=1)


def _fill(
    classes: NDArray[np.int64],
    small: NDArray[np.bool_],
    links: NDArray[np.int64],
    preference: NDArray[np.float64] | None,
) -> NDArray[np.int64]:
    """The class of every region after filling, from the kept regions inwards."""
    filled = classes.copy()
    settled = ~small
    waiting = links
    while True:
        ready = settled[waiting[:, 1]]
        if not ready.any():
            return filled
        owner, neighbour, length = waiting[ready].T
        front, row = np.unique(owner, return_inverse=True)
        border = np.zeros((front.size, CLASS_COUNT), np.int64)
        np.add.at(border, (row, filled[neighbour]), length)
        merit = border if preference is None else np.where(border > 0, preference[front], -1.0)
        filled[front] = merit.argmax(axis=1)
        settled[front] = True
        waiting = waiting[~settled[waiting[:, 0]]]
