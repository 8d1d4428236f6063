"""Intervals of the points of a learning curve."""

import numpy as np
import pytest

from core.evaluation.learning_intervals import curve_points
from core.evaluation.scores import from_confusion


def point(share, seed, right, tiles=6):
    """A point whose tiles are right in about ``right`` of their pixels, each in another share."""
    matrices = {}
    for tile in range(tiles):
        hits = right + tile
        matrices[str(tile)] = (np.eye(6, 7) * hits + np.eye(6, 7, 1) * (100 - hits)).astype(int).tolist()
    total = np.sum([np.array(one) for one in matrices.values()], axis=0)
    miou = from_confusion(total).miou
    return {"share": share, "seed": seed, "instances": share / 10, "miou": miou, "tiles": matrices}


def test_points_are_gathered_by_share_with_an_interval_around_their_mean():
    found = curve_points([point(100, 0, 80), point(5, 0, 50), point(5, 1, 60)])
    assert [one.share for one in found] == [5, 100]
    first = found[0]
    assert first.draws == 2
    assert first.miou == pytest.approx((first.lowest + first.highest) / 2)
    assert first.interval[0] < first.miou < first.interval[1]


def test_a_point_that_kept_no_counts_has_no_interval():
    old = {name: value for name, value in point(5, 0, 50).items() if name != "tiles"}
    assert curve_points([old])[0].interval is None


def test_a_single_judging_tile_leaves_the_whole_range():
    assert curve_points([point(5, 0, 50, tiles=1)])[0].interval == (0.0, 1.0)
