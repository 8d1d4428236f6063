"""Tests of two small samples."""

import numpy as np
import pytest

from core.evaluation.two_samples import effect, energy_test, least_p, relabellings


def distances(values):
    return np.abs(values[:, None] - values[None])


def test_all_relabellings_are_tried_and_the_first_is_the_one_that_was_seen():
    labels = relabellings(2, 3)
    assert labels.shape == (10, 5)
    assert labels[0].tolist() == [1, 1, 0, 0, 0]
    assert len(np.unique(labels, axis=0)) == 10
    assert least_p(2, 3) == pytest.approx(0.1)


def test_samples_of_one_size_reach_no_less_than_two_of_the_relabellings():
    values = np.array([10.0, 11, 12, 0, 1, 2])
    assert energy_test(distances(values), relabellings(3, 3)).p == pytest.approx(least_p(3, 3)) == pytest.approx(0.1)


def test_of_too_many_relabellings_some_are_drawn():
    labels = relabellings(30, 40)
    assert len(labels) == 10_000
    assert (labels.sum(axis=1) == 30).all()
    assert labels[0, :30].all()


def test_samples_far_apart_reach_the_least_p_value_and_a_large_effect():
    values = np.array([10.0, 11, 12, 0, 1, 2, 3])
    labels = relabellings(3, 4)
    assert energy_test(distances(values), labels).p == pytest.approx(least_p(3, 4))
    assert energy_test(distances(values), labels).coefficient > 0.7
    found = effect(values, labels)
    assert found.p == pytest.approx(least_p(3, 4))
    assert found.g > 3
    assert found.interval[0] > 0


def test_the_same_sample_twice_is_no_difference():
    values = np.array([1.0, 2, 3, 1, 2, 3])
    found = energy_test(distances(values), relabellings(3, 3))
    assert found.coefficient == pytest.approx(0)
    assert found.p == 1
    assert effect(values, relabellings(3, 3)).g == pytest.approx(0)


def test_hedges_g_is_the_corrected_difference_in_pooled_deviations():
    values = np.array([2.0, 4, 6, 1, 2, 3])
    # means 4 and 2, pooled deviation sqrt((8 + 2) / 4), correction 1 - 3 / 15
    assert effect(values, relabellings(3, 3)).g == pytest.approx(0.8 * 2 / np.sqrt(2.5))


def test_values_without_any_spread_have_no_effect_size():
    found = effect(np.array([1.0, 1, 2, 2]), relabellings(2, 2))
    assert found.g is None
    assert found.interval is None


def test_another_spread_about_the_same_mean_is_found_by_the_energy_distance_alone():
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(0, 5, 40), generator.normal(0, 0.5, 40)])
    labels = relabellings(40, 40)
    assert energy_test(distances(values), labels).p < 0.01
    assert effect(values, labels).p > 0.05


def test_false_alarms_are_as_rare_as_the_level_says():
    labels = relabellings(4, 6)
    alarms = []
    for seed in range(300):
        values = np.random.default_rng(seed).exponential(size=10)
        alarms.append(energy_test(distances(values), labels).p <= 0.05)
    assert np.mean(alarms) <= 0.08
