"""Which classes occur on a tile, and taking out those that do not."""

import numpy as np
import pytest
import torch

from core.inference.network import NetworkSegmenter
from core.inference.presence import gate_absent, head_presence, mean_presence
from core.training.recipe import Recipe
from models.networks import NetworkOutput


def given(*rows):
    return np.array(rows, np.float32).T.reshape(6, 1, -1)


def test_the_mean_probability_is_a_class_s_presence():
    probabilities = given([1, 0, 0, 0, 0, 0], [0, 0.5, 0.5, 0, 0, 0])
    np.testing.assert_allclose(mean_presence(probabilities), [0.5, 0.25, 0.25, 0, 0, 0])


def test_an_absent_class_is_taken_out_and_the_rest_sums_to_one():
    probabilities = given([0.3, 0.3, 0.4, 0, 0, 0], [0.9, 0.1, 0, 0, 0, 0])
    presence = np.array([0.6, 0.2, 0.05, 0, 0, 0], np.float32)
    gated = gate_absent(probabilities, presence, 0.1)
    np.testing.assert_allclose(gated[:, 0, 0], [0.5, 0.5, 0, 0, 0, 0])
    np.testing.assert_allclose(gated.sum(axis=0), 1)
    assert probabilities[2, 0, 0] == np.float32(0.4)  # what was given is left alone


def test_something_is_always_left_to_choose():
    probabilities = given([0.2, 0.8, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1])
    gated = gate_absent(probabilities, np.array([0.3, 0.4, 0, 0, 0, 0.1], np.float32), 0.9)
    assert gated.argmax(axis=0).tolist() == [[1, 1]]
    np.testing.assert_allclose(gated.sum(axis=0), 1)


class _BrightIsUrban(torch.nn.Module):
    """Says that urban is present where a window is bright on the whole, in logits."""

    needs_context, needs_place = "none", False

    def __init__(self, head=True):
        super().__init__()
        self.head, self.sizes = head, []

    def forward(self, images, _):
        self.sizes.append(tuple(images.shape[-2:]))
        presence = torch.full((1, 6), -9.0)
        presence[0, 0] = images.float().mean() / 255 * 20 - 10
        return NetworkOutput(torch.zeros(1, 6, *images.shape[-2:]), [], presence if self.head else None)


def segmenter(network):
    return NetworkSegmenter(None, Recipe(train="whole", patch=64), network, torch.device("cpu"))


@pytest.mark.parametrize("shape", [(150, 200), (20, 300), (1, 1)])
def test_a_class_in_one_corner_is_present_on_the_tile(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[-64:, -64:] = 255
    network = _BrightIsUrban()
    presence = head_presence(segmenter(network), image, metres_per_pixel=(1.0, 1.0))
    assert presence.shape == (6,)
    assert presence[0] > 0.99
    assert presence[1:].max() < 0.01
    assert set(network.sizes) == {(64, 64)}


def test_a_network_without_the_head_says_nothing():
    image = np.zeros((70, 70, 3), np.uint8)
    assert head_presence(segmenter(_BrightIsUrban(head=False)), image, metres_per_pixel=(1.0, 1.0)) is None
