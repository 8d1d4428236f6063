"""Intervals and verdicts from the jackknife over whole tiles."""

import numpy as np
import pytest

from core.evaluation.intervals import (
    few_tiles_note,
    interval_of_miou,
    paired_differences,
    repeated_difference,
    score_intervals,
)
from core.evaluation.scores import from_confusion


def tile_matrix(hit_rates, generator, pixels=10_000):
    """A tile with its own class shares, of which each class is found with its hit rate."""
    matrix = np.zeros((6, 7), np.int64)
    for truth, (share, hit) in enumerate(zip(generator.dirichlet(np.ones(6)), hit_rates, strict=True)):
        total = int(share * pixels) + 1
        matrix[truth, truth] = round(total * hit)
        matrix[truth, (truth + 1) % 6] = total - matrix[truth, truth]
    return matrix


def tiles(count, hit=0.7, spread=0.1, seed=0):
    generator = np.random.default_rng(seed)
    return [tile_matrix(np.clip(generator.normal(hit, spread, 6), 0, 1), generator) for _ in range(count)]


def with_hit_rate(matrices, change):
    """The same tiles, where a share of the hits became misses."""
    changed = []
    for matrix in matrices:
        worse = matrix.copy()
        for index in range(6):
            lost = round(matrix[index, index] * change)
            worse[index, index] -= lost
            worse[index, (index + 2) % 6] += lost
        changed.append(worse)
    return changed


def test_the_interval_holds_the_score_and_is_the_same_each_time():
    matrices = tiles(8)
    low, high = interval_of_miou(matrices)
    assert 0 <= low < from_confusion(np.sum(matrices, axis=0)).miou < high <= 1
    assert interval_of_miou(matrices) == (low, high)


def test_more_tiles_make_a_narrower_interval():
    few, many = score_intervals(tiles(6)), score_intervals(tiles(60))
    assert many.miou[1] - many.miou[0] < few.miou[1] - few.miou[0]
    assert many.note is None


def test_one_tile_tells_nothing_about_others():
    intervals = score_intervals(tiles(1))
    assert intervals.miou == (0, 1)
    assert "1 tile only" in intervals.note


@pytest.mark.parametrize(("count", "noted"), [(2, True), (4, True), (5, False), (50, False)])
def test_fewer_than_five_tiles_are_noted(count, noted):
    assert (few_tiles_note(count) is not None) is noted


def test_a_class_in_one_tile_only_gets_the_whole_range():
    matrices = tiles(10)
    for matrix in matrices[1:]:
        matrix[5] = 0
    assert score_intervals(matrices).iou["barren"] == (0, 1)


def test_a_class_that_no_truth_holds_has_no_interval():
    matrices = tiles(6)
    for matrix in matrices:
        matrix[4] = 0
    assert "water" not in score_intervals(matrices).iou
    assert "water" not in paired_differences(matrices, matrices).iou


def test_tiles_without_a_labelled_pixel_have_no_interval():
    assert interval_of_miou([np.zeros((6, 7), np.int64)] * 3) is None


def test_two_equal_predictions_cannot_be_told_apart():
    matrices = tiles(12)
    differences = paired_differences(matrices, matrices)
    assert differences.miou.value == 0
    assert differences.miou.interval == (0, 0)
    assert {differences.miou.verdict, *(d.verdict for d in differences.iou.values())} == {"cannot tell"}


@pytest.mark.parametrize("count", [3, 5, 11])
def test_a_clearly_better_prediction_is_called_better_and_the_other_worse(count):
    good = tiles(count, hit=0.9, spread=0.02)
    bad = with_hit_rate(good, 0.5)
    assert paired_differences(good, bad).miou.verdict == "better"
    assert paired_differences(bad, good).miou.verdict == "worse"


def test_one_tile_alone_never_decides():
    good = tiles(1, hit=1.0, spread=0)
    assert paired_differences(good, with_hit_rate(good, 0.9)).miou.verdict == "cannot tell"


TRIALS = 250  # a rate of 5 % is known to 1.4 of 100 from so many


def chance_pair(count, trial):
    """The same tiles twice, with errors of the same law: whatever differs is chance."""
    generator = np.random.default_rng([count, trial])
    pair = []
    for _ in range(2):
        rates = generator.normal(0.7, 0.1, (count, 6)).clip(0, 1)
        pair.append([tile_matrix(rate, np.random.default_rng([trial, i])) for i, rate in enumerate(rates)])
    return pair


@pytest.mark.parametrize("count", [3, 5, 11, 30])
def test_intervals_hold_the_truth_and_verdicts_raise_no_alarm_at_every_number_of_tiles(count):
    truth = from_confusion(np.sum([one for trial in range(1000, 1100) for one in chance_pair(30, trial)[0]], axis=0))
    held, alarms, class_alarms = [], [], []
    for trial in range(TRIALS):
        a, b = chance_pair(count, trial)
        low, high = interval_of_miou(a)
        held.append(low <= truth.miou <= high)
        differences = paired_differences(a, b)
        alarms.append(differences.miou.verdict != "cannot tell")
        class_alarms += [one.verdict != "cannot tell" for one in differences.iou.values()]
    assert 0.92 <= np.mean(held) <= 0.985
    assert np.mean(alarms) <= 0.08
    assert np.mean(class_alarms) <= 0.065


def test_many_tiles_of_which_one_holds_the_class_count_as_few():
    matrices = tiles(10)
    alike = score_intervals(matrices).iou["water"]
    for matrix in matrices[1:]:
        matrix[4] = matrix[4] // 200
    low, high = score_intervals(matrices).iou["water"]
    assert high - low > alike[1] - alike[0]


def test_what_cannot_be_told_says_how_many_tiles_it_would_take():
    a, b = (tiles(6, seed=0), with_hit_rate(tiles(6, seed=0), 0.02))
    noisy = [one if i % 2 else two for i, (one, two) in enumerate(zip(a, with_hit_rate(a, 0.1), strict=True))]
    few = paired_differences(b, noisy).miou
    assert few.verdict == "cannot tell"
    assert few.tiles_needed > 6
    told = paired_differences(b * 40, noisy * 40).miou
    assert told.verdict == "better"
    assert told.tiles_needed is None


def test_the_rule_for_pixels_predicted_unlabelled_reaches_the_intervals():
    matrices = tiles(6)
    gaps = [one.copy() for one in matrices]
    for one in gaps:
        lost = one[:, :6] // 2
        one[:, :6] -= lost
        one[:, 6] += lost.sum(axis=1)
    wrong, left_out = score_intervals(gaps).miou, score_intervals(gaps, "left out").miou
    assert wrong[1] < left_out[0]
    assert left_out == pytest.approx(score_intervals(matrices).miou, abs=1e-3)


def test_predictions_of_other_tiles_are_refused():
    with pytest.raises(ValueError, match="same tiles"):
        paired_differences(tiles(4, seed=0), tiles(4, seed=1))
    with pytest.raises(ValueError, match="at least one tile"):
        score_intervals([])


def test_with_one_try_the_repeated_difference_is_the_paired_one():
    a = tiles(6)
    b = with_hit_rate(a, 0.2)
    repeated, paired = repeated_difference([a], [b]), paired_differences(a, b).miou
    assert repeated.interval == pytest.approx(paired.interval)
    assert (repeated.value, repeated.verdict) == (pytest.approx(paired.value), paired.verdict)


def test_tries_that_disagree_widen_the_interval_of_their_mean():
    a = tiles(6)
    b = with_hit_rate(a, 0.2)
    alike, apart = repeated_difference([a, a], [b, b]), repeated_difference([a, b], [b, a])
    assert alike.value == pytest.approx(paired_differences(a, b).miou.value)
    assert alike.verdict == "better"
    assert apart.value == 0
    assert apart.verdict == "cannot tell"
    assert apart.interval[1] - apart.interval[0] > alike.interval[1] - alike.interval[0]


def test_a_repeated_difference_is_of_the_same_tries_and_tiles():
    a = tiles(3)
    with pytest.raises(ValueError, match="same tries and tiles"):
        repeated_difference([a, a], [a])
    empty = [np.zeros((6, 7), np.int64)] * 3
    assert repeated_difference([empty], [empty]) is None
