import numpy as np
import pytest

from core.classes import UNLABELLED
from core.errors import InputError
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.cross_validation import cross_validate, judge, judged_tiles
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from tests.core.training.scenes import only_a_patch, scene, write_pair, write_scenes

QUICK = ["encoder=efficientnet-lite0", "iterations=15"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"), names=("1", "2", "3", "4"))


def score(data, cache, *overrides, labels=None, **options):
    recipe = load_recipe("head", [*QUICK, *overrides])
    return cross_validate(data, labels, recipe=recipe, progress=SilentProgress(), cache=cache, device="cpu", **options)


def test_every_tile_is_judged_by_a_fit_that_never_saw_it(tmp_path, data, cache):
    found = score(data, cache)
    assert sorted(found.matrices) == ["1", "2", "3", "4"]
    recipe = load_recipe("head", [*QUICK, "train_tiles=1,2,4"])
    fit(FitRequest(data=data, out=tmp_path / "run", recipe=recipe, device="cpu", cache=cache), SilentProgress())
    (left_out,) = [tile for tile in judged_tiles(data, load_recipe("head")) if tile.name == "3"]
    alone = judge(load_segmenter(tmp_path / "run", "cpu", cache), left_out)
    assert np.array_equal(found.matrices["3"], alone)
    assert found.scores.accuracy > 0.6  # chance is 0.25


def test_in_folds_whole_tiles_are_left_out_together(data, cache):
    seen = []
    found = score(
        data, cache, folds=2, seed=1, on_fold=lambda run, tiles, _: seen.append(([t.name for t in tiles], run.is_dir()))
    )
    assert sorted(len(names) for names, _ in seen) == [2, 2]
    assert all(there for _, there in seen)
    assert sorted(found.matrices) == ["1", "2", "3", "4"]


def test_sparse_labels_train_and_full_masks_judge(tmp_path, data, cache):
    for index in range(4):
        image, raster = scene(index)
        write_pair(tmp_path, str(index + 1), image, only_a_patch(raster, side=32))
    found = score(data, cache, labels=tmp_path, only=["2"])
    assert list(found.matrices) == ["2"]
    assert found.matrices["2"].sum() == 256 * 256
    assert found.instances == pytest.approx(12)  # four blocks of each of four classes in each of three tiles


def test_only_the_tiles_that_the_recipe_names_take_part(data, cache):
    found = score(data, cache, "train_tiles=1,2,3", "validation_tiles=3")
    assert sorted(found.matrices) == ["1", "2"]


@pytest.mark.parametrize(("options", "told"), [({"folds": 5}, "5 folds need as many"), ({}, "at least two")])
def test_too_few_tiles_are_told_in_one_sentence(tmp_path, data, cache, options, told):
    if not options:
        data = tmp_path
        write_pair(data, "1", *scene(0))
        write_pair(data, "2", scene(1)[0])
    with pytest.raises(InputError, match=told):
        score(data, cache, **options)


def test_a_tile_without_training_labels_is_judged_all_the_same(tmp_path, data, cache):
    for index in range(4):
        image, raster = scene(index)
        write_pair(tmp_path, str(index + 1), image, raster if index else np.full_like(raster, UNLABELLED))
    assert score(data, cache, labels=tmp_path, only=["1"]).matrices["1"].sum() == 256 * 256
