import json

import numpy as np
import pytest
import torch

from models.checkpoint import load_head, pack_head
from models.heads import (
    HEADS,
    ContextLinearHead,
    ContextTable,
    ConvolutionalHead,
    EnsembleHead,
    NeighboursHead,
    box_mean,
    context_vectors,
)

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


def neighbours_head(neighbours=3, references=40, dimensions=2, seed=1, classes=(0, 1)):
    """Reference cells of some classes of six, around the window means of the features' own channels."""
    head = NeighboursHead(
        channels=5, classes=6, windows=WINDOWS, dimensions=dimensions, references=references, neighbours=neighbours
    )
    generator = torch.Generator().manual_seed(seed)
    head.projection.copy_(torch.randn(head.projection.shape, generator=generator))
    head.references.copy_(torch.randn(references, dimensions, generator=generator))
    head.labels.copy_(torch.tensor(classes)[torch.arange(references) % len(classes)])
    head.weights.copy_(torch.rand(references, generator=generator) + 0.5)
    head.known.copy_(torch.isin(torch.arange(6), torch.tensor(classes)))
    return head


def test_the_nearest_references_vote_with_the_stated_strength():
    head, place = neighbours_head(), torch.tensor([[0.2, -0.1]])
    distance = (head.references - place).norm(dim=1)
    nearest = distance.argsort()[:3]
    deviation = distance[nearest].max() / 2
    strength = head.weights[nearest] * torch.exp(-(distance[nearest] ** 2) / (2 * deviation**2))
    share = torch.stack([strength[head.labels[nearest] == index].sum() for index in range(2)]) / strength.sum()
    expected = (3 * share + 0.5) / 4
    assert torch.allclose(head.votes(place)[0, :2].exp(), expected, atol=1e-5)


def test_a_class_without_references_is_never_voted_for():
    voted = neighbours_head()(features()[None])
    assert voted.shape == (1, 6, 7, 11)
    assert voted[:, 2:].exp().max() == 0
    assert torch.allclose(voted.exp().sum(dim=1), torch.ones(1, 7, 11), atol=1e-5)


def test_neighbours_see_each_cell_through_the_windows():
    head = neighbours_head()
    vectors = context_vectors(features(), torch.arange(7 * 11), WINDOWS)
    places = vectors @ head.projection.transpose(1, 2).flatten(0, 1) + head.offset
    assert torch.allclose(head(features()[None])[0].flatten(1).T, head.votes(places), atol=1e-3)


def test_fewer_references_than_neighbours_vote_all():
    assert neighbours_head(neighbours=25, references=4)(features()[None]).isfinite().all()


def test_an_ensemble_is_the_mean_of_its_members_probabilities():
    linear = ContextLinearHead(channels=5, classes=6, windows=WINDOWS)
    torch.nn.init.normal_(linear.weight)
    convolutional = ConvolutionalHead(channels=5, classes=6, width=16).eval()
    both = EnsembleHead(members=[linear, convolutional]).eval()
    expected = (linear(features()[None]).softmax(dim=1) + convolutional(features()[None]).softmax(dim=1)) / 2
    assert torch.allclose(both(features()[None]).softmax(dim=1), expected, atol=1e-5)


def test_an_ensemble_comes_back_from_its_settings_with_what_it_holds():
    inner = EnsembleHead(members=[neighbours_head(), ContextLinearHead(channels=5, classes=6, windows=(1,))])
    ensemble = EnsembleHead(members=[inner, ConvolutionalHead(channels=5, classes=6, width=16)]).eval()
    again = HEADS[ensemble.kind](**json.loads(json.dumps(ensemble.settings())))
    again.load_state_dict(ensemble.state_dict())
    assert torch.equal(again.eval()(features()[None]), ensemble(features()[None]))


def test_members_on_other_features_are_refused():
    with pytest.raises(ValueError, match="same channels"):
        EnsembleHead(members=[neighbours_head(), ContextLinearHead(channels=4, classes=6, windows=(1,))])


def test_new_kinds_of_heads_come_back_from_a_file(tmp_path):
    head = EnsembleHead(members=[neighbours_head(), ContextLinearHead(channels=5, classes=6, windows=(1,))])
    (tmp_path / "weights.safetensors").write_bytes(pack_head(head))
    again = load_head(tmp_path / "weights.safetensors")
    assert again.kind == "ensemble"
    assert torch.equal(again(features()[None]), head(features()[None]))
