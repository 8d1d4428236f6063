"""The guided filter smooths inside surfaces and keeps their edges."""

import numpy as np
import pytest

from core.errors import InputError
from core.inference.guided_filter import GuidedParameters, guided_filter


def two_halves(noise=1.0, size=60):
    """A dark and a bright half, and noisy probabilities of which is which."""
    generator = np.random.default_rng(0)
    truth = (np.arange(size) >= size // 2).astype(int)[None].repeat(size, axis=0)
    image = np.where(truth[..., None] == 1, 200, 60).astype(np.uint8).repeat(3, axis=2)
    logit = (truth - 0.5) + generator.normal(0, noise, truth.shape)
    bright = 1 / (1 + np.exp(-logit))
    return np.stack([1 - bright, bright]).astype(np.float32), image, truth


def test_noise_goes_and_the_edge_stays():
    probabilities, image, truth = two_halves()
    filtered = guided_filter(probabilities, image, radius=(8, 8), epsilon=1e-3)
    assert (probabilities.argmax(axis=0) == truth).mean() < 0.75
    assert (filtered.argmax(axis=0) == truth).mean() > 0.99
    step = filtered[1][:, 30] - filtered[1][:, 29]
    assert step.mean() > 0.15  # the full step is 0.24: a box filter of this size would leave 0.03


def test_a_flat_guide_makes_it_a_box_filter_applied_twice():
    probabilities, _, _ = two_halves()
    filtered = guided_filter(probabilities, np.full((60, 60, 3), 90, np.uint8), radius=(2, 2), epsilon=1e-3)
    window = probabilities[1]
    once = np.array([[window[y - 2 : y + 3, x - 2 : x + 3].mean() for x in range(28, 33)] for y in range(28, 33)])
    assert filtered[1, 30, 30] == pytest.approx(once.mean(), abs=1e-4)


def test_the_result_is_probabilities_and_the_input_is_left_alone():
    probabilities, image, _ = two_halves(noise=4)
    before = probabilities.copy()
    filtered = guided_filter(probabilities, image, radius=(3, 5), epsilon=1e-4)
    assert filtered.dtype == np.float32
    assert filtered.min() >= 0
    np.testing.assert_allclose(filtered.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 2)])
def test_tiles_smaller_than_the_window_are_filtered_too(shape):
    probabilities = np.full((6, *shape), 1 / 6, np.float32)
    filtered = guided_filter(probabilities, np.zeros((*shape, 3), np.uint8), radius=(8, 8), epsilon=1e-3)
    np.testing.assert_allclose(filtered, 1 / 6, atol=1e-6)


def test_parameters_are_on_the_ground_and_in_grey_levels():
    chosen = GuidedParameters(radius_metres=4, edge_grey_levels=25.5)
    assert chosen.radius((0.5, 2.0)) == (8, 2)
    assert chosen.radius((50.0, 50.0)) == (1, 1)
    assert chosen.epsilon == pytest.approx(0.01)


@pytest.mark.parametrize("wrong", [{"radius_metres": 0}, {"edge_grey_levels": 300}, {"radius_metres": float("inf")}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=r"The guided filter's .* must lie between"):
        GuidedParameters(**wrong)
