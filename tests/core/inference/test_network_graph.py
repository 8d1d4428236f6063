"""Networks' ONNX models in the user's cache: made once, no more than a few, and torch where there can be none."""

import os

import pytest
import torch

from core.inference import network_graph as module
from core.inference.network_graph import network_graph
from models.build import build_network
from models.errors import ModelError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    return build_network(encoder="efficientnet-lite0", weights="none", decoder="fpn").eval()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tilewright" / "encoders" / "networks"


def test_a_model_is_made_once_and_of_each_weights_anew(cache, network, monkeypatch):
    made = []
    monkeypatch.setattr(module, "export_network", lambda one: made.append(one) or b"model")
    monkeypatch.setattr(module, "OnnxNetwork", lambda model, _network: model)
    assert [network_graph(network, CPU) for _ in range(2)] == [b"model", b"model"]
    assert len(made) == 1
    other = build_network(encoder="efficientnet-lite0", weights="none", decoder="fpn", seed=1).eval()
    network_graph(other, CPU)
    assert len(made) == 2


def test_the_cache_keeps_those_that_were_used_last(cache, network, monkeypatch):
    monkeypatch.setattr(module, "export_network", lambda _network: b"model")
    monkeypatch.setattr(module, "OnnxNetwork", lambda model, _network: model)
    cache.mkdir(parents=True)
    for number in range(module.KEPT):
        (cache / f"{number}.onnx").touch()
        os.utime(cache / f"{number}.onnx", (number, number))
    network_graph(network, CPU)
    kept = {path.name for path in cache.glob("*.onnx")}
    assert len(kept) == module.KEPT
    assert "0.onnx" not in kept
    assert "1.onnx" in kept


def test_a_network_that_cannot_be_written_is_left_to_torch_aloud(cache, network, monkeypatch, caplog):
    def refuse(_network):
        raise ModelError("This network cannot be written as ONNX.")

    monkeypatch.setattr(module, "export_network", refuse)
    assert network_graph(network, CPU) is None
    assert "run by torch instead" in caplog.text


def test_a_cache_that_cannot_be_written_costs_time_only(network, tmp_path, monkeypatch, caplog):
    (tmp_path / "tilewright").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "export_network", lambda _network: b"model")
    monkeypatch.setattr(module, "OnnxNetwork", lambda model, _network: model)
    assert network_graph(network, CPU) == b"model"
    assert "makes the network's ONNX model anew" in caplog.text


def test_on_a_gpu_torch_runs_it(network):
    assert network_graph(network, torch.device("cuda")) is None
