import dataclasses

import numpy as np
import pytest
import torch

from core.errors import CancelledError, InputError
from core.inference.tta import transforms
from core.progress import CancelFlag, SilentProgress
from core.training import features as module
from core.training.features import choose_device, make_extractor, view_name
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


def test_chosen_stages_are_those_of_all_stages_and_are_kept_apart_in_the_cache(extractor):
    image, _ = scene(0)
    all_stages = extract(extractor, image)
    some = changed(extractor, stages=(2, 4))
    ends = np.cumsum([6, *extractor.encoder.card.channels])
    taken = np.r_[0:6, ends[1] : ends[2], ends[3] : ends[4]]
    assert np.array_equal(extract(some, image), all_stages[taken])
    assert some.channels == len(taken)
    assert some.identity != extractor.identity


def test_a_stage_that_the_encoder_does_not_have_is_refused():
    with pytest.raises(InputError, match="has 5 stages and no stage 6"):
        make_extractor(encoder="efficientnet-lite0", weights="none", resolution_m=1.0, device="cpu", stages=(2, 6))


def changed(extractor, **options):
    return dataclasses.replace(extractor, **options)


def test_grey_features_do_not_know_colours_of_one_brightness(extractor):
    """Pure red at 255 and a blue-green mixture of the same luma are one grey."""
    red, other = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    red[..., 0], other[..., 1], other[..., 2] = 255, 100, 153
    grey = changed(extractor, grey=True)
    assert (extract(grey, red) == extract(grey, other)).all()
    assert not (extract(extractor, red) == extract(extractor, other)).all()


def test_scaled_by_the_tile_a_darker_and_flatter_picture_is_the_same(extractor):
    image, _ = scene(0)
    image = image // 2 * 2
    dark = image // 2 + 20
    own = changed(extractor, standardise="tile")
    bright, same = (extract(own, seen).astype(np.float32) for seen in (image, dark))
    plain = [extract(extractor, seen).astype(np.float32) for seen in (image, dark)]
    assert np.abs(bright - same).max() < 0.02
    assert np.abs(plain[0] - plain[1]).max() > 0.1


def test_scaled_by_the_tile_a_picture_of_the_encoder_s_own_colours_stays_as_it_is(extractor):
    generator = np.random.default_rng(0)
    image = generator.choice(np.array([0, 255], np.uint8), (64, 64, 1)).repeat(3, axis=2)
    image[::2], image[1::2] = image[::2, :], 255 - image[::2, :]  # mean and deviation 127.5, as lite0 expects
    found = extract(changed(extractor, standardise="tile"), image).astype(np.float32)
    assert np.allclose(found, extract(extractor, image).astype(np.float32), atol=0.02)


def test_without_standardising_the_encoder_sees_colours_from_nought_to_one(extractor):
    image, _ = scene(0)
    found = extract(changed(extractor, standardise="none"), image)
    seen = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        stages = extractor.encoder.backbone(seen)
    coarsest = stages[-1][0].numpy()
    whole = found[-len(coarsest) :, 1::4, 1::4].astype(np.float32)  # next to the middle of each coarse cell
    assert np.corrcoef(whole.ravel(), coarsest[:, :8, :8].ravel())[0, 1] > 0.95
    assert (found[:6] == extract(extractor, image)[:6]).all()


def test_a_tile_of_one_colour_can_be_scaled_by_itself(extractor):
    flat = extract(changed(extractor, standardise="tile"), np.full((64, 64, 3), 90, np.uint8))
    assert np.isfinite(flat.astype(np.float32)).all()


def test_colours_and_views_are_part_of_the_identity_where_they_are_not_the_usual_ones(extractor):
    usual = f"{extractor.encoder.identity}-1m-fp32-2"  # what is in people's caches by this name stays valid
    assert extractor.identity == usual
    others = [
        changed(extractor, **options).identity
        for options in (
            {"grey": True},
            {"standardise": "tile"},
            {"standardise": "none"},
            {"grey": True, "standardise": "tile"},
        )
    ]
    views = [usual + view_name(view) for view in transforms("d4")]
    assert views[0] == usual
    assert len({*others, *views}) == 12


def test_a_bad_encoder_or_device_is_told_in_one_sentence(monkeypatch):
    with pytest.raises(InputError, match="nearest names"):
        make_extractor(encoder="efficientnet", weights="packaged", resolution_m=1.0, device="cpu")
    with pytest.raises(InputError, match="choose auto, cpu or cuda"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


def test_texture_is_how_much_a_stage_varies_within_a_cell():
    extractor = make_extractor(
        encoder="efficientnet-lite0",
        weights="packaged",
        resolution_m=0.5,
        device="cpu",
        stages=(1, 2),
        texture=(1, 5),
        cell_m=8.0,
    )
    image, _ = scene(0)
    image = image[:128, :160]
    found = extract(extractor, image, metres=(0.5, 0.5)).astype(np.float32)
    channels = extractor.encoder.card.channels
    assert found.shape == (6 + channels[0] + channels[1] + channels[0] + channels[4], 8, 10)
    finest = extractor.encoder(torch.from_numpy(image).permute(2, 0, 1)[None])[0][0].numpy()
    cells = finest.reshape(channels[0], 8, 8, 10, 8)  # the finest stage has 8 x 8 values in a cell of 16 pixels
    start = 6 + channels[0] + channels[1]
    assert np.allclose(found[start : start + channels[0]], cells.std(axis=(2, 4)), atol=5e-3, rtol=5e-3)
    assert not found[-channels[4] :].any(), "the fifth stage has less than one value in a cell"


def test_an_encoder_without_the_stage_that_texture_is_taken_of_is_named():
    with pytest.raises(InputError, match="no stage 7; mend the recipe's texture_stages"):
        make_extractor(encoder="efficientnet-lite0", weights="none", resolution_m=1.0, device="cpu", texture=(7,))
