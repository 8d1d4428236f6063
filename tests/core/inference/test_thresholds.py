"""Offsets between the classes, fitted on validation tiles, and abstaining."""

import numpy as np
import pytest

from core.errors import InputError
from core.inference.thresholds import (
    LARGEST_OFFSET,
    Sample,
    _search,
    abstain_below,
    apply_offsets,
    fit_offsets,
)

UNLABELLED = Sample(np.zeros((0, 6), np.float32), np.zeros(0, np.uint8))


def skewed(seed=0, n=4000, against=2, by=1.5):
    """A sample whose model is right but for a class that it holds back by ``by``."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 4, n).astype(np.uint8)
    logits = generator.normal(0, 1, (n, 6)) + 3 * (truth[:, None] == np.arange(6))
    logits[:, against] -= by
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return Sample(logits.astype(np.float32), truth)


def miou(scores, truth):
    predicted = scores.argmax(axis=1)
    occurring = np.unique(truth)
    return np.mean(
        [((predicted == c) & (truth == c)).sum() / ((predicted == c) | (truth == c)).sum() for c in occurring]
    )


def test_a_class_that_is_held_back_is_let_forward_and_the_mean_iou_rises():
    sample = skewed()
    fitted = fit_offsets([sample, skewed(1), skewed(2)])
    others = np.mean([fitted.offsets[c] for c in (0, 1, 3)])
    assert fitted.offsets[2] - others == pytest.approx(1.5, abs=0.8)
    assert fitted.after > fitted.before + 0.03


def test_the_search_ends_where_no_single_offset_on_the_ladder_is_better():
    sample = skewed(seed=5, n=600)
    found = _search(sample)
    best = miou(sample.log_probabilities + found, sample.truth)
    assert best > miou(sample.log_probabilities, sample.truth)
    for index in range(4):
        for step in np.arange(-2, 2, 0.05):
            tried = found.copy()
            tried[index] += step
            assert miou(sample.log_probabilities + tried, sample.truth) <= best + 0.004


def test_offsets_stay_within_what_the_switch_takes():
    found = _search(skewed(seed=2, against=1, by=4.5))
    assert abs(found).max() <= LARGEST_OFFSET + 1e-6
    assert found[1] - found[0] > LARGEST_OFFSET


def test_offsets_that_fit_only_the_tile_that_they_were_fitted_on_are_not_used():
    fitted = fit_offsets([skewed(0, by=3, against=0), skewed(1, by=-3, against=0)])
    assert fitted.strength == 0
    assert fitted.offsets == (0,) * 6
    assert fitted.after == fitted.before


def test_what_is_said_of_the_gain_is_measured_on_tiles_that_were_left_out():
    one, other = skewed(0), skewed(1)
    fitted = fit_offsets([one, other])
    pairs = [(one, _search(other)), (other, _search(one))]
    scores = np.concatenate([left_out.log_probabilities + fitted.strength * found for left_out, found in pairs])
    truth = np.concatenate([one.truth, other.truth])
    assert fitted.after == pytest.approx(miou(scores, truth))


def test_a_model_that_is_right_keeps_offsets_of_zero_as_do_classes_without_labels():
    truth = np.arange(6).repeat(50).astype(np.uint8)
    sure = Sample(np.log(np.where(truth[:, None] == np.arange(6), 0.95, 0.01)).astype(np.float32), truth)
    assert fit_offsets([sure, sure]).offsets == (0,) * 6
    assert fit_offsets([skewed(), skewed(1)]).offsets[4:] == (0, 0)


def test_the_same_samples_give_the_same_offsets():
    assert fit_offsets([skewed(0), skewed(1)]) == fit_offsets([skewed(0), skewed(1)])


def test_a_sample_leaves_unlabelled_pixels_out_and_is_evenly_spread():
    probabilities = np.full((6, 100, 200), 1 / 6, np.float32)
    truth = np.full((100, 200), 255, np.uint8)
    truth[:, 100:] = 3
    sample = Sample.of_tile(probabilities, truth, pixels=800)
    assert sample.truth.tolist() == [3] * 400
    np.testing.assert_allclose(sample.log_probabilities, np.log(1 / 6), rtol=1e-6)


def test_offsets_move_the_choice_and_probabilities_still_sum_to_one():
    probabilities = np.array([0.4, 0.35, 0.25, 0, 0, 0], np.float32).reshape(6, 1, 1)
    moved = apply_offsets(probabilities, (0, 0.5, 0, 0, 0, 0))
    assert moved.argmax(axis=0)[0, 0] == 1
    assert moved.sum() == pytest.approx(1)
    np.testing.assert_allclose(apply_offsets(probabilities, (0.7,) * 6), probabilities, rtol=1e-6)


def test_abstaining_leaves_only_what_is_sure():
    probabilities = np.array([[[0.9, 0.4]], [[0.1, 0.35]], [[0, 0.25]], [[0, 0]], [[0, 0]], [[0, 0]]], np.float32)
    raster = probabilities.argmax(axis=0).astype(np.uint8)
    assert abstain_below(raster, probabilities, 0.5).tolist() == [[0, 255]]
    assert raster.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("samples", "sentence"), [([], "0 of them have labels"), ([skewed(), UNLABELLED], "1 of them has labels")]
)
def test_fewer_than_two_labelled_tiles_are_refused(samples, sentence):
    with pytest.raises(InputError, match=sentence):
        fit_offsets(samples)
