"""The figures of confidence with their intervals."""

import numpy as np
import pytest

from core.evaluation.calibration import FINE_BINS
from core.evaluation.confidence_files import Calibrated, empty_counts
from core.evaluation.confidence_scores import COVERAGES, class_scores, coverage, too_sure, top_score


def calibrated(said, right, *, tiles, predicted_on=None):
    """Tiles of 1000 pixels of urban where the run says urban with ``said`` and is right on ``right`` (one a tile).

    ``predicted_on``: the tiles where it says urban at all; elsewhere it says forest, wrongly.
    """
    top, each = empty_counts(tiles), empty_counts(tiles)
    at = int(said * FINE_BINS)
    for tile in range(tiles):
        says_urban = predicted_on is None or tile in predicted_on
        predicted = 0 if says_urban else 3
        top[:, tile, predicted, at] = (1000, 1000 * said, 1000 * right[tile] if says_urban else 0)
        each[:, tile, 0, at] = (1000, 1000 * said, 1000 * right[tile])
    names = tuple(map(str, range(tiles)))
    return Calibrated(names, "left out", names, (1.0,) * tiles, top, each)


def test_a_run_that_is_too_sure_on_every_tile_is_told_so_with_an_interval_above_zero():
    found = calibrated(0.9, [0.6, 0.62, 0.58, 0.61, 0.59, 0.6], tiles=6)
    gap = too_sure(found)
    assert gap.value == pytest.approx(0.3)
    assert 0 < gap.interval[0] < 0.3 < gap.interval[1] < 0.4
    score = top_score(found)
    assert score.before.value == pytest.approx(0.3)
    assert (score.change.value, score.change.interval) == (0.0, (0.0, 0.0)), "before and after are the same counts"


def test_tiles_that_disagree_leave_it_open_which_it_is():
    gap = too_sure(calibrated(0.7, [0.99, 0.4, 0.99, 0.4], tiles=4))
    assert gap.interval[0] < 0 < gap.interval[1]


def test_a_class_that_is_said_on_one_tile_alone_tells_nothing_of_others():
    found = calibrated(0.9, [0.6] * 5, tiles=5, predicted_on={2})
    assert class_scores(found)[0].too_sure.interval == (-1.0, 1.0)


def test_a_class_that_is_never_said_has_no_gap_and_one_that_is_not_in_the_truth_no_row():
    scores = class_scores(calibrated(0.9, [0.6] * 5, tiles=5, predicted_on=set()))
    assert set(scores) == {0}
    assert scores[0].too_sure is None
    assert scores[0].share == pytest.approx(0.6)


def test_the_curve_ends_at_the_accuracy_of_all_pixels_and_lies_within_its_band():
    curve = coverage(calibrated(0.9, [0.6, 0.7, 0.5, 0.6], tiles=4))
    assert curve.accuracy[-1] == pytest.approx(0.6)
    assert curve.accuracy.shape == COVERAGES.shape
    assert (curve.low <= curve.accuracy).all()
    assert (curve.accuracy <= curve.high).all()
    assert np.ptp(curve.accuracy) == pytest.approx(0, abs=1e-9), "all pixels are as sure: the surest are no better"
