"""Scores from a confusion matrix: accuracy, and IoU, F1, precision and recall of every class.

One matrix over all labelled pixels of all tiles is scored, and means are taken over the classes that occur in
its truth, as the DeepGlobe challenge does (Demir et al. 2018, "DeepGlobe 2018", section 3.3), except that
classes absent from the truth are left out instead of dividing by zero. A pixel predicted as unlabelled counts
as wrong: as a miss of its true class, and as nobody's false alarm.

With true positives TP, truth T (the row's sum) and predicted P (the column's sum over labelled truth):
IoU = TP / (T + P - TP), F1 = 2 TP / (T + P), precision = TP / P, recall = TP / T.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, CLASS_NAMES
from core.evaluation.confusion import Confusion

AVERAGING_RULE = (
    "one confusion matrix over all labelled pixels of all tiles; means over the classes that occur in the truth; "
    "predicted unlabelled counts as wrong"
)


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one confusion matrix, all between 0 and 1.

    The dictionaries go by class name and hold only the classes that occur in the truth: an absent class has no
    score, neither 0 nor 1. A class that occurs but was never predicted has precision 0. ``accuracy``, ``miou``
    and ``mf1`` are None where no pixel is labelled.
    """

    accuracy: float | None
    miou: float | None
    mf1: float | None
    iou: dict[str, float]
    f1: dict[str, float]
    precision: dict[str, float]
    recall: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The scores as a JSON-able dictionary."""
        return asdict(self)


def from_confusion(matrix: Confusion) -> Scores:
    """Score one ``(6, 7)`` confusion matrix, or a sum of them."""
    hits, truth, predicted = _parts(matrix)
    seen = truth > 0
    if not seen.any():
        return Scores(None, None, None, {}, {}, {}, {})
    iou = hits / np.maximum(truth + predicted - hits, 1)
    f1 = 2 * hits / np.maximum(truth + predicted, 1)

    def by_class(values: NDArray[np.float64]) -> dict[str, float]:
        return {name: float(values[i]) for i, name in enumerate(CLASS_NAMES) if seen[i]}

    return Scores(
        accuracy=float(hits.sum() / truth.sum()),
        miou=float(iou[seen].mean()),
        mf1=float(f1[seen].mean()),
        iou=by_class(iou),
        f1=by_class(f1),
        precision=by_class(hits / np.maximum(predicted, 1)),
        recall=by_class(hits / np.maximum(truth, 1)),
    )


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
