"""How well the borders between classes are met, which a score over all pixels hardly shows.

*Boundary IoU* (Cheng et al. 2021, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR): of a
class, the pixels of its true mask within ``distance`` of that mask's contour against the same of the predicted mask,
intersection over union. As in the authors' program a contour runs along the edge of the image too, and a distance is
counted in steps of a 3 x 3 square (Chebyshev). They take 2 % of the image's diagonal, and 0.5 % for large images
(Cityscapes); here it is 0.5 %: 17 pixels, 8.7 m, of a DeepGlobe tile.

*Border bands* (trimaps; Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?", BMVC): one
confusion matrix of the pixels that have another true class within 3, 5 or 10 pixels (the same distance); any score can
be taken from it.

Where the truth is unlabelled nothing is known: those pixels are taken out of both masks, and where a class meets them
is no contour. A predicted class that meets pixels predicted unlabelled ends there, which is a contour.

All of it is counts, which add up over tiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster
from core.evaluation.confusion import Confusion, count
from core.evaluation.scores import UnlabelledRule

BAND_WIDTHS = (3, 5, 10)  # pixels
DIAGONAL_SHARE = 0.005
CONTOUR_RULE = "within 0.5 % of the tile's diagonal of a contour"

Contours = NDArray[np.int64]
"""``(..., 6, 4)`` int64, pixels near a contour by class: true, of these predicted unlabelled, predicted, both."""

_SAYS_NOTHING = CLASS_COUNT  # a pixel with a truth that is predicted unlabelled
_OUTSIDE = 200  # beyond the edge: unlike any class


@dataclass(frozen=True, slots=True)
class BoundaryCounts:
    """The counts of one tile: ``bands`` (3, 6, 7) by ``BAND_WIDTHS``, ``contours`` (6, 4) at ``distance`` pixels."""

    bands: Confusion
    contours: Contours
    distance: int

    def as_dict(self) -> dict[str, Any]:
        """The counts as a JSON-able dictionary, read by ``from_dict``."""
        bands = {str(width): band.tolist() for width, band in zip(BAND_WIDTHS, self.bands, strict=True)}
        return {"bands": bands, "contours": self.contours.tolist(), "distance": self.distance}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "BoundaryCounts":
        """The counts that ``as_dict`` told of."""
        bands = np.array([facts["bands"][str(width)] for width in BAND_WIDTHS], np.int64)
        return cls(bands, np.array(facts["contours"], np.int64), int(facts["distance"]))


def contour_distance(shape: Sequence[int]) -> int:
    """How far from a contour a pixel may lie, pixels, for a raster (height, width); at least 1."""
    return max(1, round(DIAGONAL_SHARE * float(np.hypot(shape[0], shape[1]))))


def count_boundaries(truth: ClassRaster, prediction: ClassRaster, *, distance: int | None = None) -> BoundaryCounts:
    """Count two class rasters (height, width) uint8 near the borders of their classes.

    ``distance`` is that of the boundary IoU, pixels; by default ``contour_distance``. Raises ``ValueError`` as
    ``count`` does, and for a distance below 1.
    """
    reach = contour_distance(truth.shape) if distance is None else distance
    if reach < 1:
        raise ValueError(f"the distance from a contour is at least 1 pixel, not {reach}")
    bands = [
        count(np.where(near_other_class(truth, width, edge=False), truth, np.uint8(UNLABELLED)), prediction)
        for width in BAND_WIDTHS
    ]
    said = np.where(prediction == UNLABELLED, np.uint8(_SAYS_NOTHING), prediction)
    said[truth == UNLABELLED] = UNLABELLED
    true_near = near_other_class(truth, reach, edge=True)
    said_near = near_other_class(said, reach, edge=True)
    of_truth, of_prediction = _pixels(truth, true_near), _pixels(said, said_near)
    unsaid = _pixels(truth, true_near & (said == _SAYS_NOTHING))
    both = _pixels(truth, true_near & said_near & (truth == said))
    return BoundaryCounts(np.stack(bands), np.stack([of_truth, unsaid, of_prediction, both], axis=1), reach)


def near_other_class(raster: ClassRaster, distance: int, *, edge: bool) -> NDArray[np.bool_]:
    """Where a pixel has another value within ``distance`` pixels (Chebyshev), as (height, width) bool.

    Unlabelled is no other value, and has none; ``edge`` says whether the image's edge is one. With all classes at
    once this is: the smallest or the greatest value around it is not its own.
    """
    window = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    least = cv2.erode(raster, window, borderType=cv2.BORDER_CONSTANT, borderValue=UNLABELLED)
    shifted = raster + np.uint8(1)  # unlabelled becomes 0, so that it is never the greatest
    beyond = _OUTSIDE if edge else 0
    greatest = cv2.dilate(shifted, window, borderType=cv2.BORDER_CONSTANT, borderValue=beyond)
    near: NDArray[np.bool_] = ((least != raster) | (greatest != shifted)) & (raster != UNLABELLED)
    return near


def boundary_ious(contours: Contours | NDArray[np.float64], rule: UnlabelledRule) -> NDArray[np.float64]:
    """Boundary IoU by class of counts ``(..., 6, 4)`` as ``(..., 6)``, NaN where no true contour is counted."""
    known = np.asarray(contours, np.float64)
    truth, unsaid, predicted, both = (known[..., part] for part in range(4))
    if rule == "left out":
        truth = truth - unsaid
    return np.where(truth > 0, both / np.maximum(truth + predicted - both, 1), np.nan)


def by_class(values: NDArray[np.float64]) -> dict[str, float]:
    """Six values by the name of their class, without those that are not known (NaN)."""
    return {name: float(value) for name, value in zip(CLASS_NAMES, values, strict=True) if not np.isnan(value)}


def _pixels(raster: ClassRaster, where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many pixels of each class lie ``where``, (6,)."""
    return np.bincount(raster[where], minlength=CLASS_COUNT)[:CLASS_COUNT].astype(np.int64)
