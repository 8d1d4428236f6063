import pytest
import torch

from models.encoders import create_encoder
from models.errors import ModelError
from models.onnx_stages import OnnxStages, export_stages


@pytest.fixture(scope="module")
def encoder():
    return create_encoder("efficientnet-lite0", "packaged")


@pytest.fixture(scope="module")
def model(encoder):
    return export_stages(encoder, 3)


@pytest.mark.parametrize("shape", [(1, 64, 64), (1, 96, 256), (2, 32, 64)])
def test_the_graph_gives_the_encoder_s_maps_at_any_size(encoder, model, shape):
    count, height, width = shape
    images = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8)
    found, wanted = OnnxStages(model, encoder, 3)(images), encoder(images)
    assert len(found) == 3
    for one, other in zip(found, wanted, strict=False):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


def test_what_lies_beyond_the_deepest_stage_is_not_in_the_graph(encoder, model):
    assert len(model) < len(export_stages(encoder, 5)) / 2


def test_the_model_of_another_encoder_is_refused(model):
    with pytest.raises(ModelError, match="gives other maps"):
        OnnxStages(model, create_encoder("efficientnet-lite0", "none"), 3)


def test_what_is_no_model_is_refused(encoder):
    with pytest.raises(ModelError, match="cannot be run"):
        OnnxStages(b"no model", encoder, 3)
