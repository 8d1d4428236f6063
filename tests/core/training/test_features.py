import numpy as np
import pytest
import torch

from core.errors import CancelledError, InputError
from core.inference.tta import transforms
from core.progress import CancelFlag, SilentProgress
from core.training import features as module
from core.training.features import choose_device, make_extractor
from tests.core.training.scenes import scene


@pytest.fixture(scope="module")
def extractor():
    return make_extractor(encoder="efficientnet-lite0", weights="packaged", resolution_m=1.0, device="cpu")


def extract(extractor, image, metres=(1.0, 1.0), **options):
    return extractor.extract(image, extractor.grid(image.shape[:2], metres), **options)


def test_a_tile_has_one_float16_vector_per_cell(extractor):
    image, _ = scene(0)
    found = extract(extractor, image)
    assert found.dtype == np.float16
    assert found.shape == (extractor.channels, 32, 32)
    assert extractor.channels == 6 + sum(extractor.encoder.card.channels)


def test_the_first_channels_are_the_mean_colours_of_the_cell(extractor):
    image, _ = scene(0)
    found = extract(extractor, image)
    expected = image[8:16, 24:32].reshape(-1, 3) / 255
    assert np.allclose(found[:3, 1, 3], expected.mean(axis=0), atol=1e-3)
    assert np.allclose(found[3:6, 1, 3], expected.std(axis=0), atol=1e-3)


@pytest.mark.parametrize("size", [(70, 130), (9, 9), (1, 40)])
def test_tiles_of_odd_and_tiny_sizes_have_features(extractor, size):
    found = extract(extractor, np.full((*size, 3), 90, np.uint8))
    assert found.shape[1:] == (-(-size[0] // 8), -(-size[1] // 8))
    assert np.isfinite(found.astype(np.float32)).all()


def test_half_a_metre_is_brought_to_one(extractor):
    image, _ = scene(0)
    doubled = image.repeat(2, axis=0).repeat(2, axis=1)
    assert np.allclose(extract(extractor, doubled, metres=(0.5, 0.5)), extract(extractor, image), atol=1e-2)


@pytest.mark.parametrize("transform", transforms("d4"))
def test_features_of_a_moved_image_come_back_to_their_cells(extractor, transform):
    """Colours do not depend on orientation, so they show that every cell is back in its place."""
    image, _ = scene(0)
    image = image[:120, :200]
    plain, moved = extract(extractor, image), extract(extractor, image, transform=transform)
    assert moved.shape == plain.shape
    assert np.allclose(moved[:6], plain[:6], atol=1e-3)


def test_a_large_tile_is_encoded_in_windows_that_agree_with_the_whole(extractor, monkeypatch):
    image, _ = scene(0, size=512)
    whole = extract(extractor, image).astype(np.float32)
    monkeypatch.setattr(module, "WHOLE_UP_TO", 256)
    monkeypatch.setattr(module, "WINDOW", 256)
    parted = extract(extractor, image).astype(np.float32)
    scale = whole.std(axis=(1, 2), keepdims=True) + 1e-3
    assert np.median(np.abs(parted - whole) / scale) < 0.01
    assert (np.abs(parted - whole) / scale).mean() < 0.1


def test_a_cancel_takes_effect_between_windows(extractor, monkeypatch):
    monkeypatch.setattr(module, "WHOLE_UP_TO", 64)
    flag = CancelFlag()
    flag.raised = True
    with pytest.raises(CancelledError):
        extract(extractor, np.zeros((128, 128, 3), np.uint8), progress=SilentProgress(flag))


def test_resolution_and_weights_are_part_of_the_identity(extractor):
    coarser = make_extractor(encoder="efficientnet-lite0", weights="packaged", resolution_m=2.0, device="cpu")
    random = make_extractor(encoder="efficientnet-lite0", weights="none", resolution_m=1.0, device="cpu")
    assert len({extractor.identity, coarser.identity, random.identity}) == 3


def test_a_bad_encoder_or_device_is_told_in_one_sentence(monkeypatch):
    with pytest.raises(InputError, match="nearest names"):
        make_extractor(encoder="efficientnet", weights="packaged", resolution_m=1.0, device="cpu")
    with pytest.raises(InputError, match="choose auto, cpu or cuda"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"
