import dataclasses

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.labels import superpixels
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fitted import FitTask
from core.training.joined_features import make_recipe_extractor
from core.training.material import TileSource, draws_by_view, read_material, regions
from core.training.recipe import load_recipe
from core.training.training_data import gather
from tests.core.training.scenes import only_a_patch, scene, write_pair

ENCODER = ["encoder=efficientnet-lite0", "windows=1,3", "resolution_m=0.5", "cell_m=4"]
NOBODY = 255


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two tiles of 32 x 32 cells to train on and one to validate, with a labelled patch in each of their 16 blocks."""
    folder = tmp_path_factory.mktemp("data")
    for index, name in enumerate("123"):
        image, raster = scene(index)
        write_pair(folder, name, image, only_a_patch(raster))
    return folder


def material_of(data, cache, *overrides, preset="head"):
    recipe = load_recipe(preset, [*ENCODER, *overrides])
    task = FitTask(
        recipe=recipe,
        tiles=gather(data, None, recipe),
        out=data / "run",
        seed=0,
        device="cpu",
        cache=cache,
        progress=SilentProgress(),
    )
    return read_material(task, TileSource(make_recipe_extractor(recipe, device="cpu"), cache, SilentProgress()))


def test_cells_know_their_tile_and_their_labelled_region(data, cache):
    cells = material_of(data, cache, "train_tiles=1,2").cells
    assert cells.tiles.tolist() == [0] * 576 + [1] * 576
    for tile in (0, 1):
        sizes = torch.bincount(cells.instances[cells.tiles == tile])
        assert sizes.tolist() == [36] * 16
    one = (cells.tiles == 0) & (cells.instances == 3)
    assert len(set(cells.classes[one].tolist())) == 1


def test_regions_are_connected_cells_of_one_class():
    classes = np.array([[1, 1, NOBODY, 1], [NOBODY, 1, 2, 2], [1, NOBODY, NOBODY, 1]], np.uint8)
    found = regions(classes)
    assert (found == -1).tolist() == (classes == NOBODY).tolist()
    first, second, third, fourth = found[0, 0], found[0, 3], found[2, 3], found[1, 2]
    assert len({int(first), int(second), int(third), int(fourth)}) == 4
    assert found[0, 1] == found[1, 1] == found[2, 0] == first
    assert found[1, 3] == fourth


def test_every_view_joins_the_training_with_its_own_features_and_the_same_labels(data, cache):
    plain = material_of(data, cache, "train_tiles=1").cells
    moved = material_of(data, cache, "train_tiles=1", "views=flips").cells
    count = len(plain.classes)
    assert len(moved.classes) == 4 * count
    assert torch.equal(moved.vectors[:count], plain.vectors)
    for view in range(1, 4):
        lot = slice(view * count, (view + 1) * count)
        assert torch.equal(moved.classes[lot], plain.classes)
        assert torch.equal(moved.instances[lot], plain.instances)
        assert not torch.equal(moved.vectors[lot], plain.vectors)
        assert torch.allclose(moved.vectors[lot, :6], plain.vectors[:, :6], atol=2e-3)  # colours stay in their cells
    assert torch.isclose(moved.weights.sum(), plain.weights.sum())


def test_views_share_the_room_for_cells_and_show_different_ones(data, cache):
    cells = material_of(data, cache, "train_tiles=1", "views=d4", "max_cells=400").cells
    assert 390 <= len(cells.classes) <= 400
    plain = material_of(data, cache, "train_tiles=1", "max_cells=400").cells
    assert torch.isclose(cells.weights.sum(), plain.weights.sum(), rtol=0.05)


def test_each_view_draws_for_itself_only_where_there_is_not_room_for_all():
    classes = [np.repeat(np.arange(4, dtype=np.uint8), 25)]
    generator = np.random.default_rng(0)
    fits = draws_by_view(classes, views=4, limit=400, generator=generator)
    assert all(len(chosen[0]) == 100 for chosen, _ in fits)
    short = draws_by_view(classes, views=4, limit=100, generator=generator)
    assert [len(chosen[0]) for chosen, _ in short] == [25] * 4
    assert len({tuple(chosen[0]) for chosen, _ in short}) == 4


def test_labels_that_are_spread_join_the_training_for_less_and_judge_nothing(data, cache):
    own = material_of(data, cache, "train_tiles=1", "validation_tiles=3", preset="head-convolutional")
    more = material_of(
        data, cache, "train_tiles=1", "validation_tiles=3", "propagate=true", preset="head-convolutional"
    )
    was, now = own.tiles[0], more.tiles[0]
    new = (was.classes == NOBODY) & (now.classes != NOBODY)
    truth = scene(0)[1][4::8, 4::8].astype(np.int64)
    assert new.sum() > 50
    assert (now.classes[new] == torch.from_numpy(truth)[new]).float().mean() > 0.9
    assert now.weights[new].max() <= 0.5
    assert torch.equal(now.classes[was.classes != NOBODY], was.classes[was.classes != NOBODY])
    assert np.array_equal(own.validation[0], more.validation[0])


def test_superpixels_are_cut_once(data, tmp_path, monkeypatch):
    cache, cuts, real = FeatureCache(tmp_path), [], superpixels.cut
    monkeypatch.setattr(superpixels, "cut", lambda *a, **k: cuts.append(1) or real(*a, **k))
    first, second = (material_of(data, cache, "train_tiles=1", "propagate=true").cells for _ in range(2))
    assert len(cuts) == 1
    assert torch.equal(first.weights, second.weights)


def test_a_tile_too_large_for_superpixels_is_refused(data, cache, monkeypatch):
    monkeypatch.setattr(superpixels, "MAX_PIXELS", 100)
    with pytest.raises(InputError, match="set propagate to false"):
        material_of(data, cache, "propagate=true")


@pytest.mark.parametrize("more", [(), ("more_resolutions_m=2",)])
def test_whole_tiles_stay_on_disk(data, cache, more):
    material = material_of(data, cache, *more, "train_tiles=1,2", "validation_tiles=3", preset="head-convolutional")
    assert isinstance(material.validation[0], np.memmap)
    assert material.cells is None
    assert [tile.features.dtype for tile in material.tiles] == [torch.float16] * 2
    assert material.tiles[0].features.shape[1:] == (32, 32)


def test_the_same_seed_chooses_the_same_cells(data, cache):
    few = ("views=d4", "max_cells=400", "propagate=true")
    first, second = (material_of(data, cache, *few).cells for _ in range(2))
    for part in dataclasses.fields(first):
        one, other = getattr(first, part.name), getattr(second, part.name)
        assert one is other or torch.equal(one, other)
