import json

import numpy as np
import pytest

from core.errors import CancelledError, InputError
from core.inference.predict import load_segmenter
from core.progress import CancelFlag, SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.training.runs import read_head, read_metrics, read_run
from tests.core.training.scenes import only_a_patch, scene, write_pair

ENCODER = ["encoder=efficientnet-lite0", "windows=1,3", "resolution_m=0.5", "iterations=20"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three tiles with a labelled patch in each of their 16 blocks, and one with a whole mask."""
    folder = tmp_path_factory.mktemp("data")
    for index, name in enumerate(("1", "2", "3")):
        image, raster = scene(index)
        write_pair(folder, name, image, only_a_patch(raster, side=24))
    write_pair(folder, "whole", *scene(7))
    return folder


def fitted(data, cache, out, *overrides, preset="head", progress=None):
    recipe = load_recipe(preset, [*ENCODER, "validation_tiles=whole", *overrides])
    request = FitRequest(data=data, out=out, recipe=recipe, device="cpu", cache=cache)
    return fit(request, progress or SilentProgress())


@pytest.fixture(scope="module")
def plain(data, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "plain"
    fitted(data, cache, out)
    return out


KINDS = {
    "prototype": ["head=prototype"],
    "neighbours": ["head=neighbours", "neighbours=7"],
    "tiles": ["tile_balance=1", "tile_variation=0.1"],
    "members": ["members=3"],
    "self-training": ["pseudo_rounds=2", "pseudo_confidence=0.6"],
    "both": ["members=2", "pseudo_rounds=1", "pseudo_confidence=0.6"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_on_cells_learns_is_kept_and_predicts(data, cache, tmp_path, kind):
    result = fitted(data, cache, tmp_path / "run", *KINDS[kind])
    json.dumps(result)
    assert result["validation"]["accuracy"] > 0.7
    image, raster = scene(9)
    segmenter = load_segmenter(tmp_path / "run", "cpu", cache)
    assert (segmenter.predict(image) == raster).mean() > 0.7


def test_members_and_rounds_make_one_point_of_the_curve_each(data, cache, tmp_path):
    fitted(data, cache, tmp_path / "run", *KINDS["both"])
    lines = read_metrics(tmp_path / "run")
    assert [line["iteration"] for line in lines] == [1, 2, 3]
    assert all(0 < line["loss"] < 2 and line["validation_miou"] is not None for line in lines)
    measured = read_run(tmp_path / "run").card.measured
    assert measured["members"] == 2
    assert sum(measured["machine_made_labels"].values()) > 10
    assert measured["temperature"] > 0


def test_where_nothing_unlabelled_is_sure_enough_the_card_says_so(data, cache, tmp_path):
    fitted(data, cache, tmp_path / "run", "pseudo_rounds=1", "train_tiles=whole", "validation_tiles=3")
    card = read_run(tmp_path / "run").card
    assert card.measured["machine_made_labels"] == {}
    assert any("sure enough" in warning for warning in card.warnings)


def test_a_fit_that_starts_at_a_run_stays_near_it(data, cache, plain, tmp_path):
    strong = ["l2=100", "train_tiles=1"]
    fitted(data, cache, tmp_path / "near", *strong, f"start={plain}")
    fitted(data, cache, tmp_path / "far", *strong)
    start, near, far = (
        read_head(folder).weight.detach().numpy() for folder in (plain, tmp_path / "near", tmp_path / "far")
    )
    assert np.linalg.norm(near - start) < 0.5 * np.linalg.norm(far - start)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["windows=1,5"], "windows"),
        (["standardise=tile"], "standardise"),
        (["encoder=efficientnet-lite1"], "another encoder"),
        (["start=nowhere"], "nowhere is no run"),
    ],
)
def test_a_start_that_does_not_fit_is_told_before_anything_is_computed(data, plain, tmp_path, overrides, told):
    with pytest.raises(InputError, match=told):
        fitted(data, FeatureCache(tmp_path / "cache"), tmp_path / "run", f"start={plain}", *overrides)
    assert not (tmp_path / "cache").exists()


def test_a_start_without_a_linear_head_is_refused(data, cache, tmp_path):
    fitted(data, cache, tmp_path / "other", "head=neighbours")
    with pytest.raises(InputError, match="no linear head"):
        fitted(data, cache, tmp_path / "run", f"start={tmp_path / 'other'}")


class StopAt(SilentProgress):
    """A cancel in the middle of the head after the first n points of the curve."""

    def __init__(self, points):
        self._flag = CancelFlag()
        super().__init__(self._flag)
        self._left = points

    def metrics(self, values):
        self._left -= "loss" in values

    def update(self, done, total, message):
        self._flag.raised = self._left <= 0 and done != int(done)
        super().update(done, total, message)


@pytest.mark.parametrize("points", [0, 1])
def test_a_cancel_among_members_keeps_the_average_so_far(data, cache, tmp_path, points):
    with pytest.raises(CancelledError):
        fitted(data, cache, tmp_path / "run", "members=3", progress=StopAt(points))
    assert read_run(tmp_path / "run").card.state == "cancelled"
    assert len(read_metrics(tmp_path / "run")) == points
    assert np.abs(read_head(tmp_path / "run").weight.detach().numpy()).sum() > 0


@pytest.mark.parametrize("kind", ["both", "neighbours"])
def test_two_fits_are_equal_bit_for_bit(data, cache, tmp_path, kind):
    for name in "ab":
        few = ["views=flips", "max_cells=300", "train_tiles=1,2", "iterations=8"]
        fitted(data, cache, tmp_path / name, *KINDS[kind], *few)
    first, second = ((tmp_path / name / "weights.safetensors").read_bytes() for name in "ab")
    assert first == second
