"""Refinement by name."""

import numpy as np
import pytest

from core.errors import InputError
from core.inference import refine as module
from core.inference.refine import REFINEMENTS, refine


def noisy(shape=(24, 30)):
    probabilities = np.random.default_rng(0).random((6, *shape), dtype=np.float32)
    probabilities[2] += 0.2  # rangeland all over, under the noise
    return probabilities / probabilities.sum(axis=0), np.zeros((*shape, 3), np.uint8)


def test_none_gives_back_what_it_was_given():
    probabilities, image = noisy()
    assert refine("none", probabilities, image, metres_per_pixel=(0.5, 0.5)) is probabilities


@pytest.mark.parametrize("name", REFINEMENTS[1:])
def test_each_refinement_smooths_a_flat_image(name):
    probabilities, image = noisy()
    refined = refine(name, probabilities, image, metres_per_pixel=(0.5, 0.5))
    assert refined.shape == probabilities.shape
    assert (refined.argmax(axis=0) == 2).mean() > (probabilities.argmax(axis=0) == 2).mean() + 0.3
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)


def test_the_guided_filter_has_the_same_reach_on_the_ground_at_every_resolution(monkeypatch):
    reach = []
    monkeypatch.setattr(module, "guided_filter", lambda p, i, *, radius, epsilon: reach.append(radius))
    for metres in ((0.5, 0.5), (1.0, 2.0), (50.0, 50.0)):
        refine("guided", *noisy(), metres_per_pixel=metres)
    assert reach == [(16, 16), (8, 4), (1, 1)]


def test_an_unknown_name_is_refused_with_the_choices():
    with pytest.raises(InputError, match="none, guided, crf"):
        refine("sharpen", *noisy(), metres_per_pixel=(1, 1))
