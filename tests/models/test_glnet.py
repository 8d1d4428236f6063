import pytest
import torch

from models.build import build_network
from models.errors import ModelError
from models.glnet import LOCAL, REFINED, WHOLE, all_places
from models.networks import SegmentationNetwork

pytestmark = pytest.mark.usefixtures("narrow_glnet")

SIDE = 64
SETTINGS = {"encoder": "efficientnet-lite0", "decoder": "glnet", "decoder_norm": "none", "patch": SIDE}


@pytest.fixture(scope="module")
def network():
    return build_network(**SETTINGS, standardise="none")


@pytest.fixture(scope="module")
def tile():
    return (torch.rand(1, 3, 98, 90, generator=torch.Generator().manual_seed(0)) * 255).byte()


def test_a_deepglobe_tile_has_the_published_thirty_six_patches():
    places = all_places((2448, 2448))
    assert len(places) == 36
    assert sorted({top for top, _ in places}) == [0, 388, 776, 1164, 1552, 1940]
    assert all_places((508, 400)) == [(0, 0)]


def test_in_the_first_stage_classes_are_told_at_a_quarter_of_the_side(network, tile):
    network.settle(WHOLE)
    network.train()
    assert network(tile).logits.shape == (1, 6, SIDE // 4, SIDE // 4)


@pytest.mark.parametrize("stage", [WHOLE, LOCAL, REFINED])
def test_every_stage_predicts_a_whole_tile_at_its_size(network, tile, stage):
    network.enter(stage)
    network.eval()
    with torch.inference_mode():
        logits = network(tile).logits
    assert logits.shape == (1, 6, 98, 90)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("stage", "trained"), [(WHOLE, {"whole"}), (LOCAL, {"local", "ensemble"}), (REFINED, {"refined", "ensemble"})]
)
def test_a_stage_trains_one_branch_and_leaves_the_others_figures_alone(network, stage, trained):
    network.train()
    network.settle(stage)
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad} == trained
    norms = {name.split(".")[0] for name, m in network.named_modules() if "bn" in name and m.training}
    assert norms == trained - {"ensemble"}


def test_the_third_stage_begins_with_what_the_first_has_learned(network):
    with torch.no_grad():
        for parameter in network.whole.encoder.parameters():
            parameter.add_(0.01)
    network.enter(REFINED)
    for own, first in zip(network.refined.encoder.parameters(), network.whole.encoder.parameters(), strict=True):
        assert torch.equal(own, first)


def test_merged_maps_of_a_constant_are_that_constant(network, tile):
    network.eval()
    with torch.inference_mode():
        whole = network.read_whole(tile)
        merged = network.merged_patches(tile, whole, at_once=3)
        again = network.merged_patches(tile, whole, at_once=1)
    for maps, own, alone in zip(merged.stages, whole.stages, again.stages, strict=True):
        assert maps.shape == own.shape
        assert maps.isfinite().all(), "every place has a patch over it"
        torch.testing.assert_close(maps, alone, atol=1e-4, rtol=1e-4)


def test_the_patch_branch_reads_the_whole_tile(network, tile):
    network.eval()
    with torch.inference_mode():
        whole = network.read_whole(tile)
        other = whole.mapped(lambda maps: maps + 1)
        one, two = (network.read_patches(tile, [(0, 0)], read).own for read in (whole, other))
    assert not torch.equal(one, two)


def test_what_glnet_does_not_have_is_refused_in_one_sentence():
    for setting, told in (
        ({"decoder_norm": "batchnorm"}, "no decoder_norm to choose; leave it at none"),
        ({"surroundings": "global"}, "no surroundings to choose; leave it at none"),
        ({"standardise": "tile"}, "no standardising by each tile"),
    ):
        with pytest.raises(ModelError, match=told):
            build_network(**{**SETTINGS, "standardise": "none", **setting})


def test_the_whole_tile_branch_alone_takes_508_pixels_and_tells_a_quarter_while_it_is_trained():
    network = build_network(encoder="efficientnet-lite0", decoder="glnet-fpn", decoder_norm="none")
    assert isinstance(network, SegmentationNetwork)
    assert network.alignment == 4
    images = torch.zeros(2, 3, 132, 132)
    assert network(images).logits.shape == (2, 6, 33, 33)
    assert network.eval()(images).logits.shape == (2, 6, 132, 132)
