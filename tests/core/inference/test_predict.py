import numpy as np
import pytest
import torch

from core.errors import InputError
from core.inference.predict import load_segmenter, upsampled_probabilities
from core.inference.scaled_features import scaled_features
from core.inference.tta import View, transforms, views
from core.progress import SilentProgress
from core.training.cell_grid import cell_grid
from core.training.feature_cache import FeatureCache
from core.training.features import view_name
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from tests.core.training.scenes import scene, write_scenes

_MOVES = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
SMALL = ["encoder=efficientnet-lite0"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("predict")
    write_scenes(folder / "data")
    fit(
        FitRequest(data=folder / "data", out=folder / "run", recipe=load_recipe(), device="cpu", cache=cache),
        SilentProgress(),
    )
    return folder / "run"


@pytest.fixture(scope="module")
def segmenter(run, cache):
    return load_segmenter(run, "cpu", cache)


def test_probabilities_are_full_size_and_sum_to_one(segmenter):
    image, _ = scene(9)
    found = segmenter.probabilities(image[:250, :131])
    assert (found.shape, found.dtype) == ((6, 250, 131), np.float32)
    assert np.allclose(found.sum(axis=0), 1, atol=1e-5)


def test_a_scene_that_was_never_seen_is_mostly_right(segmenter):
    image, raster = scene(9)
    assert (segmenter.predict(image) == raster).mean() > 0.8


def test_a_class_without_labels_is_never_predicted(segmenter):
    image, _ = scene(9, classes=(0, 2, 5))
    assert not np.isin(segmenter.predict(image), (2, 5)).any()


def test_features_in_hand_give_the_same_as_the_image(segmenter):
    image, _ = scene(9)
    features = segmenter.extractor.extract(image, segmenter.extractor.grid(image.shape[:2], (0.5, 0.5)))
    assert (segmenter.probabilities(image, features=features) == segmenter.probabilities(image)).all()


def test_a_fingerprint_brings_the_features_from_the_cache(segmenter, cache):
    image, _ = scene(9)
    first = segmenter.probabilities(image, fingerprint="cafe")
    assert cache.holds(fingerprint="cafe", extractor_identity=segmenter.extractor.identity)
    blank = np.zeros_like(image)  # ignored: the fingerprint says that the features are known
    assert (segmenter.probabilities(blank, fingerprint="cafe") == first).all()


@pytest.mark.parametrize("tta", ["flips", "d4"])
def test_augmented_probabilities_do_not_depend_on_how_the_tile_lies(segmenter, tta):
    """The average over a group of symmetries is the same for every tile of an orbit, at its moved place."""
    image, _ = scene(9)
    turned = np.ascontiguousarray(image[::-1])
    plain = segmenter.cell_probabilities(image, metres_per_pixel=(1, 1), tta=tta)
    again = segmenter.cell_probabilities(turned, metres_per_pixel=(1, 1), tta=tta)[:, ::-1]
    assert np.allclose(plain, again, atol=1e-3)


def test_augmentation_changes_little_and_keeps_a_distribution(segmenter):
    image, raster = scene(9)
    averaged = segmenter.probabilities(image, tta="d4")
    assert np.allclose(averaged.sum(axis=0), 1, atol=1e-5)
    assert (averaged.argmax(axis=0) == raster).mean() > 0.8


@pytest.fixture(scope="module")
def joined(tmp_path_factory, cache):
    """A run on joined, grey features of two resolutions, trained with flips."""
    folder = tmp_path_factory.mktemp("joined")
    write_scenes(folder / "data", names=("1", "2"))
    overrides = [*SMALL, "more_resolutions_m=2", "standardise=tile", "grey=true", "views=flips", "propagate=true"]
    recipe = load_recipe("head", overrides)
    fit(
        FitRequest(data=folder / "data", out=folder / "run", recipe=recipe, device="cpu", cache=cache), SilentProgress()
    )
    return load_segmenter(folder / "run", "cpu", cache)


def test_a_run_on_joined_features_predicts_with_all_of_them(joined, cache):
    image, raster = scene(9)
    assert len(joined.extractor.parts) == 2
    assert joined.head.channels == joined.extractor.channels
    first = joined.probabilities(image, fingerprint="joined")
    assert (first.argmax(axis=0) == raster).mean() > 0.7
    assert (joined.probabilities(np.zeros_like(image), fingerprint="joined") == first).all()
    features = joined.extractor.extract(image, joined.extractor.grid(image.shape[:2], (0.5, 0.5)))
    assert (joined.probabilities(image, features=features) == first).all()


def test_augmented_probabilities_of_joined_features_do_not_depend_on_how_the_tile_lies(joined):
    image, _ = scene(9)
    turned = np.ascontiguousarray(image[::-1])
    plain = joined.cell_probabilities(image, metres_per_pixel=(1, 1), tta="flips")
    again = joined.cell_probabilities(turned, metres_per_pixel=(1, 1), tta="flips")[:, ::-1]
    assert np.allclose(plain, again, atol=1e-2)


def test_augmentation_takes_the_views_that_a_fit_left_in_the_cache_and_leaves_none(joined, cache):
    image, _ = scene(9)
    for fingerprint in ("kept", "plain"):
        joined.cell_probabilities(image, fingerprint=fingerprint)
    files = {path.name for path in cache.folder.iterdir()}
    once = joined.cell_probabilities(image, fingerprint="plain", tta="flips")
    assert {path.name for path in cache.folder.iterdir()} == files
    for part in joined.extractor.parts:  # what a fit with views would have left, here all zeros
        for view in transforms("flips")[1:]:
            plain = np.load(cache.folder / f"kept-{part.identity}.npy")
            np.save(cache.folder / f"kept-{part.identity}{view_name(view)}.npy", np.zeros_like(plain))
    assert not np.allclose(joined.cell_probabilities(image, fingerprint="kept", tta="flips"), once)


def test_logits_meet_the_pixels_they_belong_to():
    grid = cell_grid((64, 64), metres_per_pixel=(0.5, 0.5), resolution_m=1.0)
    logits = torch.zeros(6, 4, 4)
    logits[2, 1, 3] = 9.0
    found = upsampled_probabilities(logits, grid)
    row, column = np.unravel_index(found[2].argmax(), (64, 64))
    assert (row, column) in {(23, 55), (23, 56), (24, 55), (24, 56)}  # the middle of rows 16..31, columns 48..63
    assert np.allclose(found[2, 16:32, 48:56], found[2, 31:15:-1, 48:56], atol=1e-6)  # alike above and below


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run"):
        load_segmenter(tmp_path)


def test_a_gpu_that_is_not_there_is_refused(run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA GPU"):
        load_segmenter(run, "cuda")


def test_a_run_of_another_encoder_is_refused(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for file in run.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    recipe = (other / "recipe.toml").read_text()
    (other / "recipe.toml").write_text(recipe.replace('weights = "packaged"', 'weights = "none"'))
    with pytest.raises(InputError, match="trained on other weights"):
        load_segmenter(other, "cpu")


def test_an_image_of_another_kind_is_a_mistake_of_the_caller(segmenter):
    with pytest.raises(ValueError, match="uint8"):
        segmenter.probabilities(np.zeros((8, 8), np.uint8))


def test_features_at_the_usual_scale_are_the_usual_features(segmenter):
    image, _ = scene(9)
    grid = segmenter.extractor.grid(image.shape[:2], (0.5, 0.5))
    for view in views("d4")[:3]:
        usual = segmenter.extractor.extract(image, grid, transform=view.symmetry)
        assert (scaled_features(segmenter.extractor, image, grid, view) == usual).all()


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_scaled_features_lie_on_the_usual_cells(segmenter, scale):
    """Cells of mean colour, the first three features, lie where they did: more alike than when moved by one cell."""
    image, _ = scene(9)
    grid = segmenter.extractor.grid(image.shape[:2], (0.5, 0.5))
    usual = segmenter.extractor.extract(image, grid)
    scaled = scaled_features(segmenter.extractor, image, grid, View(transforms("none")[0], scale))
    assert scaled.shape == usual.shape
    away = [np.abs(np.roll(scaled[:3].astype(float), move, axis=(1, 2)) - usual[:3]).mean() for move in _MOVES]
    assert 0 < away[0] < 0.7 * min(away[1:])


def test_probabilities_over_scales_are_the_mean_of_those_at_each(segmenter):
    image, _ = scene(9)
    options = {"metres_per_pixel": (1, 1)}
    each = [segmenter.cell_probabilities(image, tta=[view], **options) for view in views("scales")]
    np.testing.assert_allclose(
        segmenter.cell_probabilities(image, tta="scales", **options), np.mean(each, axis=0), atol=1e-5
    )
