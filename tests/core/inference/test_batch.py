"""Predicting folders: what is written, where on the ground, and what a cancel leaves."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from core.catalog.catalogue import collections, index_folder
from core.catalog.images import read_mask
from core.classes import UNLABELLED
from core.cluster.connection import ClusterUse
from core.cluster.fan_out import Outcome
from core.errors import CancelledError, InputError
from core.evaluation.held_out import evaluate_run, held_out, kept_evaluation
from core.inference.batch import predict_folder, predict_one_raster
from core.inference.predict import load_segmenter
from core.inference.switches import Switches
from core.inference.tile_prediction import predict_tile
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.workspace import open_workspace
from tests.core.training.scenes import SIZE, scene, write_pair, write_scenes


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace with three pairs, and a run that trained on two of them."""
    root = tmp_path_factory.mktemp("batch")
    data = write_scenes(root / "data")
    workspace = open_workspace(root / "workspace")
    index_folder(workspace, data, SilentProgress())
    request = FitRequest(
        data=data,
        out=workspace.runs / "first",
        recipe=load_recipe("head", ["train_tiles=1,2"]),
        device="cpu",
        cache=FeatureCache(workspace.features),
    )
    fit(request, SilentProgress())
    return workspace, data


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path_factory.getbasetemp() / "batch-features"))


def predict(workspace, data, out, *, runs=1, switches=None, keep_probabilities=False, progress=None):
    return predict_folder(
        runs=[workspace.runs / "first"] * runs,
        data=data,
        out=out,
        switches=switches or Switches(),
        keep_probabilities=keep_probabilities,
        progress=progress or SilentProgress(),
    )


def test_a_tile_with_a_place_on_the_ground_is_predicted_in_that_place(trained, tmp_path):
    workspace, _ = trained
    image, _ = scene(5)
    place = from_origin(500_000, 4_000_000, 0.5, 0.5)
    data = tmp_path / "data"
    data.mkdir()
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "width": SIZE, "height": SIZE}
    with rasterio.open(data / "field.tif", "w", crs="EPSG:32633", transform=place, **profile) as target:
        target.write(np.moveaxis(image, -1, 0))
    predict(workspace, data, tmp_path / "out", keep_probabilities=True)
    written = read_mask(tmp_path / "out" / "field_mask.png", shape=(SIZE, SIZE)).raster
    with rasterio.open(tmp_path / "out" / "field_mask.tif") as found:
        assert found.crs.to_epsg() == 32633
        assert found.transform == place
        assert found.nodata == 255
        assert np.array_equal(found.read(1), written)
        assert found.colormap(1)[3] == (0, 255, 0, 255)
    with rasterio.open(tmp_path / "out" / "field_probabilities.tif") as found:
        bands = found.read().astype(int)
        assert found.descriptions[0] == "urban"
        assert found.crs.to_epsg() == 32633
    assert np.abs(bands.sum(axis=0) - 255).max() <= 3
    sure = bands.max(axis=0) > 200
    assert np.array_equal(bands.argmax(axis=0)[sure], written[sure])


def test_where_a_tile_shows_nothing_it_gets_no_class(trained, tmp_path):
    workspace, _ = trained
    image, _ = scene(5)
    alpha = np.full((SIZE, SIZE), 255, np.uint8)
    alpha[40:60] = 0
    (tmp_path / "data").mkdir()
    Image.fromarray(np.dstack([image, alpha])).save(tmp_path / "data" / "5_sat.png")
    predict(workspace, tmp_path / "data", tmp_path / "out", switches=Switches(min_region=200))
    written = read_mask(tmp_path / "out" / "5_mask.png", shape=(SIZE, SIZE)).raster
    assert ((written == UNLABELLED) == (alpha == 0)).all()


def test_several_runs_give_the_mean_of_their_probabilities(trained):
    workspace, data = trained
    segmenter = load_segmenter(workspace.runs / "first", "cpu")
    path = data / "3_sat.jpg"
    one = predict_tile([segmenter], path, switches=Switches(), progress=SilentProgress())
    two = predict_tile([segmenter, segmenter], path, switches=Switches(), progress=SilentProgress())
    assert np.allclose(one.probabilities, two.probabilities, atol=1e-6)


def test_small_regions_are_gone_when_that_is_asked_for(trained, tmp_path):
    workspace, data = trained
    predict(workspace, data, tmp_path / "all")
    predict(workspace, data, tmp_path / "large", switches=Switches(min_region=5000))
    before, after = (
        read_mask(tmp_path / folder / "3_mask.png", shape=(SIZE, SIZE)).raster for folder in ("all", "large")
    )
    assert not np.array_equal(before, after)


class CancelAfterOne(SilentProgress):
    """Cancels when the second tile begins."""

    def update(self, done, total, message):
        if message.startswith("Predicting") and done >= 1:
            raise CancelledError("cancelled")


def test_a_cancel_keeps_the_tiles_that_are_finished(trained, tmp_path):
    workspace, data = trained
    with pytest.raises(CancelledError):
        predict(workspace, data, tmp_path, progress=CancelAfterOne())
    assert [p.name for p in tmp_path.glob("*_mask.*")] == ["1_mask.png"]


def test_the_same_command_once_more_does_what_is_missing_and_nothing_else(trained, tmp_path, monkeypatch):
    workspace, data = trained
    with pytest.raises(CancelledError):
        predict(workspace, data, tmp_path, progress=CancelAfterOne())
    stamp = (tmp_path / "1_mask.png").stat().st_mtime_ns
    result = predict(workspace, data, tmp_path)
    assert (result["tiles"], result["made_before"]) == (3, 1)
    assert (tmp_path / "1_mask.png").stat().st_mtime_ns == stamp
    monkeypatch.setattr("core.inference.many_tiles.load_segmenter", lambda *_: pytest.fail("nothing is missing"))
    assert predict(workspace, data, tmp_path)["made_before"] == 3
    monkeypatch.undo()
    assert predict(workspace, data, tmp_path, switches=Switches(min_region=50))["made_before"] == 0


def test_on_a_cluster_each_tile_comes_back_as_it_would_be_here(trained, tmp_path, monkeypatch):
    """The call and what crosses between processes, without Ray: ``fan_out`` has tests of its own."""
    workspace, data = trained

    def here(call, asked, *, device, progress, on_outcome, cluster):
        for number, one in enumerate(asked):
            on_outcome(number, Outcome(call(json.loads(json.dumps(one.request)), "cpu", progress)))

    monkeypatch.setattr("core.inference.many_tiles.fan_out", here)
    options = {"runs": [workspace.runs / "first"], "data": data, "switches": Switches("flips", "guided")}
    options |= {"keep_probabilities": True, "progress": SilentProgress()}
    predict_folder(**options, out=tmp_path / "away", cluster=ClusterUse())
    predict_folder(**options, out=tmp_path / "here")
    for path in sorted((tmp_path / "here").glob("[!.]*")):
        assert (tmp_path / "away" / path.name).read_bytes() == path.read_bytes()


def test_a_raster_is_refused_with_a_gate_or_several_runs_and_taken_with_a_refinement(trained, tmp_path):
    workspace, data = trained
    options = {"data": data / "1_sat.jpg", "out": tmp_path, "keep_probabilities": False, "progress": SilentProgress()}
    with pytest.raises(InputError, match="leave out --gate"):
        predict_one_raster(runs=[workspace.runs / "first"], switches=Switches(gate=0.1), **options)
    with pytest.raises(InputError, match="by one run"):
        predict_one_raster(runs=[workspace.runs / "first"] * 2, switches=Switches(), **options)
    switches = Switches(refinement="guided", min_region=40, offsets=(0, 0, 0, 0.5, 0, 0))
    told = predict_one_raster(runs=[workspace.runs / "first"], switches=switches, **options)
    assert told["tiles"] == 1
    with rasterio.open(tmp_path / "1_sat_mask.tif") as made:
        found = made.read(1)
    predict_folder(
        **{**options, "data": data, "out": tmp_path / "folder"}, runs=[workspace.runs / "first"], switches=switches
    )
    assert (found == read_mask(tmp_path / "folder" / "1_mask.png", shape=found.shape).raster).mean() > 0.99


def test_an_unreadable_tile_is_left_out_and_named(trained, tmp_path):
    workspace, _ = trained
    data = write_scenes(tmp_path / "data", names=("1", "2"))
    whole = (data / "2_sat.jpg").read_bytes()
    (data / "2_sat.jpg").write_bytes(whole[: len(whole) // 2])
    result = predict(workspace, data, tmp_path / "out")
    assert result["tiles"] == 1
    assert "2_sat.jpg" in result["left_out"][0]
    (data / "1_sat.jpg").unlink()
    (data / "1_mask.png").unlink()
    with pytest.raises(InputError, match=r"2_sat\.jpg"):
        predict(workspace, data, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_switches_that_nobody_knows_are_refused():
    with pytest.raises(InputError, match="d4"):
        Switches(tta="most")
    with pytest.raises(InputError, match="at least 0"):
        Switches(min_region=-1)


def test_a_run_is_judged_on_the_tiles_it_never_saw_even_under_another_name(trained, tmp_path):
    workspace, data = trained
    collection = collections(workspace)[0]
    judged = held_out(workspace, "first", collection.id)
    assert [t.name for t in judged.tiles] == ["3"]
    assert set(judged.trained_on) == {"1", "2"}
    result = evaluate_run(
        workspace, run="first", collection_id=collection.id, switches=Switches(), progress=SilentProgress()
    )
    assert result["measured_on"]["tiles"] == ["3"]
    assert kept_evaluation(workspace, "first", collection.id, Switches()) == result
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for ending in ("_sat.jpg", "_mask.png"):
        (renamed / f"77{ending}").write_bytes((data / f"1{ending}").read_bytes())
    write_pair(renamed, "78", *scene(8))
    report = index_folder(workspace, renamed, SilentProgress())
    assert held_out(workspace, "first", report.collection_id).trained_on == ("77",)
