"""Metadata of the whole tile beside a cell's features: what they are, and that every way to predict knows them."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from core.errors import InputError
from core.inference import raster as raster_module
from core.inference.predict import load_segmenter
from core.inference.raster import predict_raster
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.features import METADATA_CHANNELS
from core.training.fit import FitRequest, fit
from core.training.joined_features import make_recipe_extractor
from core.training.network_setup import make_network
from core.training.recipe import load_recipe
from core.training.run_archive import export_run, import_run
from tests.core.training.scenes import scene, write_scenes

SMALL = ["encoder=efficientnet-lite0", "resolution_m=1", "stages=2,3", "texture_stages="]


def extract(*settings, metres=(0.5, 0.5), part=slice(None)):
    extractor = make_recipe_extractor(load_recipe("head", [*SMALL, *settings]), device="cpu")
    image = np.ascontiguousarray(scene(0)[0][part])
    return extractor.extract(image, extractor.grid(image.shape[:2], metres)), extractor, image


@pytest.mark.parametrize("settings", [[], ["more_resolutions_m=2"]])
def test_metadata_join_the_other_features_once_and_are_the_same_in_all_cells(settings):
    plain, without, _ = extract(*settings)
    found, extractor, image = extract(*settings, "tile_metadata=true")
    assert extractor.channels == len(found) == len(plain) + METADATA_CHANNELS
    assert extractor.identity != without.identity
    own = extractor.parts[0].channels - METADATA_CHANNELS
    metadata = found[own : own + METADATA_CHANNELS]
    np.testing.assert_array_equal(np.delete(found, range(own, own + METADATA_CHANNELS), axis=0), plain)
    assert (metadata == metadata[:, :1, :1]).all()
    np.testing.assert_allclose(metadata[:3, 0, 0], image.mean(axis=(0, 1)) / 255, atol=2e-3)
    assert metadata[6, 0, 0] == -1  # the binary logarithm of half a metre


def test_a_large_tile_has_the_metadata_of_the_whole_in_all_its_windows(monkeypatch):
    whole, _, _ = extract("tile_metadata=true")
    for name, value in (("WHOLE_UP_TO", 64), ("WINDOW", 64)):
        monkeypatch.setattr(f"core.training.features.{name}", value)
    parted, _, _ = extract("tile_metadata=true")
    np.testing.assert_array_equal(parted[-METADATA_CHANNELS:], whole[-METADATA_CHANNELS:])


@pytest.fixture(scope="module", params=["context-linear", "convolutional"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("metadata")
    write_scenes(folder / "data")
    recipe = load_recipe("head", [*SMALL, "tile_metadata=true", f"head={request.param}", "epochs=20"])
    cache = FeatureCache(folder / "features")
    fit(
        FitRequest(data=folder / "data", out=folder / "run", recipe=recipe, device="cpu", cache=cache), SilentProgress()
    )
    return folder / "run"


def test_a_run_with_metadata_predicts_also_where_it_was_imported(run, tmp_path):
    export_run(run, tmp_path / "run.zip")
    imported = import_run(tmp_path / "run.zip", tmp_path / "runs")
    image, truth = scene(9)
    first, again = (load_segmenter(one, "cpu").predict(image) for one in (run, imported.folder))
    np.testing.assert_array_equal(first, again)
    assert (first == truth).mean() > 0.6


def test_what_was_the_same_on_all_training_tiles_does_not_weigh(run):
    segmenter = load_segmenter(run, "cpu")
    image, _ = scene(9)
    features = segmenter.extractor.extract(image, segmenter.extractor.grid(image.shape[:2], (0.5, 0.5)))
    usual = segmenter.predict(image, features=features)
    features[-1] += 1  # as if its pixels were twice as wide; all tiles it learnt from were of 0.5 m
    assert (segmenter.predict(image, features=features) == usual).mean() > 0.95


def test_a_raster_is_never_seen_block_by_block_by_a_head_that_knows_its_tile(run, tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("a block knows nothing of the whole")

    monkeypatch.setattr(raster_module, "predict_cells", refuse)
    image, _ = scene(9)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": len(image), "width": image.shape[1]}
    place = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 0.5, 0.5)}
    with rasterio.open(tmp_path / "in.tif", "w", **profile, **place) as target:
        target.write(np.moveaxis(image, -1, 0))
    predict_raster(load_segmenter(run, "cpu"), tmp_path / "in.tif", tmp_path / "out.tif", progress=SilentProgress())
    with rasterio.open(tmp_path / "out.tif") as made:
        assert (made.read(1) == load_segmenter(run, "cpu").predict(image)).mean() > 0.99


def test_a_network_refuses_metadata_in_the_sentence_that_the_form_shows():
    with pytest.raises(InputError, match="set tile_metadata to false"):
        make_network(load_recipe("decoder", ["tile_metadata=true"]), [], seed=0)
