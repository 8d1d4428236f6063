"""Is the confidence honest? Reliability, calibration error, temperature, and accuracy against coverage.

A probability is calibrated where it comes true as often as it says. All figures here come from counts in fine bins,
one set a tile, that add up over tiles; so they can be drawn anew over whole tiles for an interval.

Definitions, with B bins, n pixels in all, n_b in bin b, conf_b their mean probability and acc_b the share that came
true:

* Expected calibration error, of the predicted class (top label): ECE = sum over b of n_b / n * |acc_b - conf_b|, with
  B = 15 bins of equal width (Naeini et al. 2015; Guo et al. 2017, "On calibration of modern neural networks").
* The same of one class: of all labelled pixels its probability, against how often it is the truth (class-wise
  calibration error, Kull et al. 2019; "static" in Nixon et al. 2019).
* Adaptive: the same sums over bins of equally many pixels (Nixon et al. 2019), which no empty range flatters.
* Temperature T: probabilities become softmax(log p / T), which never changes the predicted class; T is the one with the
  least negative log-likelihood on tiles that are not judged (Guo et al. 2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, UNLABELLED, ClassRaster
from core.inference.predict import Probabilities

FINE_BINS = 300
"""In which pixels are counted; the bins that are shown are made of whole ones."""

BINS = 15
"""Of the expected calibration error, as in Guo et al. 2017."""

TEMPERATURES: NDArray[np.float64] = np.geomspace(0.25, 8.0, 61)
"""Where the likelihood is measured; between them it is interpolated."""

STEP = 8
"""Temperatures are fitted on every eighth pixel of every eighth row: a head's cells are 16 pixels wide."""

Counts = NDArray[np.float64]
"""``(..., FINE_BINS, 3)``: pixels, the sum of their probabilities, and how many came true."""

Bins = Literal["equal width", "equal counts"]

_LEAST = 1e-7  # of a probability before its logarithm is taken: one pixel cannot decide a likelihood
_ROWS = 256


@dataclass(frozen=True, slots=True)
class ConfidenceCounts:
    """The counts of one tile. ``top`` is by predicted class, of the greatest probability; ``each`` is by class, of that
    class's own probability on all labelled pixels; both ``(6, FINE_BINS, 3)``.
    """

    top: Counts
    each: Counts


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram: for each bin that holds pixels, their mean probability, how many came true (0 to 1), and
    their share of all pixels; and its calibration ``error``. All ``(bins,)`` float64.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]
    error: float


def count_tile(probabilities: Probabilities, truth: ClassRaster, temperature: float = 1.0) -> ConfidenceCounts:
    """Count the labelled pixels of a tile: ``(6, height, width)`` float32 against ``(height, width)`` uint8."""
    top, each = (np.zeros((CLASS_COUNT * FINE_BINS, 3)) for _ in range(2))
    for start in range(0, truth.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        known = truth[rows] != UNLABELLED
        right = truth[rows][known]
        said = tempered(probabilities[:, rows][:, known], temperature)
        predicted = said.argmax(axis=0)
        confidence = np.take_along_axis(said, predicted[None], axis=0)[0]
        _add(top, predicted * FINE_BINS + _bin(confidence), confidence, predicted == right)
        for index, plane in enumerate(said):
            _add(each, index * FINE_BINS + _bin(plane), plane, right == index)
    shape = (CLASS_COUNT, FINE_BINS, 3)
    return ConfidenceCounts(top.reshape(shape), each.reshape(shape))


def tempered(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Softmax of the logarithms divided by the temperature, over the first axis; unchanged at 1."""
    if temperature == 1.0:
        return probabilities
    powers = np.maximum(probabilities, _LEAST) ** np.float32(1 / temperature)
    return np.asarray(powers / powers.sum(axis=0), np.float32)


def losses(probabilities: Probabilities, truth: ClassRaster) -> NDArray[np.float64]:
    """What fits a temperature, of one tile: at each of ``TEMPERATURES`` the sum of the negative log-likelihoods of the
    truth over every eighth labelled pixel of every eighth row; they add up over tiles. ``(61,)``.
    """
    thinned = truth[::STEP, ::STEP]
    known = thinned != UNLABELLED
    logs = np.log(np.maximum(probabilities[:, ::STEP, ::STEP][:, known], _LEAST))
    of_truth = np.take_along_axis(logs, thinned[known][None].astype(np.intp), axis=0)[0]
    highest = logs.max(axis=0)
    found = np.empty(len(TEMPERATURES))
    for number, temperature in enumerate(TEMPERATURES):
        total = np.exp((logs - highest) / temperature).sum(axis=0)
        found[number] = float((np.log(total) - (of_truth - highest) / temperature).sum(dtype=np.float64))
    return found


def best_temperature(summed: NDArray[np.float64]) -> float:
    """The temperature of the least summed ``losses``; a parabola through the three lowest finds it between them."""
    least = int(np.clip(summed.argmin(), 1, len(summed) - 2))
    below, here, above = summed[least - 1 : least + 2]
    bend = below - 2 * here + above
    shift = 0.0 if bend <= 0 else float(np.clip((below - above) / (2 * bend), -1, 1))
    step = np.log(TEMPERATURES[1] / TEMPERATURES[0])
    return float(np.exp(np.log(TEMPERATURES[least]) + shift * step))


def left_out_temperatures(by_tile: Sequence[NDArray[np.float64]]) -> list[float]:
    """For each tile the temperature that fits all the others. Raises ``ValueError`` for fewer than two tiles."""
    if len(by_tile) < 2:
        raise ValueError("leaving one tile out needs two")
    total = np.sum(by_tile, axis=0)
    return [best_temperature(total - one) for one in by_tile]


def reliability(counts: Counts, bins: Bins = "equal width") -> Reliability:
    """The diagram of ``(FINE_BINS, 3)`` counts; one class's, or summed over the classes.

    Bins of equal counts are as equal as whole fine bins allow.
    """
    edges = _edges(counts[:, 0], bins)
    summed = np.add.reduceat(counts, edges, axis=0)
    summed = summed[summed[:, 0] > 0]
    if not len(summed):
        empty = np.zeros(0)
        return Reliability(empty, empty, empty, 0.0)
    pixels = summed[:, 0]
    confidence, accuracy, share = summed[:, 1] / pixels, summed[:, 2] / pixels, pixels / pixels.sum()
    return Reliability(confidence, accuracy, share, float((share * abs(accuracy - confidence)).sum()))


def coarse(counts: Counts) -> Counts:
    """In the bins that are shown: ``(..., FINE_BINS, 3)`` to ``(..., BINS, 3)``."""
    return np.asarray(counts.reshape(*counts.shape[:-2], BINS, FINE_BINS // BINS, 3).sum(axis=-2))


def calibration_errors(coarse_counts: Counts) -> NDArray[np.float64]:
    """The expected calibration error in bins of equal width of many counts at once: ``(..., BINS, 3)`` to ``(...)``;
    NaN without pixels.
    """
    pixels = coarse_counts[..., 0].sum(axis=-1)
    # n_b / n * |acc - conf| is |came true - summed probability| / n
    gaps = abs(coarse_counts[..., 2] - coarse_counts[..., 1]).sum(axis=-1)
    return np.where(pixels > 0, gaps / np.maximum(pixels, 1), np.nan)


def overconfidence(counts: Counts) -> NDArray[np.float64]:
    """Mean probability minus the share that came true, ``(..., bins, 3)`` to ``(...)``; NaN without pixels."""
    pixels, said, true = np.moveaxis(counts.sum(axis=-2), -1, 0)
    return np.where(pixels > 0, (said - true) / np.maximum(pixels, 1), np.nan)


def accuracies_at(counts: Counts, coverage: NDArray[np.float64]) -> NDArray[np.float64]:
    """The accuracy of the most confident share of the pixels, for each share of ``coverage`` (0 to 1, not 0).

    ``(..., FINE_BINS, 3)`` counts of the predicted class, summed over classes, to ``(..., len(coverage))``. Within a
    fine bin pixels count as equally good. This is one minus the risk of Geifman & El-Yaniv 2017, "Selective
    classification for deep neural networks". NaN without pixels.
    """
    flat = counts.reshape(-1, FINE_BINS, 3)
    found = np.full((len(flat), len(coverage)), np.nan)
    for row, one in zip(found, flat, strict=True):
        pixels, right = np.cumsum(one[::-1, 0]), np.cumsum(one[::-1, 2])
        if pixels[-1] > 0:
            wanted = coverage * pixels[-1]
            row[:] = np.interp(wanted, np.r_[0.0, pixels], np.r_[0.0, right]) / wanted
    return found.reshape(*counts.shape[:-2], len(coverage))


def _bin(values: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.minimum((values * FINE_BINS).astype(np.intp), FINE_BINS - 1)


def _add(counts: Counts, at: NDArray[np.intp], said: NDArray[np.float32], true: NDArray[np.bool_]) -> None:
    size = len(counts)
    counts[:, 0] += np.bincount(at, minlength=size)
    counts[:, 1] += np.bincount(at, weights=said, minlength=size)
    counts[:, 2] += np.bincount(at[true], minlength=size)


def _edges(pixels: NDArray[np.float64], bins: Bins) -> NDArray[np.intp]:
    """Where each bin that is shown begins among the fine ones; ascending, without doubles."""
    if bins == "equal width":
        return np.arange(0, FINE_BINS, FINE_BINS // BINS)
    reached = np.cumsum(pixels)
    wanted = np.arange(1, BINS) / BINS * reached[-1]
    return np.unique(np.r_[0, np.searchsorted(reached, wanted, side="left") + 1].clip(max=FINE_BINS - 1)).astype(
        np.intp
    )
