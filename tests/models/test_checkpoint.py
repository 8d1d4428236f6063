import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models import lite_weights
from models.build import build_network
from models.checkpoint import FORMAT, load_head, pack_head
from models.errors import ModelError
from models.heads import ContextLinearHead, ConvolutionalHead
from models.networks import Context


@pytest.mark.parametrize(
    "head",
    [
        ContextLinearHead(channels=4, classes=6, windows=(1, 5)),
        ConvolutionalHead(channels=4, classes=6, width=8),
    ],
)
def test_a_head_comes_back_as_it_was_written(tmp_path, head):
    for tensor in head.state_dict().values():
        tensor.normal_()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pack_head(head))
    again = load_head(path)
    assert again.settings() == head.settings()
    assert not again.training
    assert all(torch.equal(t, again.state_dict()[k]) for k, t in head.state_dict().items())


def test_a_missing_file_is_named():
    with pytest.raises(ModelError, match="no weights at nowhere"):
        load_head(Path("nowhere"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x80\x02 a pickle"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_head(path)


def test_somebody_elses_safetensors_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="not written by Tilewright"):
        load_head(path)


def test_weights_that_do_not_fit_their_own_description_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    settings = {"channels": 4, "classes": 6, "windows": [1]}
    described = json.dumps({"format": FORMAT, "kind": "context-linear", "settings": settings})
    save_file({"weight": torch.zeros(2)}, path, {"tilewright": described})
    with pytest.raises(ModelError, match="do not fit"):
        load_head(path)


def test_weights_of_another_version_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(2)}, path, {"tilewright": json.dumps({"format": "tilewright-head-9"})})
    with pytest.raises(ModelError, match="another version"):
        load_head(path)


def test_equal_heads_are_equal_files():
    heads = [ContextLinearHead(channels=4, classes=6, windows=(1, 5)) for _ in range(8)]
    assert len({pack_head(head) for head in heads}) == 1


def test_a_network_comes_back_whole_without_asking_for_its_encoders_weights(tmp_path, monkeypatch):
    network = build_network(
        encoder="efficientnet-lite0",
        decoder="fpn",
        decoder_norm="groupnorm",
        hypercolumn=True,
        deep_supervision=True,
        presence=True,
        surroundings="global",
        extra_channels=("position",),
        standardise="training",
    )
    network.set_statistics([90, 80, 70], [40, 30, 20])
    network.eval()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pack_head(network))
    monkeypatch.setattr(lite_weights, "weights_file", lambda variant: pytest.fail("asked for the packaged weights"))
    torch.manual_seed(5)
    expected_random = torch.rand(3)
    torch.manual_seed(5)
    again = load_head(path)
    assert torch.equal(torch.rand(3), expected_random)
    assert again.settings() == network.settings()
    assert not again.training
    images = torch.randint(0, 256, (1, 3, 64, 64)).byte()
    place = Context(torch.tensor([[0.0, 0, 0.5, 0.5]]), torch.zeros(1, 3), torch.ones(1, 3), images.repeat(1, 1, 4, 4))
    with torch.no_grad():
        assert torch.equal(again(images, place).logits, network(images, place).logits)
    assert pack_head(again) == path.read_bytes()


def test_a_network_of_a_decoder_that_is_not_known_here_is_refused_by_name(tmp_path):
    path = tmp_path / "weights.safetensors"
    settings = {"encoder": "efficientnet-lite0", "decoder": "vnet"}
    described = json.dumps({"format": FORMAT, "kind": "network", "settings": settings})
    save_file({"weight": torch.zeros(2)}, path, {"tilewright": described})
    with pytest.raises(ModelError, match="no decoder called 'vnet'"):
        load_head(path)
