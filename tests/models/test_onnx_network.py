"""A whole network as an ONNX graph: the same logits, a check that finds others, and a way out."""

import numpy as np
import pytest
import torch

from models.build import build_network
from models.errors import ModelError
from models.network_context import Context
from models.network_ensemble import NetworkEnsemble
from models.onnx_network import OnnxNetwork, export_network

SETTINGS = {"encoder": "efficientnet-lite0", "weights": "none"}


def images(count, height, width):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def by_torch(network, given, context=None):
    with torch.inference_mode():
        return network(torch.from_numpy(given).permute(0, 3, 1, 2), context).logits.numpy()


@pytest.mark.parametrize("decoder", ["fpn", "deeplabv3plus"])
def test_a_network_gives_the_same_logits_at_any_size(decoder):
    network = build_network(decoder=decoder, **SETTINGS).eval()
    graph = OnnxNetwork(export_network(network), network)
    for shape in ((1, 128, 192), (3, 96, 64)):
        wanted = by_torch(network, images(*shape))
        assert np.allclose(graph(images(*shape)), wanted, atol=1e-3 * np.abs(wanted).max())


def test_a_network_that_knows_its_place_is_told_it():
    network = build_network(
        decoder="fpn", standardise="tile", extra_channels=["position", "excess-green"], **SETTINGS
    ).eval()
    torch.nn.init.normal_(next(w for name, w in network.named_parameters() if name.endswith("added.weight")), std=0.1)
    graph = OnnxNetwork(export_network(network), network)
    given = images(1, 64, 64)
    contexts = [
        Context(torch.tensor([box]), torch.full((1, 3), mean), torch.full((1, 3), 40.0))
        for box, mean in (([0.0, 0.0, 0.5, 0.5], 100.0), ([0.5, 0.5, 1.0, 1.0], 140.0))
    ]
    found = [graph(given, context) for context in contexts]
    assert not np.allclose(*found)
    for logits, context in zip(found, contexts, strict=True):
        wanted = by_torch(network, given, context)
        assert np.allclose(logits, wanted, atol=1e-3 * np.abs(wanted).max())


def test_an_ensemble_is_one_graph():
    members = [build_network(decoder="fpn", seed=seed, **SETTINGS).eval() for seed in (0, 1)]
    ensemble = NetworkEnsemble(members).eval()
    graph = OnnxNetwork(export_network(ensemble), ensemble)
    assert np.allclose(graph(images(1, 64, 96)), by_torch(ensemble, images(1, 64, 96)), atol=1e-3)


@pytest.mark.parametrize("settings", [{"decoder": "fpn", "surroundings": "global"}, {"decoder": "pspnet"}])
def test_what_cannot_be_written_is_refused_in_one_line(settings):
    network = build_network(**settings, **SETTINGS).eval()
    with pytest.raises(ModelError) as refused:
        export_network(network)
    assert "\n" not in str(refused.value)


def test_a_graph_of_another_network_is_found_out():
    one, other = (build_network(decoder="fpn", seed=seed, **SETTINGS).eval() for seed in (0, 1))
    with pytest.raises(ModelError, match="other logits"):
        OnnxNetwork(export_network(one), other)


def test_a_damaged_graph_is_refused():
    network = build_network(decoder="fpn", **SETTINGS).eval()
    with pytest.raises(ModelError, match="cannot be run"):
        OnnxNetwork(export_network(network)[:1000], network)
