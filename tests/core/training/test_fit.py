import json
import os

import numpy as np
import pytest

from core.catalog.splitting.users import SplitRecord, runs_under
from core.classes import CLASS_NAMES, UNLABELLED
from core.errors import CancelledError, InputError
from core.progress import CancelFlag, SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.model_card import model_card
from core.training.recipe import load_recipe
from core.training.runs import list_runs, read_head, read_metrics, read_recipe, read_run
from core.workspace import open_workspace
from tests.core.training.scenes import only_a_patch, scene, write_pair, write_scenes

QUICK = ["epochs=3", "width=16"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"))


def request(data, out, cache, *, preset="head", overrides=(), **options):
    recipe = load_recipe(preset, [*QUICK, *overrides])
    return FitRequest(data=data, out=out, recipe=recipe, device="cpu", cache=cache, **options)


class StopAfter(SilentProgress):
    """A cancel that comes with the n-th line of metrics."""

    def __init__(self, lines):
        self._flag = CancelFlag()
        super().__init__(self._flag)
        self._left = lines

    def metrics(self, values):
        self._left -= "loss" in values
        self._flag.raised = self._left <= 0
        super().metrics(values)


@pytest.mark.parametrize("preset", ["head", "head-convolutional"])
def test_a_fit_leaves_a_whole_run_and_says_what_it_did(tmp_path, data, cache, preset):
    out = tmp_path / "runs" / "first"
    result = fit(request(data, out, cache, preset=preset, overrides=["validation_tiles=3"]), SilentProgress())
    json.dumps(result)
    assert sorted(f.name for f in out.iterdir()) == ["card.json", "metrics.jsonl", "recipe.toml", "weights.safetensors"]
    assert result["tiles"] == 2
    assert result["classes"]["urban"]["pixels"] == 2 * 4 * 64 * 64
    assert result["missing_classes"] == ["rangeland", "barren"]
    assert result["validation"]["tiles"] == ["3"]
    assert [row["tile"] for row in result["validation"]["per_tile"]] == ["3"]
    assert result["validation"]["interval"]["miou"] == [0.0, 1.0]  # one tile tells nothing of others
    (run,) = list_runs(tmp_path / "runs")
    assert (run.name, run.card.state) == ("first", "finished")
    assert set(run.card.training_tiles) == {"1", "2"}
    assert read_recipe(out).validation_tiles == ("3",)
    assert read_head(out).kind == run.card.head


def test_the_default_head_learns_classes_that_look_different(tmp_path, data, cache):
    result = fit(request(data, tmp_path / "run", cache, overrides=["validation_tiles=3"]), SilentProgress())
    assert result["validation"]["accuracy"] > 0.75  # four classes: chance is 0.25


@pytest.mark.parametrize("preset", ["head", "head-convolutional"])
def test_two_cpu_fits_are_equal_bit_for_bit(tmp_path, data, cache, preset):
    for name in ("a", "b"):
        fit(request(data, tmp_path / name, cache, preset=preset, seed=3), SilentProgress())
    first, again = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b"))
    assert first == again


def test_the_curve_has_a_loss_and_a_validation_score_per_line(tmp_path, data, cache):
    fit(request(data, tmp_path / "run", cache, overrides=["validation_tiles=3"]), SilentProgress())
    lines = read_metrics(tmp_path / "run")
    assert {"iteration", "loss", "validation_miou", "seconds"} <= set(lines[0])
    assert lines[-1]["validation_miou"] > 0.5
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_unlabelled_pixels_never_train(tmp_path, data, cache):
    """What lies under the unlabelled pixels of a mask must not matter: a wrong class there changes nothing."""
    weights = []
    for name, hidden in (("a", UNLABELLED), ("b", 2)):
        folder = tmp_path / name / "data"
        for index in range(2):
            image, raster = scene(index)
            sparse = only_a_patch(raster)
            write_pair(folder, str(index), image, raster if hidden == UNLABELLED else np.full_like(raster, hidden))
            write_pair(tmp_path / name / "labels", str(index), image, sparse)
        fit(request(folder, tmp_path / name / "run", cache, labels=tmp_path / name / "labels"), SilentProgress())
        weights.append((tmp_path / name / "run" / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_a_validation_tile_never_trains_and_is_judged_with_its_own_mask(tmp_path, data, cache):
    labels = tmp_path / "labels"
    for index in range(2):
        image, raster = scene(index)
        write_pair(labels, str(index + 1), image, only_a_patch(raster))
    result = fit(
        request(data, tmp_path / "run", cache, labels=labels, overrides=["validation_tiles=2,3"]), SilentProgress()
    )
    card = read_run(tmp_path / "run").card
    assert set(card.training_tiles) == {"1"}
    assert result["tiles"] == 1
    judged = np.asarray([result["validation"]["iou"][name] for name in result["validation"]["iou"]])
    assert len(judged) == 4
    assert result["classes"]["urban"]["pixels"] == 4 * 48 * 48


def test_tiles_without_labels_are_left_out_with_a_warning(tmp_path, cache):
    folder = write_scenes(tmp_path / "data", names=("1",))
    write_pair(folder, "2", scene(1)[0])
    image, raster = scene(2)
    write_pair(folder, "3", image, np.full_like(raster, UNLABELLED))
    result = fit(request(folder, tmp_path / "run", cache), SilentProgress())
    assert result["tiles"] == 1
    assert sum("has no labels and was left out" in sentence for sentence in result["warnings"]) == 2


def test_no_labels_at_all_is_refused_and_leaves_no_run(tmp_path, cache):
    write_pair(tmp_path / "data", "1", scene(0)[0])
    with pytest.raises(InputError, match="No tile to train on has labels"):
        fit(request(tmp_path / "data", tmp_path / "run", cache), SilentProgress())
    assert not (tmp_path / "run").exists()


def test_a_single_class_is_refused(tmp_path, cache):
    write_pair(tmp_path / "data", "1", scene(0)[0], np.full((256, 256), 4, np.uint8))
    with pytest.raises(InputError, match="Only water is labelled"):
        fit(request(tmp_path / "data", tmp_path / "run", cache), SilentProgress())


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["train_tiles=1,99"], "train_tiles names the tile 99"),
        (["validation_tiles=98"], "validation_tiles names the tile 98"),
        (["train_tiles=1,2", "validation_tiles=2"], "Tile 2 is to train and to validate at once"),
        (["encoder=resnet18"], "No installed package carries weights"),
    ],
)
def test_a_recipe_that_does_not_fit_the_data_is_told_in_one_sentence(tmp_path, data, cache, overrides, told):
    with pytest.raises(InputError, match=told):
        fit(request(data, tmp_path / "run", cache, overrides=overrides), SilentProgress())


def test_a_missing_folder_of_labels_is_named(tmp_path, data, cache):
    with pytest.raises(InputError, match=r"no folder of labels at .*nowhere"):
        fit(request(data, tmp_path / "run", cache, labels=tmp_path / "nowhere"), SilentProgress())


@pytest.mark.parametrize("preset", ["head", "head-convolutional"])
def test_a_cancelled_fit_keeps_the_best_head_so_far(tmp_path, data, cache, preset):
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "run", cache, preset=preset), StopAfter(2))
    assert read_run(tmp_path / "run").card.state == "cancelled"
    assert read_head(tmp_path / "run").channels > 100
    assert len(read_metrics(tmp_path / "run")) == 2


def test_a_cancel_before_the_head_begins_leaves_no_run(tmp_path, data, cache):
    flag = CancelFlag()
    flag.raised = True
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "run", cache), SilentProgress(flag))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_an_out_folder_that_cannot_be_written_is_named(tmp_path, data, cache):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="Could not write"):
        fit(request(data, tmp_path / "locked" / "run", cache), SilentProgress())


def test_the_card_counts_instances_pixels_and_cells_by_class(tmp_path, data, cache):
    card_classes = fit(request(data, tmp_path / "run", cache), SilentProgress())["classes"]
    assert list(card_classes) == list(CLASS_NAMES)
    assert card_classes["rangeland"] == {"instances": 0, "pixels": 0, "cells": 0}
    assert card_classes["water"]["cells"] == 3 * 4 * (64 // 16) ** 2


def test_the_card_names_the_split_that_a_run_trained_under(tmp_path, data, cache):
    split = SplitRecord("by region", "0123456789abcdef", fold=2)
    fit(request(data, tmp_path / "run", cache, overrides=["validation_tiles=3"], split=split), SilentProgress())
    assert read_run(tmp_path / "run").card.split == split
    said = "Split: 'by region', judged by fold 3, members `0123456789abcdef`."
    assert said in model_card(read_run(tmp_path / "run"))
    workspace = open_workspace(tmp_path / "ws")
    workspace.runs.mkdir()
    (tmp_path / "run").rename(workspace.runs / "run")
    assert runs_under(workspace, "by region", split.members) == ["run"]
    assert runs_under(workspace, "another", split.members) == []
