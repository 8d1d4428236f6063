"""Networks: every decoder, every option, on EfficientNet-Lite0 with its packaged weights and small images."""

from functools import cache

import pytest
import torch
from torch import nn

from core.training.recipe import PRESETS
from models.build import build_network, settings_of
from models.decoders import DECODERS, WITH_HYPERCOLUMN, LayerNorm2d, make_pair
from models.encoders import create_encoder, library_name
from models.errors import ModelError
from models.lite_weights import encoder_state
from models.network_context import SCALES, Context
from models.networks import SegmentationNetwork

ENCODER = "efficientnet-lite0"


def network(**settings):
    return build_network(encoder=ENCODER, **settings)


@cache
def kept(**settings):
    """A network in evaluation mode that several tests look at and none changes."""
    return network(**settings).eval()


def images(count=1, side=64, seed=0):
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(seed)).byte()


def context(count=1, pictures=None, box=(0.25, 0.25, 0.5, 0.5)):
    place = torch.tensor([box] * count)
    return Context(place, torch.full((count, 3), 110.0), torch.full((count, 3), 40.0), pictures)


def looked_up(net, seen, place=None):
    with torch.no_grad():
        return net(seen, place).logits


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_trains_all_its_weights_even_on_a_single_patch(decoder):
    net = network(decoder=decoder)
    output = net(images(side=max(64, net.smallest)))
    side = max(64, net.smallest) // (4 if decoder == "glnet-fpn" else 1)  # GLNet's loss is taken at a quarter
    assert output.logits.shape == (1, 6, side, side)
    assert (output.logits.dtype, output.deep, output.presence) == (torch.float32, [], None)
    output.logits.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.other_parameters())
    first = next(net.encoder_parameters())
    assert first.grad.abs().sum() > 0


@pytest.mark.parametrize("decoder", WITH_HYPERCOLUMN)
def test_the_levels_of_a_decoder_end_in_what_the_library_gives(decoder):
    encoder, levels = make_pair(library_name(ENCODER), decoder, norm="batchnorm", attention="none")
    with torch.no_grad():
        features = encoder.eval()(torch.rand(1, 3, 64, 96))
        found = levels.eval()(features)
        assert torch.equal(found[-1], levels.inner(features))
    assert len(found) == 5
    assert [maps.shape[-1] for maps in found] == sorted(maps.shape[-1] for maps in found)


@pytest.mark.parametrize("decoder", ["unet", "fpn", "pspnet"])
def test_the_encoder_has_the_packaged_weights(decoder):
    net = kept(decoder=decoder)
    packaged = encoder_state(0)
    own = net.encoder.model.state_dict()
    assert own
    assert all(torch.equal(tensor, packaged[key]) for key, tensor in own.items())
    assert net.encoder_identity == create_encoder(ENCODER).identity
    assert net.encoder_card.name == ENCODER


@pytest.mark.parametrize("decoder", ["fpn", "deeplabv3plus", "glnet-fpn"])
@pytest.mark.parametrize(
    ("norm", "kind"),
    [
        ("batchnorm", nn.BatchNorm2d),
        ("instancenorm", nn.InstanceNorm2d),
        ("layernorm", LayerNorm2d),
        ("groupnorm", nn.GroupNorm),
        ("none", None),
    ],
)
def test_the_decoder_is_normalised_as_asked_whatever_the_library_has(decoder, norm, kind):
    encoder, levels = make_pair(library_name(ENCODER), decoder, norm=norm, attention="none")
    kinds = (nn.BatchNorm2d, nn.InstanceNorm2d, LayerNorm2d, nn.GroupNorm)
    found = {type(m) for m in levels.modules() if isinstance(m, kinds)}
    assert found == ({kind} if kind else set())
    strides = [1, 2, 4, 8, 16, encoder.output_stride]
    features = [torch.randn(1, c, 64 // s, 64 // s) for c, s in zip(encoder.out_channels, strides, strict=True)]
    assert torch.isfinite(levels(features)[-1]).all()


def test_layer_normalisation_of_a_place_does_not_look_at_other_places():
    norm = LayerNorm2d(8)
    maps = torch.randn(2, 8, 4, 4)
    assert torch.allclose(norm(maps)[..., 1:3, 1:3], norm(maps[..., 1:3, 1:3]), atol=1e-6)


def test_scse_stands_in_a_unet_and_is_refused_elsewhere():
    names = {type(m).__name__ for m in network(decoder="unet", decoder_attention="scse").decoder.modules()}
    assert "SCSEModule" in names
    with pytest.raises(ModelError, match="fpn has no scSE attention; choose unet or unetplusplus"):
        network(decoder="fpn", decoder_attention="scse")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"decoder": "pspnet", "hypercolumn": True}, "pspnet has no levels to join"),
        ({"decoder": "upernet", "deep_supervision": 0.3}, "upernet has no inner levels to supervise"),
        ({"decoder": "vnet"}, "no decoder called 'vnet'; choose one of unet"),
        ({"decoder_norm": "groups"}, "no normalisation called 'groups'"),
        ({"surroundings": "all"}, "no surroundings called 'all'"),
        ({"standardise": "dataset"}, "no standard called 'dataset'"),
        ({"extra_channels": ("infrared",)}, "infrared cannot be had"),
        ({"grey": True, "extra_channels": ("excess-green",)}, "Excess green needs colours"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_sentence(settings, sentence):
    with pytest.raises(ModelError, match=sentence):
        SegmentationNetwork(encoder=ENCODER, **{"decoder": "unet", **settings})


def test_a_decoder_that_cannot_stand_on_an_encoder_says_so():
    with pytest.raises(ModelError, match="unetplusplus cannot stand on the encoder mit_b0"):
        SegmentationNetwork(encoder="mit_b0", decoder="unetplusplus")


def test_an_unknown_encoder_is_answered_with_the_nearest_names():
    with pytest.raises(ModelError, match=r"no encoder called 'efficientnet-lite9'.*efficientnet-lite"):
        build_network(encoder="efficientnet-lite9")


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_a_hypercolumn_is_one_linear_classifier_on_the_joined_levels(decoder):
    net = kept(decoder=decoder, hypercolumn=True)
    seen = images()
    with torch.no_grad():
        levels = net.decoder(net.encoder(net.input(seen, None)))
        large = [nn.functional.interpolate(maps, size=(64, 64), mode="bilinear") for maps in levels[:-1]]
        weight = torch.cat([c.weight for c in net.level_classifiers], dim=1)
        bias = sum(c.bias for c in net.level_classifiers)
        inner = nn.functional.conv2d(torch.cat(large, dim=1), weight, bias)
        last = nn.functional.interpolate(net.classifier(levels[-1]), size=(64, 64), mode="bilinear")
    assert torch.allclose(looked_up(net, seen), inner + last, atol=1e-4)


def test_deep_supervision_gives_logits_of_the_inner_levels_while_training_and_changes_nothing_else():
    net = network(decoder="unet", deep_supervision=0.4)
    assert [tuple(logits.shape) for logits in net(images(2)).deep] == [(2, 6, side, side) for side in (4, 8, 16, 32)]
    net = kept(decoder="unet", deep_supervision=True)
    assert net(images()).deep == []
    plain = kept(decoder="unet")
    plain_state = plain.state_dict()
    assert all(torch.equal(t, plain_state[k]) for k, t in net.state_dict().items() if k in plain_state)
    assert torch.equal(looked_up(net, images()), looked_up(plain, images()))


def test_the_presence_head_says_one_thing_of_each_class_and_image():
    output = network(decoder="fpn", presence=0.2)(images(3))
    assert output.presence.shape == (3, 6)
    assert output.presence.dtype == torch.float32


def test_extra_channels_change_nothing_until_they_are_trained():
    extra = ("excess-green", "local-variance", "position")
    net = kept(decoder="unet", extra_channels=extra)
    assert torch.allclose(looked_up(net, images(), context()), looked_up(kept(decoder="unet"), images()), atol=1e-5)


def test_extra_channels_are_trained_beside_a_frozen_encoder():
    net = network(decoder="fpn", extra_channels=("excess-green", "local-variance"))
    net.freeze_encoder()
    net(images()).logits.square().mean().backward()
    assert all(p.grad is None for p in net.encoder_parameters())
    (added,) = [p for name, p in net.named_parameters() if name.endswith("added.weight")]
    assert added.grad.abs().sum() > 0
    assert any(added is p for p in net.other_parameters())


def test_grey_takes_the_colour_away_and_nothing_else():
    seen = images()
    luminance = (seen.float() * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    net = kept(decoder="unet", grey=True)
    assert torch.allclose(looked_up(net, seen), looked_up(net, luminance.expand(-1, 3, -1, -1)), atol=1e-4)
    plain = looked_up(kept(decoder="unet"), luminance.expand(-1, 3, -1, -1))
    assert torch.allclose(looked_up(net, seen), plain, atol=1e-4)


def test_a_tile_standardised_by_itself_may_be_darker_or_flatter():
    net = kept(decoder="unet", standardise="tile")
    seen = images().float()
    first = looked_up(net, seen, context())
    darker = context()._replace(mean=torch.full((1, 3), 110.0 * 0.5 + 9), deviation=torch.full((1, 3), 20.0))
    assert torch.allclose(first, looked_up(net, seen * 0.5 + 9, darker), atol=1e-3)
    assert not torch.allclose(first, looked_up(net, seen * 0.5 + 9, context()), atol=1e-3)


def test_statistics_of_the_training_tiles_are_part_of_the_weights():
    net = network(decoder="fpn", standardise="training")
    net.set_statistics([100.0, 90.0, 80.0], [50.0, 40.0, 0.0])
    state = net.state_dict()
    assert state["input.mean"].flatten().tolist() == [100, 90, 80]
    assert state["input.std"].flatten().tolist() == [50, 40, 1]  # a blank channel is not blown up
    with pytest.raises(ValueError, match="takes no statistics"):
        kept(decoder="unet").set_statistics([0, 0, 0], [1, 1, 1])


def test_without_a_standard_pixels_are_only_brought_to_0_and_1():
    net = kept(decoder="unet", standardise="none")
    assert torch.equal(net.input(images(), None), images().float() / 255)


def test_a_frozen_encoder_keeps_its_figures_and_is_thawed_again():
    net = network(decoder="unet")
    net.freeze_encoder()
    net.train()
    before = {key: tensor.clone() for key, tensor in net.encoder.state_dict().items()}
    net(images(2)).logits.mean().backward()
    assert not any(m.training for m in net.encoder.modules())
    assert net.decoder.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.encoder.state_dict().items())
    assert all(p.grad is None for p in net.encoder_parameters())
    net.unfreeze_encoder()
    assert all(m.training for m in net.encoder.modules())
    net(images(2)).logits.mean().backward()
    assert all(p.grad is not None for p in net.encoder_parameters())


def test_encoder_and_other_weights_are_all_weights_and_share_none():
    net = kept(decoder="unet", extra_channels=("excess-green", "local-variance", "position"))
    parts = [{id(p) for p in part} for part in (net.encoder_parameters(), net.other_parameters())]
    assert parts[0] | parts[1] == {id(p) for p in net.parameters()}
    assert not parts[0] & parts[1]


@pytest.mark.parametrize("decoder", ["unet", "pspnet"])
def test_the_whole_tile_made_small_is_read_at_the_place_of_the_patch(decoder):
    """What the tile shows elsewhere hardly counts, what it shows at the patch's place does."""
    net = kept(decoder=decoder, surroundings="global")
    small = torch.full((1, 3, 256, 256), 90, dtype=torch.uint8)
    far, near = small.clone(), small.clone()
    far[..., 224:, 224:] = 250
    near[..., 80:112, 80:112] = 250
    plain, with_far, with_near = (looked_up(net, images(), context(pictures=p)) for p in (small, far, near))
    assert (with_near - plain).abs().mean() > 5 * (with_far - plain).abs().mean()


def test_surroundings_at_two_scales_are_read_in_their_order():
    net = kept(decoder="fpn", surroundings="two-scales")
    pictures = torch.stack([images(seed=1)[0], images(seed=2)[0]])[None]
    found = looked_up(net, images(), context(pictures=pictures))
    assert not torch.allclose(found, looked_up(net, images(), context(pictures=pictures.flip(1))), atol=1e-4)


def test_two_patches_at_once_see_their_own_surroundings():
    """In a batch, nothing of one patch's surroundings reaches another."""
    net = kept(decoder="fpn", surroundings="two-scales")
    seen = images(2)
    pictures = images(2 * len(SCALES), seed=5).view(2, len(SCALES), 3, 64, 64)
    together = looked_up(net, seen, context(2, pictures))
    for index in range(2):
        alone = looked_up(net, seen[index : index + 1], context(1, pictures[index : index + 1]))
        assert torch.allclose(together[index], alone[0], atol=1e-4)


@pytest.mark.parametrize("surroundings", ["global", "two-scales"])
def test_networks_with_surroundings_train_all_their_weights(surroundings):
    net = network(decoder="unet", surroundings=surroundings, hypercolumn=True, deep_supervision=True)
    pictures = images(2, side=256) if surroundings == "global" else images(4).view(2, 2, 3, 64, 64)
    output = net(images(2), context(2, pictures))
    (output.logits.square().mean() + sum(logits.square().mean() for logits in output.deep)).backward()
    assert all(p.grad is not None for p in net.other_parameters())


@pytest.mark.parametrize("settings", [{"surroundings": "global"}, {"standardise": "tile"}])
def test_a_missing_context_is_a_mistake_of_the_caller(settings):
    net = network(decoder="fpn", weights="none", **settings)
    with pytest.raises(ValueError, match="give a context"):
        net(images())
    if "surroundings" in settings:
        with pytest.raises(ValueError, match="must hold images"):
            net(images(), context())


def test_sides_that_do_not_fit_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="multiples of 32"):
        kept(decoder="unet")(images(side=48))
    with pytest.raises(ValueError, match="at least 256"):
        network(decoder="pan", weights="none")(images(side=128))


def test_a_seed_draws_the_same_weights_and_leaves_the_process_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (network(decoder="fpn", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


def test_glnets_pyramid_is_linear_and_drawn_as_its_authors_did():
    net = kept(decoder="glnet-fpn", decoder_norm="none")
    weights = torch.cat([m.weight.flatten() for m in net.decoder.modules() if isinstance(m, nn.Conv2d)])
    assert weights.std().item() == pytest.approx(0.01, rel=0.02)
    assert net.classifier.in_channels == 512
    with torch.no_grad():
        one, two = (net.encoder(torch.rand(1, 3, 64, 64)) for _ in range(2))
        both = [a + b for a, b in zip(one, two, strict=True)]
        joined, first, second = (net.decoder(features)[-1] for features in (both, one, two))
    assert joined.shape == (1, 512, 16, 16)
    assert torch.allclose(joined, first + second, atol=1e-4)


def test_a_recipe_tells_how_to_build_its_network():
    recipe = PRESETS["glnet-fpn"].model_copy(update={"encoder": ENCODER, "weights": "packaged"})
    net = build_network(**settings_of(recipe), seed=3)
    assert net.settings()["decoder"] == "glnet-fpn"
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.decoder.modules())
