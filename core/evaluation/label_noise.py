"""Where the truth itself may be wrong: the model is confident there, and the given mask says something else.

Confident learning (Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in dataset labels")
counts a pixel labelled i as confidently j where its probability of j reaches the threshold of j, the mean probability
of j over the pixels that are labelled j; where several classes reach theirs, the most probable counts. Off the diagonal
these are the likely label errors. The probabilities must be those of a model that never trained on the tile.

Pixels are gathered into connected regions, and thin ones are left out: at a border of two classes truth and prediction
differ by where the line was drawn, not by what is there. The regions are ranked by confidence x area. The model can be
confidently wrong as well; so a person looks at each and decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.evaluation.error_regions import Mask, cut_regions
from core.inference.predict import Probabilities
from core.labels.strokes import Box

LEAST_METRES = 10.0
"""A region narrower than this everywhere is a matter of where a border was drawn."""

AT_MOST = 30
"""Regions kept of a tile: the first of a ranking are looked at, hundreds by nobody."""

_CANDIDATES = 60  # of each pair of classes, by area, before the ranking


@dataclass(frozen=True, slots=True)
class Finding:
    """A region where prediction and truth disagree.

    ``true_class`` is what the truth says (of a false alarm: of most of its pixels), ``predicted`` what the model says,
    ``confidence`` the mean probability of that, 0 to 1, or None where a run has no probabilities. ``mask`` is
    (box.height, box.width) bool.
    """

    box: Box
    pixels: int
    true_class: int
    predicted: int
    confidence: float | None
    mask: Mask

    @property
    def weight(self) -> float:
        """Confidence x area, in pixels: the greater the sooner it is shown."""
        return self.pixels * (1.0 if self.confidence is None else self.confidence)


def confidence_sums(probabilities: Probabilities, truth: ClassRaster) -> NDArray[np.float64]:
    """Of every class, over the pixels labelled so: their number and the sum of its probability, ``(6, 2)``.

    They add up over tiles. ``probabilities`` is (6, height, width) float32, ``truth`` (height, width) uint8.
    """
    labelled = (truth == index for index in range(CLASS_COUNT))
    return np.array(
        [(mask.sum(), plane[mask].sum(dtype=np.float64)) for plane, mask in zip(probabilities, labelled, strict=True)]
    )


def thresholds(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each class's mean probability over the pixels labelled so, ``(6,)``; infinite where none is."""
    pixels, total = sums.T
    return np.where(pixels > 0, total / np.maximum(pixels, 1), np.inf)


def doubts(
    probabilities: Probabilities, truth: ClassRaster, limits: NDArray[np.float64], *, metres_per_pixel: float
) -> list[Finding]:
    """The regions of a tile where the model confidently says something else than the truth, the weightiest first.

    ``probabilities`` is (6, height, width) float32, ``truth`` (height, width) uint8, ``limits`` those of
    ``thresholds``. At most ``AT_MOST``.
    """
    confident, sure = _confident_classes(probabilities, limits)
    found = []
    for true_class in range(CLASS_COUNT):
        labelled = truth == true_class
        for said in np.unique(confident[labelled]):
            if said not in (true_class, UNLABELLED):
                mask = labelled & (confident == said)
                found += _findings(mask, sure, truth, int(said), metres_per_pixel)
    return _weightiest(found)


def false_positives(
    alarms: Sequence[Mask], probabilities: Probabilities | None, truth: ClassRaster, *, metres_per_pixel: float
) -> list[Finding]:
    """The regions of a tile that were predicted as a class and are others, ``AT_MOST`` of each class.

    ``alarms`` are the masks (height, width) by predicted class; the confidence is the mean probability of that class.
    """
    found = []
    for predicted, mask in enumerate(alarms):
        plane = None if probabilities is None else probabilities[predicted]
        found += _weightiest(_findings(mask, plane, truth, predicted, metres_per_pixel))
    return found


def _confident_classes(
    probabilities: Probabilities, limits: NDArray[np.float64]
) -> tuple[ClassRaster, NDArray[np.float32]]:
    """The most probable class of those that reach their thresholds (255: none does), and its probability."""
    best = np.zeros(probabilities.shape[1:], np.float32)
    found = np.full(best.shape, UNLABELLED, np.uint8)
    for index, (plane, limit) in enumerate(zip(probabilities, limits, strict=True)):
        better = (plane >= limit) & (plane > best)
        best[better] = plane[better]
        found[better] = index
    return found, best


def _findings(
    mask: Mask, said: NDArray[np.float32] | None, truth: ClassRaster, predicted: int, metres_per_pixel: float
) -> list[Finding]:
    found = []
    for region, inside in cut_regions(mask, at_most=_CANDIDATES):
        # Padded, so that the edge of the box is a border too; the widest circle's diameter is how wide the region is.
        widest = 2 * float(cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5).max())
        if widest * metres_per_pixel < LEAST_METRES:
            continue
        confidence = None if said is None else float(said[region.box.slices][inside].mean())
        votes = np.bincount(truth[region.box.slices][inside], minlength=CLASS_COUNT)
        found.append(Finding(region.box, region.pixels, int(votes.argmax()), predicted, confidence, inside))
    return found


def _weightiest(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda one: -one.weight)[:AT_MOST]
