"""The interval of each point of a learning curve: how far its score could be off because only these tiles judged it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evaluation.jackknife import Interval, estimate, left_out, tile_weights
from core.evaluation.scores import class_ious, mean_iou


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The mean over the draws of one share of the labels: ``instances`` a class, mean IoU and its 95 % interval.

    The interval is over tiles (the jackknife), None for points that kept no counts; ``lowest`` and ``highest`` are the
    scores of the single draws.
    """

    share: int
    instances: float
    miou: float
    interval: Interval | None
    lowest: float
    highest: float
    draws: int


def curve_points(points: Sequence[dict[str, Any]]) -> list[CurvePoint]:
    """The points of ``learning_curve`` gathered by their share of the labels, the smallest first."""
    shares = sorted({point["share"] for point in points})
    return [_gathered(share, [point for point in points if point["share"] == share]) for share in shares]


def _gathered(share: int, draws: Sequence[dict[str, Any]]) -> CurvePoint:
    scores = [float(one["miou"]) for one in draws]
    return CurvePoint(
        share,
        instances=float(np.mean([one["instances"] for one in draws])),
        miou=float(np.mean(scores)),
        interval=_interval(draws),
        lowest=min(scores),
        highest=max(scores),
        draws=len(draws),
    )


def _interval(draws: Sequence[dict[str, Any]]) -> Interval | None:
    if not all("tiles" in one for one in draws):
        return None
    names = sorted(draws[0]["tiles"])
    counts = np.array([[one["tiles"][name] for one in draws] for name in names], np.float64)  # tiles, draws, 6, 7
    counts = counts[counts.sum(axis=(1, 2, 3)) > 0]

    def mean_over_draws(summed: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(mean_iou(class_ious(summed)).mean(axis=-1), np.float64)

    weights = tile_weights(counts[:, 0].sum(axis=2))[:, -1]
    found = estimate(
        float(mean_over_draws(counts.sum(axis=0))), left_out(counts, mean_over_draws), weights, about_value=False
    )
    return found.interval(lowest=0.0, highest=1.0)
