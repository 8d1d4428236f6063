import json
from collections import Counter

import numpy as np
import pytest
import torch

from core.classes import UNLABELLED
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from core.training.bagging import average_heads
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.folds import PartProgress, part_tiles
from core.training.recipe import load_recipe
from core.training.runs import read_head, read_metrics, read_run
from models.heads import EnsembleHead
from tests.core.training.cancelling import CancelAt
from tests.core.training.scenes import scene, write_pair, write_scenes

QUICK = ["encoder=efficientnet-lite0", "iterations=30"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"), names=("1", "2", "3", "4"))


def request(data, out, cache, *overrides, seed=0):
    return FitRequest(
        data=data, out=out, recipe=load_recipe("head", [*QUICK, *overrides]), device="cpu", cache=cache, seed=seed
    )


def test_groups_are_of_like_size_and_hold_each_class_evenly():
    dominant = ["water"] * 3 + ["forest"] * 7 + ["urban"] * 1 + ["barren"] * 4
    for seed in range(5):
        groups = part_tiles(dominant, 4, seed=seed)
        assert sorted(index for group in groups for index in group) == list(range(15))
        assert {len(group) for group in groups} == {3, 4}
        for name in set(dominant):
            counts = [Counter(dominant[index] for index in group)[name] for group in groups]
            assert max(counts) - min(counts) <= 1
    assert part_tiles(dominant, 4, seed=0) != part_tiles(dominant, 4, seed=1)


def test_with_as_many_folds_as_tiles_each_tile_is_left_out_by_itself():
    assert sorted(part_tiles(["water", "water", "forest"], 3, seed=2)) == [[0], [1], [2]]


def test_the_run_is_the_average_of_members_that_each_never_saw_their_left_out_tiles(tmp_path, data, cache):
    fit(request(data, tmp_path / "run", cache, "folds=2"), SilentProgress())
    measured = read_run(tmp_path / "run").card.measured
    json.dumps(measured)
    assert measured["members"] == 2
    assert sorted(name for member in measured["fold_members"] for name in member["left_out"]) == ["1", "2", "3", "4"]
    heads = []
    for number, member in enumerate(measured["fold_members"]):
        others = ",".join(sorted({"1", "2", "3", "4"} - set(member["left_out"])))
        out = tmp_path / f"member-{number}"
        fit(request(data, out, cache, f"train_tiles={others}"), SilentProgress())
        heads.append(read_head(out))
    assert torch.equal(read_head(tmp_path / "run").weight, average_heads(heads).weight)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "card.json",
        "metrics.jsonl",
        "recipe.toml",
        "weights.safetensors",
    ]


def test_the_cross_validation_score_is_of_all_training_tiles_and_has_its_classes(tmp_path, data, cache):
    result = fit(request(data, tmp_path / "run", cache, "folds=3", "validation_tiles=4"), SilentProgress())
    crossed = read_run(tmp_path / "run").card.measured["cross_validation"]
    assert crossed["tiles"] == 3
    assert np.sum(crossed["confusion"]) == 3 * 256 * 256
    assert crossed["accuracy"] > 0.75  # four classes: chance is 0.25
    assert set(crossed["iou"]) == {"urban", "agriculture", "forest", "water"}
    low, high = crossed["interval"]["miou"]
    assert low <= crossed["miou"] <= high
    assert result["validation"]["tiles"] == ["4"]
    lines = read_metrics(tmp_path / "run")
    assert [line["iteration"] for line in lines] == [1, 2, 3]
    assert all(0 < line["left_out_miou"] <= 1 and line["validation_miou"] is not None for line in lines)


@pytest.mark.parametrize("head", ["prototype", "neighbours", "convolutional"])
def test_heads_that_are_not_alike_enough_to_be_added_become_an_ensemble(tmp_path, data, cache, head):
    fit(request(data, tmp_path / "run", cache, f"head={head}", "folds=2", "epochs=2", "width=16"), SilentProgress())
    kept = read_head(tmp_path / "run")
    assert isinstance(kept, EnsembleHead) == (head != "prototype")
    assert read_run(tmp_path / "run").card.measured["members"] == 2


def test_two_fits_with_folds_are_equal_bit_for_bit_and_another_seed_parts_otherwise(tmp_path, data, cache):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(request(data, tmp_path / name, cache, "folds=2", seed=seed), SilentProgress())
    a, b, c = ((tmp_path / name / "weights.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_cancel_keeps_the_members_that_are_ready(tmp_path, data, cache):
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "run", cache, "folds=3"), CancelAt("Member 3"))
    card = read_run(tmp_path / "run").card
    assert (card.state, card.measured["members"], card.validation) == ("cancelled", 2, None)
    assert read_head(tmp_path / "run").channels > 0


def test_a_cancel_before_any_member_is_ready_keeps_nothing(tmp_path, data, cache):
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "run", cache, "folds=3"), CancelAt("Reading the features"))
    assert not (tmp_path / "run").exists()


def test_a_cancel_within_the_first_member_keeps_its_best_so_far(tmp_path, data, cache):
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "run", cache, "folds=2", "iterations=100"), CancelAt("Training the head"))
    measured = read_run(tmp_path / "run").card.measured
    assert measured == {"members": 1, "fold_members": [], "cross_validation": None}


def test_more_folds_than_tiles_are_refused_in_one_sentence(tmp_path, data, cache):
    with pytest.raises(InputError, match="5 folds need as many labelled tiles to train on, and there are 4"):
        fit(request(data, tmp_path / "run", cache, "folds=5"), SilentProgress())
    assert not (tmp_path / "run").exists()


def test_a_fold_that_would_leave_one_class_is_refused(tmp_path, cache):
    image, raster = scene(0)
    write_pair(tmp_path / "data", "both", image, raster)
    write_pair(tmp_path / "data", "one", image, np.where(raster == 4, raster, UNLABELLED).astype(np.uint8))
    with pytest.raises(InputError, match=r"one fold \(both\) only water is labelled"):
        fit(request(tmp_path / "data", tmp_path / "run", cache, "folds=2"), SilentProgress())


def test_a_part_tells_the_whole_how_far_it_is():
    told = []

    class Whole(SilentProgress):
        def update(self, done, total, message):
            told.append((done, total, message))

    PartProgress(Whole(), 2, 4, "Member 3").update(5, 10, "Training")
    assert told == [(2.5, 4, "Member 3: Training")]
