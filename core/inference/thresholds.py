"""Thresholds between the classes: offsets to their log probabilities, fitted on validation tiles, and 'abstain'.

A network is trained for its loss and judged by the mean IoU. Six numbers, one added to each class's log probability
before the greatest is taken, move the borders between the classes to where the mean IoU is best. They are found by
coordinate search: with the others held, the mean IoU as a function of one class's offset is known at every step of a
fine ladder from one histogram, so that each search is exhaustive and the result does not depend on chance.

Offsets that fit a few tiles need not fit others. So each validation tile is left out once, offsets are fitted on the
rest and tried on it at several strengths, from none to all; the weakest that does as well as any over the left-out
tiles is taken. Where offsets do not hold up, that is none, and the six numbers are 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.errors import InputError

LARGEST_OFFSET = 3.0
"""A factor of 20 between probabilities; beyond it a class is as good as forced or forbidden."""

_STEPS = 120  # of the ladder, over both signs: 0.05 each
_LADDER = np.linspace(-LARGEST_OFFSET, LARGEST_OFFSET, _STEPS + 1, dtype=np.float32)
_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_ROUNDS = 20
_AS_GOOD = 0.005  # of the mean IoU over left-out tiles: among strengths this near to the best the weakest is taken
_LEAST_GAIN = 1e-6  # of the mean IoU: what a step must bring
_LEAST = 1e-7  # probabilities are cut here before the logarithm
_PIXELS_A_TILE = 100_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Labelled pixels of validation tiles: ``log_probabilities`` (n, 6) float32 and their ``truth`` (n,) uint8."""

    log_probabilities: NDArray[np.float32]
    truth: NDArray[np.uint8]

    @classmethod
    def of_tile(
        cls, probabilities: NDArray[np.float32], truth: ClassRaster, *, pixels: int = _PIXELS_A_TILE
    ) -> "Sample":
        """At most about ``pixels`` labelled pixels of a tile's (6, height, width) probabilities, evenly spread."""
        step = max(1, round((truth.size / pixels) ** 0.5))
        rows = np.s_[step // 2 :: step, step // 2 :: step]
        seen, classes = probabilities[:, *rows].reshape(CLASS_COUNT, -1), truth[rows].ravel()
        labelled = classes != UNLABELLED
        return cls(np.log(np.maximum(seen[:, labelled].T, _LEAST)), classes[labelled])


Offset = Annotated[float, Field(ge=-LARGEST_OFFSET, le=LARGEST_OFFSET)]
Share = Annotated[float, Field(ge=0, le=1)]


class FittedOffsets(BaseModel):
    """Six offsets, in class order, and what they were fitted on.

    ``strength`` is the share of the offsets that fit best that was taken, ``before`` and ``after`` the mean IoU over
    tiles that were left out of the fit, without offsets and with those of that strength.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    offsets: tuple[Offset, Offset, Offset, Offset, Offset, Offset]
    strength: Share
    before: Share
    after: Share
    pixels: Annotated[int, Field(ge=0)]
    tiles: dict[str, str] = {}  # name -> fingerprint of the image
    switches: str = ""  # the key of what came before the offsets
    weights: str = ""  # fingerprint of the run's weights


def fit_offsets(samples: Sequence[Sample]) -> FittedOffsets:
    """The offsets for samples of two or more tiles; deterministic. Classes that no label shows keep 0.

    Raises ``InputError`` where fewer than two samples have a labelled pixel.
    """
    labelled = [sample for sample in samples if len(sample.truth)]
    if len(labelled) < 2:
        raise InputError(
            f"Offsets are fitted on some validation tiles and tried on another, and {len(labelled)} of them "
            f"{'has' if len(labelled) == 1 else 'have'} labels; name at least two labelled validation tiles."
        )
    tried = np.zeros((len(_STRENGTHS), CLASS_COUNT, CLASS_COUNT), np.int64)
    for index, left_out in enumerate(labelled):
        found = _search(_together(labelled[:index] + labelled[index + 1 :]))
        for number, strength in enumerate(_STRENGTHS):
            tried[number] += _confusion(left_out.log_probabilities + strength * found, left_out.truth)
    scores = [_mean_iou(confusion) for confusion in tried]
    best = next(number for number, score in enumerate(scores) if score >= max(scores) - _AS_GOOD)
    offsets = _STRENGTHS[best] * _search(_together(labelled))
    first, second, third, fourth, fifth, sixth = (round(float(value), 4) for value in offsets)
    return FittedOffsets(
        offsets=(first, second, third, fourth, fifth, sixth),
        strength=_STRENGTHS[best],
        before=scores[0],
        after=scores[best],
        pixels=sum(len(sample.truth) for sample in labelled),
    )


def _together(samples: Sequence[Sample]) -> Sample:
    return Sample(
        np.concatenate([sample.log_probabilities for sample in samples]),
        np.concatenate([sample.truth for sample in samples]),
    )


def _search(sample: Sample) -> NDArray[np.float32]:
    """The offsets that maximise the mean IoU on a sample, by coordinate search; (6,) float32."""
    scores, truth = sample.log_probabilities, sample.truth
    occurring = np.bincount(truth, minlength=CLASS_COUNT) > 0
    offsets = np.zeros(CLASS_COUNT, np.float32)
    best = _mean_iou(_confusion(scores, truth))
    for _ in range(_ROUNDS):
        start = best
        for index in np.flatnonzero(occurring):
            candidate, value = _best_offset(scores + offsets, float(offsets[index]), truth, int(index), occurring)
            if value > best + _LEAST_GAIN:
                offsets[index], best = candidate, value
        if best <= start:
            break
    own = offsets[occurring]
    # A common shift changes nothing: most classes shall have none, and all stay within the ladder.
    offsets -= np.clip(np.median(own), own.max() - LARGEST_OFFSET, own.min() + LARGEST_OFFSET)
    offsets[~occurring] = 0.0
    return offsets


def _best_offset(
    shifted: NDArray[np.float32], own: float, truth: NDArray[np.uint8], index: int, occurring: NDArray[np.bool_]
) -> tuple[float, float]:
    """The best offset of one class on the ladder, the others as they are, and the mean IoU there.

    A pixel becomes the class's as soon as its offset exceeds what the best of the others is ahead by. So the true
    positives and the predicted pixels of every class, as functions of the offset, are running sums of histograms.
    """
    others = np.delete(shifted, index, axis=1)
    rival = others.argmax(axis=1)
    ahead = others.max(axis=1) - (shifted[:, index] - own)
    rival += rival >= index
    bins = np.searchsorted(_LADDER, ahead, side="right")  # from this step of the ladder on, the pixel is the class's
    size = len(_LADDER) + 1

    def taken(which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Of the pixels ``which``, how many are the class's at each step."""
        return np.cumsum(np.bincount(bins[which], minlength=size)[:-1])

    total = np.zeros(len(_LADDER))
    for each in np.flatnonzero(occurring):
        of_class = truth == each
        if each == index:
            hits, predicted = taken(of_class), taken(np.ones_like(of_class))
        else:
            owned = rival == each
            hits = (of_class & owned).sum() - taken(of_class & owned)
            predicted = owned.sum() - taken(owned)
        total += hits / (of_class.sum() + predicted - hits)
    means = total / occurring.sum()
    best = np.flatnonzero(means >= means.max() - _LEAST_GAIN)
    step = best[np.abs(_LADDER[best] - own).argmin()]  # among equals the one that changes least
    return float(_LADDER[step]), float(means[step])


def _confusion(scores: NDArray[np.float32], truth: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Rows truth, columns the class of the greatest score."""
    pairs = truth.astype(np.intp) * CLASS_COUNT + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=CLASS_COUNT**2).reshape(CLASS_COUNT, CLASS_COUNT)


def _mean_iou(confusion: NDArray[np.int64]) -> float:
    hits, truth = np.diagonal(confusion), confusion.sum(axis=1)
    iou = hits / np.maximum(truth + confusion.sum(axis=0) - hits, 1)
    return float(iou[truth > 0].mean())


def apply_offsets(probabilities: NDArray[np.float32], offsets: Sequence[float]) -> NDArray[np.float32]:
    """Probabilities (6, height, width) float32 with ``offsets`` added to their logarithms, scaled to sum to 1; new."""
    shifted = probabilities * np.exp(np.asarray(offsets, np.float32))[:, None, None]
    shifted /= shifted.sum(axis=0)
    return np.asarray(shifted, np.float32)


def abstain_below(raster: ClassRaster, probabilities: NDArray[np.float32], least: float) -> ClassRaster:
    """A new raster, unlabelled (255) where the highest of (6, height, width) probabilities is below ``least``."""
    decided = raster.copy()
    decided[probabilities.max(axis=0) < least] = UNLABELLED
    return decided
