"""Reliability, calibration error, temperature, and accuracy against coverage."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from core.classes import UNLABELLED
from core.evaluation import calibration
from core.evaluation.calibration import (
    BINS,
    TEMPERATURES,
    accuracies_at,
    best_temperature,
    calibration_errors,
    coarse,
    count_tile,
    left_out_temperatures,
    losses,
    overconfidence,
    reliability,
    tempered,
)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=0))
    return (powers / powers.sum(axis=0)).astype(np.float32)


def honest_tile(seed, *, sharpened=1.0, size=160):
    """Probabilities and a truth drawn from them; ``sharpened`` logits are then shown instead."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=1.5, size=(6, size, size))
    drawn = generator.random((size, size))
    truth = (np.cumsum(softmax(logits), axis=0) < drawn).sum(axis=0).clip(0, 5).astype(np.uint8)
    return softmax(logits * sharpened), truth


def plain_error(confidence, right, bins=BINS):
    """The definition of Guo et al. 2017, bin by bin."""
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (confidence >= low) & ((confidence < high) | (high == 1))
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def test_the_error_of_the_predicted_class_is_the_published_one():
    probabilities, truth = honest_tile(0, sharpened=2.0)
    counts = count_tile(probabilities, truth).top.sum(axis=0)
    confidence, right = probabilities.max(axis=0), probabilities.argmax(axis=0) == truth
    expected = plain_error(confidence.astype(np.float64).ravel(), right.ravel())
    assert reliability(counts).error == pytest.approx(expected, abs=1e-6)
    assert float(calibration_errors(coarse(counts))) == pytest.approx(expected, abs=1e-6)


def test_the_error_of_one_class_is_of_its_own_probability_on_all_labelled_pixels():
    probabilities, truth = honest_tile(1, sharpened=2.0)
    counts = count_tile(probabilities, truth).each[3]
    expected = plain_error(probabilities[3].astype(np.float64).ravel(), (truth == 3).ravel())
    assert reliability(counts).error == pytest.approx(expected, abs=1e-6)
    assert counts[:, 0].sum() == truth.size


def test_an_honest_run_has_next_to_no_error_and_a_sharpened_one_is_too_sure():
    honest, sharp = (count_tile(*honest_tile(2, sharpened=by)).top.sum(axis=0) for by in (1.0, 3.0))
    assert reliability(honest).error < 0.02 < reliability(sharp).error
    assert abs(overconfidence(honest)) < 0.02 < overconfidence(sharp)


def test_unlabelled_pixels_count_nowhere():
    probabilities, truth = honest_tile(3)
    half = truth.copy()
    half[:, :80] = UNLABELLED
    counts, cut = count_tile(probabilities, half), count_tile(probabilities[:, :, 80:], truth[:, 80:])
    np.testing.assert_allclose(counts.top, cut.top)
    np.testing.assert_allclose(counts.each, cut.each)
    assert count_tile(probabilities, np.full_like(truth, UNLABELLED)).top.sum() == 0


def test_the_temperature_undoes_what_sharpened_the_logits():
    probabilities, truth = honest_tile(4, sharpened=3.0, size=640)
    assert best_temperature(losses(probabilities, truth)) == pytest.approx(3.0, rel=0.06)
    assert best_temperature(losses(*honest_tile(5, size=640))) == pytest.approx(1.0, rel=0.06)


def test_the_losses_are_cross_entropies_of_the_thinned_pixels():
    probabilities, truth = honest_tile(6)
    step = calibration.STEP
    logs = torch.from_numpy(np.log(probabilities[:, ::step, ::step])).double().flatten(1).T
    wanted = torch.from_numpy(truth[::step, ::step].astype(np.int64)).flatten()
    for number in (0, 20, 60):
        expected = torch.nn.functional.cross_entropy(logs / TEMPERATURES[number], wanted, reduction="sum")
        assert losses(probabilities, truth)[number] == pytest.approx(float(expected), rel=1e-5)


def test_a_temperature_never_changes_the_class_and_keeps_the_sum():
    probabilities, _ = honest_tile(7)
    for temperature in (0.3, 5.0):
        changed = tempered(probabilities, temperature)
        np.testing.assert_array_equal(changed.argmax(axis=0), probabilities.argmax(axis=0))
        np.testing.assert_allclose(changed.sum(axis=0), 1, atol=1e-5)


def test_a_tile_that_is_left_out_does_not_fit_its_own_temperature():
    tiles = [losses(*honest_tile(seed, sharpened=by, size=400)) for seed, by in ((0, 1.0), (1, 1.0), (2, 4.0))]
    first, _, odd = left_out_temperatures(tiles)
    assert odd == pytest.approx(1.0, rel=0.15)
    assert first > 1.3, "the odd one is among those that fit it"
    with pytest.raises(ValueError, match="two"):
        left_out_temperatures(tiles[:1])


def test_bins_of_equal_counts_hold_about_as_many_pixels_each():
    counts = count_tile(*honest_tile(8, sharpened=2.0)).top.sum(axis=0)
    found = reliability(counts, "equal counts")
    assert len(found.share) == BINS
    assert found.share.max() < 2.5 / BINS
    assert found.share.sum() == pytest.approx(1)


def test_accuracy_falls_with_coverage_and_ends_at_the_accuracy_of_all():
    probabilities, truth = honest_tile(9)
    counts = count_tile(probabilities, truth).top.sum(axis=0)
    accuracies = accuracies_at(counts, np.array([0.1, 0.5, 1.0]))
    assert accuracies[0] > accuracies[1] > accuracies[2]
    right = probabilities.argmax(axis=0) == truth
    assert accuracies[2] == pytest.approx(right.mean())
    surest = np.argsort(-probabilities.max(axis=0).ravel())[: truth.size // 2]
    assert accuracies[1] == pytest.approx(right.ravel()[surest].mean(), abs=0.005)


def test_counts_without_a_pixel_give_no_figure_and_no_crash():
    empty = np.zeros((calibration.FINE_BINS, 3))
    assert reliability(empty).confidence.size == 0
    assert np.isnan(accuracies_at(empty, np.array([0.5, 1.0]))).all()
    assert np.isnan(calibration_errors(coarse(empty)))
    assert np.isnan(overconfidence(empty))
