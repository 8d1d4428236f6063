"""Kept predictions: made once, known when stale, bounded on the disk, gone with their run."""

import json
import os

import numpy as np
import pytest

from core.catalog.catalogue import collections, index_folder, tiles
from core.errors import CancelledError, InputError
from core.inference import store, store_space
from core.inference.measured_costs import NETWORKS, REMEMBERING
from core.inference.predict_tiles import chosen_tiles, predict_tiles
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.workspace import open_workspace
from tests.core.training.scenes import write_scenes

GUIDED = Switches("none", "guided")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three tiles, and a run that trained on two of them."""
    root = tmp_path_factory.mktemp("store")
    data = write_scenes(root / "data")
    workspace = open_workspace(root / "workspace")
    index_folder(workspace, data, SilentProgress())
    recipe = load_recipe("head", ["train_tiles=1,2"])
    cache = FeatureCache(workspace.features)
    fit(FitRequest(data=data, out=workspace.runs / "first", recipe=recipe, device="cpu", cache=cache), SilentProgress())
    return workspace


@pytest.fixture
def workspace(trained):
    """The same with nothing kept."""
    store_space.delete_predictions(trained, "first")
    return trained


def rows(workspace):
    return tiles(workspace, collections(workspace)[0].id)


def no_networks(monkeypatch):
    monkeypatch.setattr(store, "load_segmenter", lambda *_, **__: pytest.fail("a network was asked"))


def test_a_prediction_is_made_once_and_a_refinement_does_not_ask_the_network_again(workspace, monkeypatch):
    tile = rows(workspace)[2]
    assert store.kept(workspace, "first", tile, Switches()) is None
    made = store.Predictor(workspace, "first").compute(tile, Switches(), SilentProgress())
    no_networks(monkeypatch)
    again = store.Predictor(workspace, "first").compute(tile, Switches(), SilentProgress())
    assert again.path == made.path
    refined = store.Predictor(workspace, "first").compute(tile, GUIDED, SilentProgress())
    assert refined.path != made.path
    stages = [json.loads(store.note_path(one).read_text())["stages"] for one in (made, refined)]
    assert [one.keys() & {NETWORKS, REMEMBERING} for one in stages] == [{NETWORKS}, {REMEMBERING}]
    assert store.load(refined, tile).shape == (tile.height, tile.width)


def test_a_refinement_of_what_was_kept_is_the_one_that_a_first_prediction_gives(workspace):
    tile = rows(workspace)[2]
    first = store.load(store.Predictor(workspace, "first").compute(tile, GUIDED, SilentProgress()), tile)
    store_space.delete_predictions(workspace, "first")
    predictor = store.Predictor(workspace, "first")
    predictor.compute(tile, Switches(), SilentProgress())
    assert np.array_equal(store.load(predictor.compute(tile, GUIDED, SilentProgress()), tile), first)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("fingerprint", "another", "image"), ("weights", "another", "trained anew"), ("versions", {"tta": 0}, "switches")],
)
def test_a_stale_prediction_is_found_told_and_made_anew(workspace, key, value, reason):
    tile = rows(workspace)[1]
    made = store.Predictor(workspace, "first").compute(tile, Switches(), SilentProgress())
    note = store.note_path(made)
    note.write_text(json.dumps({**json.loads(note.read_text()), key: value}))
    assert store.kept(workspace, "first", tile, Switches()) is None
    assert reason in store.find(workspace, "first", tile, Switches()).stale
    (group,) = store_space.kept_groups(workspace)
    assert store.stale_tiles(workspace, group) == 1
    store.Predictor(workspace, "first").compute(tile, Switches(), SilentProgress())
    assert store.stale_tiles(workspace, group) == 0


def test_what_was_used_least_recently_goes_first(workspace, monkeypatch):
    predictor = store.Predictor(workspace, "first")
    made = [predictor.compute(tile, Switches(), SilentProgress()) for tile in rows(workspace)]
    used = store_space.used_bytes(workspace)
    for path in workspace.predictions.rglob("*.*"):
        os.utime(path, (1, 1))
    store.touch(made[0])
    monkeypatch.setattr(store_space, "limit_bytes", lambda _: used // 2)
    assert store_space.make_room(workspace) > 0
    assert store_space.used_bytes(workspace) <= used // 2
    assert store.find(workspace, "first", rows(workspace)[0], Switches()) is not None


def test_a_limit_that_holds_hardly_a_tile_is_refused_and_another_one_kept(workspace):
    with pytest.raises(InputError, match="100 MiB"):
        store_space.set_limit(workspace, 5)
    store_space.set_limit(workspace, 200 * 2**20)
    assert store_space.limit_bytes(workspace) == 200 * 2**20


class CancelAfterOne(SilentProgress):
    """Cancels when the second tile begins."""

    def update(self, done, total, message):
        if done >= 1:
            raise CancelledError("cancelled")


def test_a_cancelled_job_keeps_its_tiles_and_the_next_does_the_rest(workspace):
    chosen = chosen_tiles(workspace, collections(workspace)[0].id, split=None, names=["1", "3"])
    with pytest.raises(CancelledError):
        predict_tiles(workspace, run="first", rows=chosen, switches=GUIDED, progress=CancelAfterOne())
    told = predict_tiles(workspace, run="first", rows=chosen, switches=GUIDED, progress=SilentProgress())
    assert (told["tiles"], told["made_before"], told["left_out"]) == (1, 1, [])


def test_a_tile_that_fails_is_told_and_the_others_go_on(workspace, monkeypatch):
    one, other = rows(workspace)[:2]
    opened = store.open_tile

    def broken(path):
        if path.name.startswith(one.name):
            raise InputError(f"{path} is cut short.")
        return opened(path)

    monkeypatch.setattr(store, "open_tile", broken)
    told = predict_tiles(workspace, run="first", rows=[one, other], switches=Switches(), progress=SilentProgress())
    assert told["tiles"] == 1
    assert "cut short" in told["left_out"][0]
    with pytest.raises(InputError, match="No tile could be predicted"):
        predict_tiles(workspace, run="first", rows=[one], switches=Switches(), progress=SilentProgress())


def test_a_tile_that_is_not_there_is_refused_by_name(workspace):
    with pytest.raises(InputError, match="no tile 77"):
        chosen_tiles(workspace, collections(workspace)[0].id, split=None, names=["77"])


def test_an_unknown_run_is_refused_by_name(workspace):
    for name in ("nobody", "../first", ""):
        with pytest.raises(InputError, match="no run"):
            store.run_folder(workspace, name)


def test_a_run_that_is_deleted_takes_its_predictions_along(workspace):
    import shutil

    shutil.copytree(workspace.runs / "first", workspace.runs / "second")
    store.Predictor(workspace, "second").compute(rows(workspace)[0], Switches(), SilentProgress())
    store_space.delete_run(workspace, "second")
    assert not (workspace.runs / "second").exists()
    assert not (workspace.predictions / "second").exists()
    assert (workspace.runs / "first").exists()
    with pytest.raises(InputError, match="no run 'second'"):
        store_space.delete_run(workspace, "second")
