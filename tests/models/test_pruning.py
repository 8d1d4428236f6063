"""Pruning: what is zeroed is the smallest, and what is removed changes nothing else."""

import copy

import pytest
import torch
from torch import nn

from models.build import build_network
from models.errors import ModelError
from models.pruning import Chain, prune_channels, prune_weights, removable

IMAGE = torch.randint(0, 256, (1, 3, 96, 64), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    made = build_network(encoder="efficientnet-lite0", weights="none", decoder="unet", seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for module in made.modules():  # normalisation that does something
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) * 0.1)
            module.weight.data.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(module.num_features, generator=generator) * 0.1)
    return made


@torch.inference_mode()
def logits(network):
    return network(IMAGE).logits


def test_the_smallest_weights_of_all_layers_become_zero(network):
    pruned = prune_weights(network, 0.6)
    assert pruned.zero_share == pytest.approx(0.6, abs=1e-3)
    kept = [m.weight[m.weight != 0].abs().min() for m in pruned.network.modules() if isinstance(m, nn.Conv2d)]
    pairs = zip(network.modules(), pruned.network.modules(), strict=True)
    gone = [a.weight[b.weight == 0].abs() for a, b in pairs if isinstance(a, nn.Conv2d)]
    assert min(kept) > max(part.max() for part in gone if part.numel())
    assert pruned.parameters == sum(p.numel() for p in network.parameters())


def test_pruning_leaves_the_network_itself_alone(network):
    before = copy.deepcopy(network.state_dict())
    prune_weights(network, 0.5)
    prune_channels(network, 0.5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_removed_channels_are_those_that_nobody_else_reads(network):
    """A network without them says what the whole one says when the next convolution turns a deaf ear to them."""
    deaf, pruned = copy.deepcopy(network), prune_channels(network, 0.5)
    chains = removable(deaf)
    assert len(chains) > 15
    # In the order of the modules, since the same pass was watched.
    for chain, small in zip(chains, _same(network, deaf, chains, pruned.network), strict=True):
        channels = chain.merit().topk(small.out_channels).indices
        ignored = torch.ones(chain.first.out_channels, dtype=torch.bool)
        ignored[channels] = False
        chain.last.weight.data[:, ignored] = 0
    assert pruned.way == "removed"
    torch.testing.assert_close(logits(pruned.network), logits(deaf), atol=1e-4, rtol=1e-4)


def _same(network, copied, chains: list[Chain], pruned):
    names = {id(module): name for name, module in copied.named_modules()}
    return [pruned.get_submodule(names[id(chain.first)]) for chain in chains]


@pytest.mark.parametrize("encoder", ["efficientnet-lite0", "resnet18"])
def test_a_network_without_half_of_its_channels_is_smaller(encoder):
    network = build_network(encoder=encoder, weights="none", decoder="unet").eval()
    pruned = prune_channels(network, 0.5)
    assert pruned.parameters < 0.65 * sum(p.numel() for p in network.parameters())
    assert logits(pruned.network).shape == logits(network).shape


def test_every_chain_keeps_a_channel_at_least(network):
    pruned = prune_channels(network, 0.999)
    assert all(m.out_channels >= 1 for m in pruned.network.modules() if isinstance(m, nn.Conv2d))
    assert torch.isfinite(logits(pruned.network)).all()


def test_channels_are_masked_where_none_can_be_removed(network, monkeypatch):
    monkeypatch.setattr("models.pruning.removable", lambda _: [])
    pruned = prune_channels(network, 0.5)
    assert pruned.way == "masked"
    assert pruned.zero_share > 0.4
    assert pruned.parameters == sum(p.numel() for p in network.parameters())


def test_a_network_that_reads_surroundings_is_refused():
    network = build_network(encoder="efficientnet-lite0", weights="none", decoder="fpn", surroundings="global").eval()
    with pytest.raises(ModelError, match="surroundings"):
        prune_channels(network, 0.5)
