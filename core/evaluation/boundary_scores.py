"""The scores near the borders of the classes, from the counts of ``boundaries``, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.evaluation.boundaries import BAND_WIDTHS, CONTOUR_RULE, BoundaryCounts, boundary_ious, by_class
from core.evaluation.confusion import Confusion
from core.evaluation.intervals import boundary_intervals
from core.evaluation.scores import DEFAULT_RULE, UnlabelledRule, from_confusion, mean_iou


def boundary_summary(
    counts: Sequence[BoundaryCounts], matrices: Sequence[Confusion], rule: UnlabelledRule = DEFAULT_RULE
) -> dict[str, Any]:
    """The figures of several tiles, from their counts and their ``(6, 7)`` confusions; JSON-able.

    Keys: ``mbiou`` and ``biou`` by class (boundary IoU, over the classes with a true contour; None without any),
    their ``interval`` (95 %, over tiles), ``within`` (in words) and ``distance`` (pixels, least and greatest of the
    tiles), and ``bands``: of the pixels within 3, 5 and 10 pixels of another true class the ``accuracy``, ``miou``,
    ``iou`` by class and ``share`` of all labelled pixels.
    """
    total = np.sum([one.contours for one in counts], axis=0)
    ious = boundary_ious(total, rule)
    intervals = boundary_intervals([one.contours for one in counts], matrices, rule)
    distances = [one.distance for one in counts]
    pixels = max(1, int(np.sum(matrices)))
    bands = {}
    for width, band in zip(BAND_WIDTHS, np.sum([one.bands for one in counts], axis=0), strict=True):
        scores = from_confusion(band, rule)
        bands[str(width)] = {
            "accuracy": scores.accuracy,
            "miou": scores.miou,
            "iou": scores.iou,
            "share": int(band.sum()) / pixels,
        }
    return {
        "mbiou": None if np.isnan(ious).all() else float(mean_iou(ious)),
        "biou": by_class(ious),
        "interval": {
            "mbiou": list(intervals.miou) if intervals.miou else None,
            "biou": {name: list(interval) for name, interval in intervals.iou.items()},
        },
        "within": CONTOUR_RULE,
        "distance": [min(distances), max(distances)],
        "bands": bands,
    }
