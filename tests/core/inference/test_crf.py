"""The fully connected CRF against its definition, summed over all pairs of pixels."""

from dataclasses import asdict

import cv2
import numpy as np
import pytest

from core.errors import InputError
from core.inference.bilateral_grid import BilateralGrid
from core.inference.crf import CRF_LIMITS, CrfParameters, dense_crf

SIZE = 40


def scene(seed, noise=1.5):
    """A bright disc and a dark band on grey, and noisy probabilities of three classes: (3, n, n), image, truth."""
    generator = np.random.default_rng(seed)
    ys, xs = np.mgrid[:SIZE, :SIZE]
    truth = np.where((ys - 14) ** 2 + (xs - 16) ** 2 < 90, 1, 0)
    truth[28:34] = 2
    colours = np.array([[110, 120, 100], [190, 180, 170], [40, 60, 80]])
    image = (colours[truth] + generator.normal(0, 5, (SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
    logits = (truth == np.arange(3)[:, None, None]) + generator.normal(0, noise, (3, SIZE, SIZE))
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(axis=0)).astype(np.float32), image, truth


def gaussian(features):
    """The symmetrically normalised Gaussian kernel between all pairs, (n, n)."""
    square = (features**2).sum(axis=1)
    kernel = np.exp(-0.5 * (square[:, None] + square[None] - 2 * features @ features.T).clip(0))
    root = 1 / np.sqrt(kernel.sum(axis=1))
    return root[:, None] * kernel * root[None]


def exact_crf(probabilities, image, chosen):
    """Mean field as in Kraehenbuehl & Koltun (2011), O(n^2), at one metre a pixel."""
    place = np.stack(np.mgrid[:SIZE, :SIZE], axis=-1).reshape(-1, 2).astype(float)
    colour = image.reshape(-1, 3).astype(float)
    alike = np.hstack([place / chosen.bilateral_metres, colour / chosen.bilateral_grey_levels])
    kernel = chosen.bilateral_weight * gaussian(alike) + chosen.smooth_weight * gaussian(place / chosen.smooth_metres)
    unary = np.log(probabilities.reshape(3, -1).T.astype(float).clip(1e-5))
    marginals = np.exp(unary)
    for _ in range(chosen.iterations):
        marginals = np.exp(unary + kernel @ marginals)
        marginals /= marginals.sum(axis=1, keepdims=True)
    return marginals.T.reshape(3, SIZE, SIZE)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "chosen",
    [
        CrfParameters(bilateral_metres=10, bilateral_grey_levels=20, smooth_metres=1.5),
        CrfParameters(bilateral_metres=25, bilateral_grey_levels=13, smooth_metres=3),
        CrfParameters(bilateral_metres=5, bilateral_grey_levels=30, bilateral_weight=8),
    ],
)
def test_labels_agree_with_the_sum_over_all_pairs(seed, chosen):
    probabilities, image, _ = scene(seed)
    ours = dense_crf(probabilities, image, metres_per_pixel=(1, 1), parameters=chosen)
    exact = exact_crf(probabilities, image, chosen)
    changed = exact.argmax(axis=0) != probabilities.argmax(axis=0)
    agrees = ours.argmax(axis=0) == exact.argmax(axis=0)
    assert changed.mean() > 0.2  # else agreement would be no feat
    assert agrees.mean() >= 0.97
    assert agrees[changed].mean() >= 0.95


def test_noise_goes_and_edges_stay():
    probabilities, image, truth = scene(7)
    chosen = CrfParameters(bilateral_metres=10, bilateral_grey_levels=20, smooth_metres=1.5)
    refined = dense_crf(probabilities, image, metres_per_pixel=(1, 1), parameters=chosen)
    assert (probabilities.argmax(axis=0) == truth).mean() < 0.7
    assert (refined.argmax(axis=0) == truth).mean() > 0.97


def test_marginals_are_probabilities_and_the_input_is_left_alone():
    probabilities, image, _ = scene(0)
    before = probabilities.copy()
    refined = dense_crf(probabilities, image, metres_per_pixel=(0.5, 0.5))
    assert refined.dtype == np.float32
    assert refined.shape == probabilities.shape
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities, before)


def test_without_weights_nothing_changes():
    probabilities, image, _ = scene(0)
    chosen = CrfParameters(bilateral_weight=0, smooth_weight=0)
    refined = dense_crf(probabilities, image, metres_per_pixel=(1, 1), parameters=chosen)
    np.testing.assert_allclose(refined, probabilities, atol=1e-5)


def test_the_kernel_is_symmetric():
    _, image, _ = scene(0)
    grid = BilateralGrid(image, deviation_pixels=(6, 9), deviation_grey_levels=15)
    a, b = np.random.default_rng(0).random((2, SIZE, SIZE, 1), dtype=np.float32)
    of_a, of_b = np.zeros_like(a), np.zeros_like(b)
    grid.add_filtered(a, grid.normaliser, of_a, grid.normaliser)
    grid.add_filtered(b, grid.normaliser, of_b, grid.normaliser)
    assert (a * of_b).sum() == pytest.approx((of_a * b).sum(), rel=1e-4)


def test_working_at_half_size_finds_what_full_size_finds():
    probabilities, image, _ = scene(0, noise=1.0)
    big = probabilities.repeat(2, axis=1).repeat(2, axis=2)
    big_image = image.repeat(2, axis=0).repeat(2, axis=1)
    coarse = dense_crf(big, big_image, metres_per_pixel=(0.5, 0.5))
    fine = dense_crf(big, big_image, metres_per_pixel=(0.5, 0.5), parameters=CrfParameters(working_metres=0.5))
    assert (coarse.argmax(axis=0) == fine.argmax(axis=0)).mean() > 0.97


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (31, 3)])
def test_slivers_are_refined_too(shape):
    probabilities = np.full((6, *shape), 1 / 6, np.float32)
    refined = dense_crf(probabilities, np.zeros((*shape, 3), np.uint8), metres_per_pixel=(0.5, 0.7))
    np.testing.assert_allclose(refined, 1 / 6, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"smooth_metres": 0}, "smooth metres .* between 0.1 and 50 metres, not 0"),
        ({"bilateral_weight": -1}, "bilateral weight .* between 0 and 40, not -1"),
        ({"bilateral_grey_levels": float("nan")}, "not nan"),
        ({"iterations": 1000}, "iterations .* between 1 and 50"),
        ({"bilateral_weight": 30, "smooth_weight": 30}, "40 together, not 60"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        CrfParameters(**wrong)


def test_every_parameter_has_limits_that_its_default_keeps():
    assert CRF_LIMITS.keys() == asdict(CrfParameters()).keys()


def test_the_number_of_threads_changes_nothing():
    probabilities, image, _ = scene(3)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = dense_crf(probabilities, image, metres_per_pixel=(1, 1))
        cv2.setNumThreads(3)
        together = dense_crf(probabilities, image, metres_per_pixel=(1, 1))
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(alone, together)
