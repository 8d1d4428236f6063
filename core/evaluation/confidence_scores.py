"""The figures of a run's confidence with their intervals: calibration error, too sure or not, accuracy at a coverage.

Intervals come from a bootstrap over whole tiles, since a calibration error is not smooth in its counts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT
from core.evaluation.bootstrap import draw_tiles, drawn_interval
from core.evaluation.calibration import (
    Counts,
    accuracies_at,
    calibration_errors,
    coarse,
    overconfidence,
)
from core.evaluation.confidence_files import Calibrated
from core.evaluation.jackknife import Interval

COVERAGES: NDArray[np.float64] = np.linspace(0.05, 1.0, 20)
"""The shares of the pixels at which the accuracy is told."""

_CURVE_DRAWS = 500  # of a curve's band: one draw is a curve of its own


@dataclass(frozen=True, slots=True)
class Scored:
    """A figure with its 95 % interval over tiles."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class CalibrationScore:
    """The calibration error before and after the temperature, and after minus before, paired over tiles."""

    before: Scored
    after: Scored
    change: Scored


@dataclass(frozen=True, slots=True)
class ClassCalibration:
    """Of one class: its share of the labelled pixels, its own calibration error, and how much too sure the run is
    where it says this class (mean probability minus the share that is right; negative: too timid). ``too_sure`` is
    None where the run never says it.
    """

    share: float
    score: CalibrationScore
    too_sure: Scored | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The accuracy of the most confident shares ``COVERAGES`` of the pixels, and its interval; all ``(20,)``."""

    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def top_score(found: Calibrated) -> CalibrationScore:
    """The calibration error of the predicted class, over all classes."""
    return _change(found.top.sum(axis=2))


def too_sure(found: Calibrated) -> Scored:
    """How much too sure the run is over all: mean probability of the predicted class minus the share that is right."""
    return _scored(coarse(found.top[0].sum(axis=1)), overconfidence, -1.0)


def class_scores(found: Calibrated) -> dict[int, ClassCalibration]:
    """By class index, the classes that occur in the truth of the judged tiles."""
    scores = {}
    for index in range(CLASS_COUNT):
        pixels, _, true = found.each[0, :, index].sum(axis=(0, 1))
        if true == 0:
            continue
        said = found.top[0, :, index]
        gap = _scored(coarse(said), overconfidence, -1.0) if said[..., 0].any() else None
        scores[index] = ClassCalibration(float(true / pixels), _change(found.each[:, :, index]), gap)
    return scores


def coverage(found: Calibrated) -> Coverage:
    """Accuracy against coverage. A temperature changes it next to nothing, so it is told without one."""
    by_tile = found.top[0].sum(axis=1)
    accuracy = accuracies_at(by_tile.sum(axis=0), COVERAGES)
    tiles = len(by_tile)
    drawn = accuracies_at(np.tensordot(draw_tiles(tiles, _CURVE_DRAWS), by_tile, axes=1), COVERAGES)
    spans = [
        drawn_interval(float(value), drawn[:, i], tiles=tiles, lowest=0.0, highest=1.0)
        for i, value in enumerate(accuracy)
    ]
    low, high = np.array(spans).T
    return Coverage(accuracy, low, high)


def _change(counts: Counts) -> CalibrationScore:
    """From ``(2, tiles, FINE_BINS, 3)``: before and after."""
    before, after = (coarse(one) for one in counts)
    tiles = len(before)
    weights = draw_tiles(tiles)
    drawn = [calibration_errors(np.tensordot(weights, one, axes=1)) for one in (before, after)]
    values = [float(calibration_errors(one.sum(axis=0))) for one in (before, after)]
    change = values[1] - values[0]
    scores = [
        Scored(value, drawn_interval(value, some, tiles=tiles, lowest=0.0, highest=1.0))
        for value, some in zip(values, drawn, strict=True)
    ]
    span = drawn_interval(change, drawn[1] - drawn[0], tiles=tiles, lowest=-1.0, highest=1.0)
    return CalibrationScore(scores[0], scores[1], Scored(change, span))


def _scored(by_tile: Counts, figure: Callable[[Counts], NDArray[np.float64]], lowest: float) -> Scored:
    value = float(figure(by_tile.sum(axis=0)))
    drawn = figure(np.tensordot(draw_tiles(len(by_tile)), by_tile, axes=1))
    telling = int((by_tile[..., 0].sum(axis=1) > 0).sum())  # tiles without such a pixel say nothing of its spread
    return Scored(value, drawn_interval(value, drawn, tiles=telling, lowest=lowest, highest=1.0))
