"""Corrections for many comparisons, how many tiles one would take, and the jackknife beneath."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from core.evaluation.jackknife import Estimate, estimate, left_out, tile_weights
from core.evaluation.verdicts import holm, tiles_needed, verdict


def test_holm_gives_the_figures_of_a_worked_example():
    # The smallest of four times 4, the next times 3, then 2, then 1; none below one before it.
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


def test_holm_never_passes_one_and_leaves_a_single_one_alone():
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": 0.04}) == {"a": 0.04}
    assert holm({}) == {}


@pytest.mark.parametrize(
    ("value", "p", "told"),
    [(0.1, 0.049, "better"), (-0.1, 0.049, "worse"), (0.1, 0.051, "cannot tell"), (0.0, 0.0, "cannot tell")],
)
def test_a_difference_is_told_at_the_five_percent_level(value, p, told):
    assert verdict(value, p) == told


def test_so_many_tiles_as_are_said_to_be_needed_tell_in_four_of_five_cases():
    generator = np.random.default_rng(0)
    needed = tiles_needed(0.02, 0.06, tiles=5, effective=5)
    found = [ttest_1samp(generator.normal(0.02, 0.06, needed), 0).pvalue < 0.05 for _ in range(1500)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.035)


def test_without_a_difference_no_number_of_tiles_would_do():
    assert tiles_needed(0.0, 0.1, tiles=5, effective=5) is None
    assert tiles_needed(1e-6, 0.1, tiles=5, effective=5) is None


def test_more_tiles_are_needed_than_there_were_and_more_where_few_count():
    assert tiles_needed(0.4, 0.2, tiles=3, effective=1.1) > tiles_needed(0.4, 0.2, tiles=3, effective=3) > 3


def test_of_equal_tiles_the_jackknife_is_student():
    values = np.random.default_rng(1).normal(0.3, 0.5, 12)

    def mean(counts):
        return counts[..., :1] / counts[..., 1:]

    counts = np.stack([values, np.ones(12)], axis=1)
    weights = tile_weights(np.ones((12, 1)))[:, 0]
    found = estimate(values.mean(), left_out(counts, mean)[:, 0], weights, about_value=False)
    expected = ttest_1samp(values, 0)
    interval = expected.confidence_interval(0.95)
    assert found.interval(lowest=-9, highest=9) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_where_one_tile_tells_alone_nothing_is_known_of_the_spread():
    found = estimate(0.4, np.array([0.4, 0.4]), np.array([1.0, 0.0]), about_value=True)
    assert found == Estimate(0.4, 0.0, 0.0)
    assert found.interval(lowest=-1, highest=1) == (-1, 1)
    assert found.p_value == 1


def test_a_tile_that_holds_nearly_all_leaves_one_degree_of_freedom():
    weights = tile_weights(np.array([[980], [10], [10]]))[:, 0]
    assert estimate(0.4, np.array([0.1, 0.4, 0.41]), weights, about_value=False).freedom == 1
