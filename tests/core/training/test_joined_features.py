import numpy as np
import pytest

from core.errors import InputError
from core.inference.tta import transforms
from core.training.cell_grid import CellGrid, cell_grid
from core.training.feature_cache import FeatureCache, holds_features, tile_features
from core.training.joined_features import between, make_recipe_extractor, part_grid
from core.training.recipe import load_recipe
from tests.core.training.scenes import scene

LITE0 = ["encoder=efficientnet-lite0", "resolution_m=1", "stages=2,3,4", "texture_stages="]


def extractor_of(*overrides):
    return make_recipe_extractor(load_recipe("head", [*LITE0, *overrides]), device="cpu")


@pytest.fixture(scope="module")
def joined():
    return extractor_of("more_resolutions_m=2,0.5")


def extract(extractor, image, metres=(0.5, 0.5), **options):
    return extractor.extract(image, extractor.grid(image.shape[:2], metres), **options)


def test_a_recipe_of_one_encoder_has_a_plain_extractor():
    whole = extractor_of("stages=")
    assert whole.identity == f"{whole.encoder.identity}-1m-fp32-2-cells8m"


def test_the_first_part_is_what_it_is_alone_and_the_others_follow(joined):
    image, _ = scene(0)
    found = extract(joined, image)
    one = extract(joined.parts[0], image)
    assert found.shape == (joined.channels, 16, 16)
    assert joined.channels == 3 * len(one)
    assert (found[: len(one)] == one).all()


@pytest.mark.parametrize("part", [1, 2])
def test_colours_of_other_resolutions_come_to_their_cells(joined, part):
    """Half as fine and twice as fine maps of a slowly changing picture, brought to the usual cells, are alike."""
    ramp = np.linspace(20, 230, 200)[:, None] * np.ones((1, 272)) * 0.5 + np.linspace(0, 100, 272)
    found = extract(joined, ramp.astype(np.uint8)[..., None].repeat(3, axis=2)).astype(np.float32)
    size = len(found) // 3
    usual, other = found[:3], found[part * size : part * size + 3]
    assert found.shape[1:] == (13, 17)
    assert np.abs(usual - other)[:, 1:-1, 1:-1].max() < 0.01
    assert np.abs(usual - other).max() < 0.06


@pytest.mark.parametrize("transform", transforms("d4"))
def test_joined_features_of_a_moved_image_come_back_to_their_cells(joined, transform):
    image = scene(0)[0][:240, :200]
    size = joined.parts[0].channels
    plain, moved = extract(joined, image).astype(np.float32), extract(joined, image, transform=transform)
    for start in range(0, joined.channels, size):
        assert np.allclose(plain[start : start + 3], moved[start : start + 3], atol=5e-3)


def test_the_same_features_are_joined_from_the_cache(joined, tmp_path):
    image, _ = scene(0)
    grid = joined.grid(image.shape[:2], (0.5, 0.5))
    cache, reads = FeatureCache(tmp_path), []

    def read():
        reads.append(1)
        return image

    for mapped in (False, False, True):
        found = tile_features(cache, joined, fingerprint="cafe", grid=grid, read=read, mapped=mapped)
        assert (found == extract(joined, image)).all()
    assert isinstance(found, np.memmap)
    assert len(reads) == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_parts_are_shared_between_recipes_and_views_are_kept_apart(joined, tmp_path):
    image, _ = scene(0)
    grid, cache = joined.grid(image.shape[:2], (0.5, 0.5)), FeatureCache(tmp_path)
    flip = transforms("flips")[1]
    tile_features(cache, joined, fingerprint="cafe", grid=grid, read=lambda: image)
    assert holds_features(cache, joined, fingerprint="cafe")
    assert holds_features(cache, extractor_of(), fingerprint="cafe")
    assert holds_features(cache, extractor_of("resolution_m=2"), fingerprint="cafe")
    assert not holds_features(cache, joined, fingerprint="cafe", transform=flip)
    moved = tile_features(cache, joined, fingerprint="cafe", grid=grid, read=lambda: image, transform=flip)
    assert (moved == extract(joined, image, transform=flip)).all()
    assert len(list(tmp_path.iterdir())) == 6


def test_several_encoders_are_joined_at_every_resolution():
    both = extractor_of("more_encoders=efficientnet-lite1", "more_resolutions_m=2")
    assert [(p.encoder.card.name[-5:], p.resolution_m) for p in both.parts] == [
        ("lite0", 1.0),
        ("lite0", 2.0),
        ("lite1", 1.0),
        ("lite1", 2.0),
    ]
    first, second = both.parts[0].encoder, both.parts[2].encoder
    assert both.encoder_parameters == first.card.parameters + second.card.parameters
    assert both.encoder_identity == f"{first.identity}+{second.identity}"
    assert both.identity != extractor_of("more_resolutions_m=2").identity


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["more_resolutions_m=1.0"], "twice"),
        (["more_encoders=efficientnet-lite0"], "twice"),
        (["more_encoders=efficientnet-light1"], "nearest names"),
        (["more_encoders=efficientnet-lite1@nowhere.safetensors"], "nowhere.safetensors"),
        (["standardise=training"], "choose 'encoder', 'tile' or 'none'"),
    ],
)
def test_what_cannot_be_joined_is_told_in_one_sentence(overrides, told):
    with pytest.raises(InputError, match=told):
        extractor_of(*overrides)


def test_a_further_encoder_has_no_weights_where_the_recipe_has_none():
    both = extractor_of("weights=none", "more_encoders=resnet18")
    assert len(both.parts) == 2


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("resolution_m", [0.3, 0.5, 0.9, 1.1, 2.0, 7.0])
def test_a_straight_line_is_kept_from_one_grid_to_another(resolution_m, axis):
    size, metres = (331, 270), (0.5, 0.5)
    target = cell_grid(size, metres_per_pixel=metres, resolution_m=1.0)
    source = cell_grid(size, metres_per_pixel=metres, resolution_m=resolution_m)
    matrix = between(source, target, axis)
    assert matrix.shape == (target.cells[axis], source.cells[axis])
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert (matrix >= 0).all()
    place = [(np.arange(g.cells[axis]) + 0.5) / g.working[axis] for g in (source, target)]
    inside = (place[1] > place[0][0]) & (place[1] < place[0][-1])
    assert np.abs(matrix @ place[0] - place[1])[inside].max() < 1 / target.working[axis]


def test_a_grid_that_does_not_know_its_metres_is_a_mistake_of_the_caller(joined):
    with pytest.raises(ValueError, match="cell_grid"):
        part_grid(joined.parts[1], CellGrid((64, 64), (32, 32)))
