"""Scores from a confusion matrix: accuracy, kappa, and IoU, F1, precision, recall and kappa of every class.

One matrix over all labelled pixels of all tiles is scored, and means are taken over the classes that occur in
its truth, as the DeepGlobe challenge does (Demir et al. 2018, "DeepGlobe 2018", section 3.3), except that
classes absent from the truth are left out instead of dividing by zero.

A pixel that the truth leaves unlabelled is never counted. For one that has a truth but is predicted unlabelled there
are two rules, by name: 'counts as wrong' (a miss of its true class, and nobody's false alarm) and 'left out' (as if it
had no truth either).

With true positives TP, truth T (the row's sum), predicted P (the column's sum over labelled truth) and N pixels:
IoU = TP / (T + P - TP), F1 = 2 TP / (T + P), precision = TP / P, recall = TP / T. Kappa (Cohen 1960) is
(o - e) / (1 - e), where o is the share of pixels on which truth and prediction agree and e the share on which they
would by chance; of one class it is that of 'this class or another'. The accuracy of a class is its recall.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, CLASS_NAMES
from core.evaluation.confusion import Confusion

UnlabelledRule = Literal["counts as wrong", "left out"]
"""What becomes of a pixel that has a truth and is predicted unlabelled."""

RULES: tuple[UnlabelledRule, ...] = get_args(UnlabelledRule)
DEFAULT_RULE: UnlabelledRule = "counts as wrong"


def averaging(rule: UnlabelledRule) -> str:
    """How the scores are averaged and what becomes of pixels that are predicted unlabelled, in words."""
    what = "counts as wrong" if rule == "counts as wrong" else "is left out"
    return (
        "one confusion matrix over all labelled pixels of all tiles; means over the classes that occur in the truth; "
        f"predicted unlabelled {what}"
    )


AVERAGING_RULE = averaging(DEFAULT_RULE)


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one confusion matrix, all between 0 and 1.

    The dictionaries go by class name and hold only the classes that occur in the truth: an absent class has no
    score, neither 0 nor 1. A class that occurs but was never predicted has precision 0. ``accuracy`` and the means
    (``mrecall`` is the mean accuracy of the classes) are None where no pixel is labelled; ``kappa`` (-1 to 1) also
    where chance alone would agree everywhere, and such classes are not in ``class_kappa``.
    """

    accuracy: float | None
    miou: float | None
    mf1: float | None
    iou: dict[str, float]
    f1: dict[str, float]
    precision: dict[str, float]
    recall: dict[str, float]
    kappa: float | None
    class_kappa: dict[str, float]
    mprecision: float | None
    mrecall: float | None

    def as_dict(self) -> dict[str, Any]:
        """The scores as a JSON-able dictionary."""
        return asdict(self)


def under_rule(matrices: Confusion, rule: UnlabelledRule) -> Confusion:
    """Matrices ``(..., 6, 7)`` as a rule counts them: 'left out' empties the column of what is predicted unlabelled."""
    if rule == "counts as wrong":
        return matrices
    kept = matrices.copy()
    kept[..., CLASS_COUNT] = 0
    return kept


def from_confusion(matrix: Confusion, rule: UnlabelledRule = DEFAULT_RULE) -> Scores:
    """Score one ``(6, 7)`` confusion matrix, or a sum of them."""
    hits, truth, predicted = _parts(under_rule(matrix, rule))
    seen = truth > 0
    if not seen.any():
        return Scores(None, None, None, {}, {}, {}, {}, None, {}, None, None)
    iou = hits / np.maximum(truth + predicted - hits, 1)
    f1 = 2 * hits / np.maximum(truth + predicted, 1)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(truth, 1)
    pixels = truth.sum()

    def by_class(values: NDArray[np.float64]) -> dict[str, float]:
        return {name: float(values[i]) for i, name in enumerate(CLASS_NAMES) if seen[i] and not np.isnan(values[i])}

    whole = float(_kappa(hits.sum(), (truth * predicted).sum(), pixels))
    agree = pixels - truth - predicted + 2 * hits
    return Scores(
        accuracy=float(hits.sum() / pixels),
        miou=float(iou[seen].mean()),
        mf1=float(f1[seen].mean()),
        iou=by_class(iou),
        f1=by_class(f1),
        precision=by_class(precision),
        recall=by_class(recall),
        kappa=None if np.isnan(whole) else whole,
        class_kappa=by_class(
            _kappa(agree, truth * predicted + (pixels - truth) * (pixels - predicted), np.full_like(agree, pixels))
        ),
        mprecision=float(precision[seen].mean()),
        mrecall=float(recall[seen].mean()),
    )


def _kappa(
    agree: NDArray[np.float64], by_chance: NDArray[np.float64], pixels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cohen's kappa of counts; ``by_chance`` in pixels squared. NaN where chance agrees everywhere."""
    room = pixels**2 - by_chance
    return np.where(room > 0, (agree * pixels - by_chance) / np.where(room > 0, room, 1), np.nan)


def class_ious(matrices: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of every class for many matrices at once: ``(..., 6, 7)`` to ``(..., 6)``, NaN where the truth lacks it."""
    hits, truth, predicted = _parts(matrices)
    return np.where(truth > 0, hits / np.maximum(truth + predicted - hits, 1), np.nan)


def mean_iou(ious: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the last axis of ``class_ious``, over the classes that are there; NaN where none is."""
    present = ~np.isnan(ious)
    count = present.sum(axis=-1)
    total = np.where(present, ious, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _parts(matrices: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """True positives, truth and predicted pixels of every class, each ``(..., 6)``."""
    known = np.asarray(matrices, np.float64)
    square = known[..., :CLASS_COUNT]
    return np.diagonal(square, axis1=-2, axis2=-1), known.sum(axis=-1), square.sum(axis=-2)
