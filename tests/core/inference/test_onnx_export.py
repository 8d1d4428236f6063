"""A run as one ONNX file: the same answers as the run's at any size, by onnxruntime alone."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from core.catalog.sample import draw_scene
from core.classes import CLASS_NAMES
from core.errors import InputError
from core.inference import onnx_export
from core.inference.export_pipelines import _averaged, _mirrored
from core.inference.onnx_export import export_onnx
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.training.runs import finish_run, start_run
from models.build import build_network, settings_of
from tests.core.inference.test_network import CARD
from tests.core.training.scenes import write_scenes

SMALL = "encoder=efficientnet-lite0"
HEADS = {
    "usual": ["texture_stages=2"],
    "of all kinds": ["more_resolutions_m=2", "standardise=tile", "grey=true", "members=2", "tile_metadata=true"],
    "neighbours": ["head=neighbours"],
}
NETWORKS = {
    "fpn": ["decoder=fpn", "extra_channels=position"],
    "surroundings": ["decoder=fpn", "surroundings=global"],
    "pspnet": ["decoder=pspnet"],
}
SHAPES = ((256, 256), (97, 300), (33, 31))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    cache = FeatureCache(folder / "features")
    write_scenes(folder / "data")
    for name, settings in HEADS.items():
        recipe = load_recipe("fast", settings)
        request = FitRequest(data=folder / "data", out=folder / name, recipe=recipe, device="cpu", cache=cache)
        fit(request, SilentProgress())
    for name, settings in NETWORKS.items():
        recipe = load_recipe("decoder", [SMALL, *settings])
        start_run(folder / name, recipe)
        finish_run(folder / name, head=build_network(**settings_of(recipe), seed=0).eval(), card=CARD)
    return folder


@pytest.mark.parametrize("name", ["of all kinds", "fpn"])
def test_the_file_says_what_the_run_says_whatever_the_size(runs, tmp_path, name):
    out = tmp_path / "run.onnx"
    told = export_onnx(runs / name, out, metres_per_pixel=0.5, progress=SilentProgress())
    assert told["agreement"]["equal_labels"] >= 0.995
    assert told["bytes"] == out.stat().st_size
    session = onnxruntime.InferenceSession(str(out))
    segmenter = load_segmenter(runs / name, "cpu")
    for height, width in SHAPES:
        image = np.ascontiguousarray(draw_scene(3, 300).image[:height, :width])
        (found,) = session.run(None, {"image": image})
        assert (found.shape, found.dtype) == ((6, height, width), np.float32)
        np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
        assert np.abs(found - segmenter.probabilities(image)).mean() < 2e-3


def test_the_metadata_tell_classes_resolution_normalisation_and_the_run(runs, tmp_path):
    export_onnx(runs / "usual", tmp_path / "run.onnx", metres_per_pixel=1, progress=SilentProgress())
    told = onnxruntime.InferenceSession(str(tmp_path / "run.onnx")).get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == list(CLASS_NAMES)
    assert json.loads(told["metres_per_pixel"]) == 1
    assert json.loads(told["resolution_m"]) == [1.0]
    assert len(json.loads(told["normalisation"])["encoders"][0]["mean"]) == 3
    assert told["run"] == "usual"
    assert len(told["weights"]) == 16


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("neighbours", "nearest neighbours"), ("surroundings", "looks at more"), ("pspnet", "cannot be written as ONNX")],
)
def test_what_onnx_cannot_hold_is_refused_in_a_sentence(runs, tmp_path, name, sentence):
    with pytest.raises(InputError, match=sentence):
        export_onnx(runs / name, tmp_path / "run.onnx", metres_per_pixel=0.5, progress=SilentProgress())
    assert not (tmp_path / "run.onnx").exists()


def test_a_file_that_answers_otherwise_is_not_kept(runs, tmp_path, monkeypatch):
    pipeline = onnx_export.NetworkPipeline
    monkeypatch.setattr(
        onnx_export,
        "NetworkPipeline",
        lambda network, resolution_m, metres: pipeline(network, resolution_m * 8, metres),
    )
    with pytest.raises(InputError, match="gives another class than the run"):
        export_onnx(runs / "fpn", tmp_path / "run.onnx", metres_per_pixel=0.5, progress=SilentProgress())
    assert not (tmp_path / "run.onnx").exists()


@pytest.mark.parametrize("metres", [0, -1, 1000])
def test_pixels_of_no_width_are_refused(runs, tmp_path, metres):
    with pytest.raises(InputError, match="metres-per-pixel"):
        export_onnx(runs / "fpn", tmp_path / "run.onnx", metres_per_pixel=metres, progress=SilentProgress())


def test_area_averaging_keeps_the_mean_and_mirroring_goes_back_and_forth():
    maps = torch.rand(1, 1, 7, 5)
    shrunk = _averaged(maps, 0, torch.tensor(3))
    assert shrunk.shape == (1, 1, 3, 5)
    torch.testing.assert_close(shrunk.mean(dim=2), maps.mean(dim=2))
    torch.testing.assert_close(_averaged(maps, 0, torch.tensor(7)), maps)
    line = torch.arange(3.0).view(1, 1, 1, 3)
    assert _mirrored(line, 1, 8, 4).ravel().tolist() == [0, 1, 2, 2, 1, 0, 0, 1]
