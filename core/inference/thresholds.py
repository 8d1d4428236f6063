"""Thresholds between the classes: offsets to their log probabilities, fitted on validation tiles, and 'abstain'.

A network is trained for its loss and judged by the mean IoU. Six numbers, one added to each class's log probability
before the greatest is taken, move the borders between the classes to where the mean IoU is best. They are found by
coordinate search: with the others held, the mean IoU as a function of one class's offset is known at every step of a
fine ladder from one histogram, so that each search is exhaustive and the result does not depend on chance.

Fitted on few tiles they fit those tiles: what they gain must be judged on others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from core.atomic import write_json
from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster
from core.errors import InputError
from core.training.runs import read_run

OFFSETS = "offsets.json"
"""In the run's folder, beside its card."""

LARGEST_OFFSET = 3.0
"""A factor of 20 between probabilities; beyond it a class is as good as forced or forbidden."""

_STEPS = 120  # of the ladder, over both signs: 0.05 each
_LADDER = np.linspace(-LARGEST_OFFSET, LARGEST_OFFSET, _STEPS + 1)
_ROUNDS = 20
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

    @classmethod
    def of_tiles(cls, samples: Sequence["Sample"]) -> "Sample":
        """All of them together. Raises ``InputError`` where no pixel of any is labelled."""
        if not sum(len(sample.truth) for sample in samples):
            raise InputError(
                "Offsets are fitted on labelled validation tiles and there are none; name validation tiles with labels."
            )
        return cls(
            np.concatenate([sample.log_probabilities for sample in samples]),
            np.concatenate([sample.truth for sample in samples]),
        )


class FittedOffsets(BaseModel):
    """``offsets.json``: six offsets, in class order, and what they were fitted on.

    ``before`` and ``after`` are the mean IoU on the sample of the validation tiles without and with them: how well they
    fit, not what they are worth elsewhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    offsets: tuple[float, float, float, float, float, float]
    before: float
    after: float
    pixels: int
    tiles: dict[str, str] = {}  # name -> fingerprint of the image
    switches: str = ""  # the key of what came before the offsets


def fit_offsets(sample: Sample) -> FittedOffsets:
    """The offsets that maximise the mean IoU on a sample; deterministic. Classes that no label shows keep 0."""
    scores, truth = sample.log_probabilities.astype(np.float64), sample.truth.astype(np.intp)
    occurring = np.bincount(truth, minlength=CLASS_COUNT) > 0
    offsets = np.zeros(CLASS_COUNT)
    before = best = _mean_iou(scores.argmax(axis=1), truth, occurring)
    for _ in range(_ROUNDS):
        start = best
        for index in np.flatnonzero(occurring):
            candidate, value = _best_offset(scores + offsets, offsets[index], truth, int(index), occurring)
            if value > best + _LEAST_GAIN:
                offsets[index], best = candidate, value
        if best <= start:
            break
    offsets -= np.median(offsets[occurring])  # a common shift changes nothing
    offsets[~occurring] = 0.0
    first, second, third, fourth, fifth, sixth = (round(float(value), 4) for value in offsets)
    after = _mean_iou((scores + offsets).argmax(axis=1), truth, occurring)
    return FittedOffsets(
        offsets=(first, second, third, fourth, fifth, sixth), before=before, after=after, pixels=len(truth)
    )


def _best_offset(
    shifted: NDArray[np.float64], own: float, truth: NDArray[np.intp], index: int, occurring: NDArray[np.bool_]
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


def _mean_iou(predicted: NDArray[np.intp], truth: NDArray[np.intp], occurring: NDArray[np.bool_]) -> float:
    pairs = np.bincount(truth * CLASS_COUNT + predicted, minlength=CLASS_COUNT**2).reshape(CLASS_COUNT, CLASS_COUNT)
    hits = np.diagonal(pairs)
    iou = hits / np.maximum(pairs.sum(axis=0) + pairs.sum(axis=1) - hits, 1)
    return float(iou[occurring].mean())


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


def fit_run_offsets(run: Path, samples: Mapping[str, Sample], *, switches: str) -> FittedOffsets:
    """Fit the offsets of a run and keep them in its folder.

    ``samples`` are of the run's validation tiles, by name, ``switches`` the key of what was done to the probabilities
    before. Raises ``InputError`` where the run has no validation tiles, a sample is of another tile, nothing is
    labelled, or the folder cannot be written.
    """
    validation = read_run(run).card.validation_tiles
    if not validation:
        raise InputError(
            f"The run {run} was trained without validation tiles and offsets must not be fitted on training tiles; "
            "train it anew with validation tiles."
        )
    strange = sorted(samples.keys() - validation.keys())
    if strange:
        raise InputError(f"{', '.join(strange)} is no validation tile of {run}; fit on {', '.join(validation)} alone.")
    fitted = fit_offsets(Sample.of_tiles(list(samples.values())))
    kept = fitted.model_copy(update={"tiles": {name: validation[name] for name in samples}, "switches": switches})
    write_json(run / OFFSETS, kept.model_dump(mode="json"))
    return kept


def read_offsets(run: Path) -> FittedOffsets | None:
    """The offsets that were fitted for a run, None where none were. Raises ``InputError`` where they cannot be read."""
    try:
        return FittedOffsets.model_validate_json((run / OFFSETS).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError(f"{run / OFFSETS} cannot be read; fit the offsets anew.") from error


def describe_offsets(fitted: FittedOffsets) -> dict[str, Any]:
    """By class name, with what they were fitted on: for the end of a command and for a page."""
    return {**fitted.model_dump(mode="json"), "offsets": dict(zip(CLASS_NAMES, fitted.offsets, strict=True))}
