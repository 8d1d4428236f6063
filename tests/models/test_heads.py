import numpy as np
import pytest
import torch

from models.heads import ContextLinearHead, ContextTable, ConvolutionalHead, box_mean, context_vectors

WINDOWS = (1, 3, 9)


def features(seed=0, channels=5, height=7, width=11):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(channels, height, width)).astype(np.float32))


def brute_force_mean(maps, window):
    radius = window // 2
    result = torch.empty_like(maps)
    for row in range(maps.shape[-2]):
        for column in range(maps.shape[-1]):
            box = maps[..., max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1]
            result[..., row, column] = box.mean(dim=(-2, -1))
    return result


@pytest.mark.parametrize("window", [1, 3, 5, 9, 41])
def test_a_box_mean_takes_only_what_lies_inside_the_map(window):
    assert torch.allclose(box_mean(features(), window), brute_force_mean(features(), window), atol=1e-6)


def test_context_vectors_are_the_box_means_of_the_chosen_cells():
    cells = torch.tensor([0, 13, 76])
    joined = torch.cat([box_mean(features(), w).flatten(1)[:, cells] for w in WINDOWS]).T
    assert torch.allclose(context_vectors(features(), cells, WINDOWS), joined, atol=1e-6)


def test_filtering_logits_equals_filtering_features():
    """The identity that prediction rests on: a box mean and a linear map commute."""
    head = ContextLinearHead(channels=5, classes=6, windows=WINDOWS)
    torch.nn.init.normal_(head.weight)
    torch.nn.init.normal_(head.bias)
    every_cell = torch.arange(7 * 11)
    slope = head.weight.transpose(1, 2).reshape(-1, 6)  # (windows * channels, classes)
    by_vectors = context_vectors(features(), every_cell, WINDOWS) @ slope + head.bias
    by_maps = head(features()[None])[0].flatten(1).T
    assert torch.allclose(by_vectors, by_maps, atol=1e-5)


def test_more_channels_than_are_summed_at_once_come_out_in_order():
    many = features(channels=150)
    cells = torch.tensor([3, 40])
    assert torch.allclose(context_vectors(many, cells, (1,)), many.flatten(1)[:, cells].T, atol=1e-6)


def test_the_linear_head_turns_with_the_map():
    head = ContextLinearHead(channels=5, classes=6, windows=WINDOWS)
    torch.nn.init.normal_(head.weight)
    turned = head(features().rot90(1, dims=(1, 2))[None])
    assert torch.allclose(turned, head(features()[None]).rot90(1, dims=(2, 3)), atol=1e-5)


def test_the_convolutional_head_keeps_the_map_and_gives_a_logit_per_class():
    head = ConvolutionalHead(channels=5, classes=6, width=16).eval()
    assert head(features()[None]).shape == (1, 6, 7, 11)


def test_the_convolutional_head_standardises_its_input():
    head = ConvolutionalHead(channels=5, classes=6, width=16).eval()
    expected = head(features()[None])
    head.mean.fill_(100)
    head.std.fill_(10)
    assert torch.allclose(head(features()[None] * 10 + 100), expected, atol=1e-4)


def test_kept_running_sums_give_the_same_vectors_bit_for_bit():
    many, cells = features(channels=150), torch.tensor([0, 3, 40, 76])
    assert torch.equal(ContextTable(many).vectors(cells, WINDOWS), context_vectors(many, cells, WINDOWS))
