"""Several runs as one: the mean, its shares, and what refuses to be one."""

import json
import shutil

import numpy as np
import pytest

from core.errors import InputError
from core.inference.ensemble_fit import EnsembleRequest, SampledTile, fit_shares, make_ensemble, miou_of
from core.inference.ensembles import EnsembleSegmenter, read_ensemble
from core.inference.predict import load_segmenter
from core.inference.switches import Switches
from core.inference.tile_prediction import predict_tile
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.training.run_archive import export_run
from core.training.runs import list_runs, read_head, read_recipe, read_run
from tests.core.training.scenes import scene, write_scenes

BASE = ["encoder=efficientnet-lite0", "validation_tiles=2"]
MEMBERS = {
    "fine": [*BASE, "resolution_m=0.5"],
    "coarse": [*BASE, "resolution_m=1", "cell_m=16", "windows=1"],
    "seen": ["encoder=efficientnet-lite0", "resolution_m=1"],
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_scenes(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data, cache):
    folder = tmp_path_factory.mktemp("runs")
    for name, settings in MEMBERS.items():
        request = FitRequest(
            data=data, out=folder / name, recipe=load_recipe("fast", settings), device="cpu", cache=cache
        )
        fit(request, SilentProgress())
    return folder


@pytest.fixture
def runs(tmp_path, trained):
    return shutil.copytree(trained, tmp_path / "runs")


def make(runs, cache, *names, weighting="equal", data=None, out="both"):
    request = EnsembleRequest(
        tuple(runs / name for name in names), runs / out, weighting, data=data, device="cpu", cache=cache
    )
    return make_ensemble(request, SilentProgress())


def test_an_ensemble_of_equal_weights_gives_the_mean_of_its_members(runs, cache):
    make(runs, cache, "fine", "coarse")
    image, _ = scene(9)
    together = load_segmenter(runs / "both", "cpu", cache)
    assert isinstance(together, EnsembleSegmenter)
    mean = np.mean([load_segmenter(runs / n, "cpu", cache).probabilities(image) for n in ("fine", "coarse")], axis=0)
    np.testing.assert_allclose(together.probabilities(image), mean, atol=1e-6)
    assert (together.predict(image) == mean.argmax(axis=0)).all()


def test_cells_of_other_members_are_brought_to_those_of_the_first(runs, cache):
    make(runs, cache, "coarse", "fine")
    image, _ = scene(9)
    together = load_segmenter(runs / "both", "cpu", cache).cell_probabilities(image)
    first, second = (load_segmenter(runs / name, "cpu", cache).cell_probabilities(image) for name in ("coarse", "fine"))
    assert first.shape != second.shape
    assert together.shape == first.shape
    np.testing.assert_allclose(together.sum(axis=0), 1, atol=1e-5)
    assert np.abs(2 * together - first).max() > 0.01  # the second had its say


def test_fitted_weights_are_kept_with_scores_on_the_common_validation_tiles(runs, cache, data):
    result = make(runs, cache, "fine", "coarse", weighting="fitted", data=data)
    shares = [member["share"] for member in result["members"]]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert read_ensemble(runs / "both").shares == tuple(shares)
    card = read_run(runs / "both").card
    assert card.head == "ensemble"
    assert list(card.validation_tiles) == card.validation["tiles"] == ["2"]
    assert set(card.measured["miou_alone"]) == {"fine", "coarse"}
    assert "flatters" in card.warnings[0]  # one tile alone fitted and judged them


def test_an_ensemble_goes_where_a_run_goes(runs, cache, data):
    make(runs, cache, "fine", "coarse")
    assert "both" in {run.name for run in list_runs(runs)}
    image = data / "2_sat.jpg"
    made = predict_tile(
        [load_segmenter(runs / "both", "cpu", cache)], image, switches=Switches(tta="flips"), progress=SilentProgress()
    )
    assert made.raster.shape == made.probabilities.shape[1:]


def test_the_card_counts_every_tile_that_a_member_trained_on(runs, cache):
    make(runs, cache, "fine", "seen")
    training = read_run(runs / "both").card.training_tiles
    assert set(training) == set(read_run(runs / "fine").card.training_tiles) | {"2"}


def test_tiles_that_a_member_trained_on_fit_no_weights(runs, cache, data):
    with pytest.raises(InputError, match="no validation tile in common"):
        make(runs, cache, "fine", "seen", weighting="fitted", data=data)
    assert not (runs / "both").exists()
    make(runs, cache, "fine", "seen", weighting="equal", data=data)
    assert read_run(runs / "both").card.validation is None


def test_fitted_weights_ask_for_the_tiles(runs, cache, tmp_path):
    with pytest.raises(InputError, match="--data"):
        make(runs, cache, "fine", "coarse", weighting="fitted")
    (tmp_path / "other").mkdir()
    write_scenes(tmp_path / "other", names=("2",))
    with pytest.raises(InputError, match="as it was when the run was trained"):
        make(runs, cache, "fine", "coarse", weighting="fitted", data=tmp_path / "other")


def test_a_member_that_is_gone_or_trained_anew_is_told_of(runs, cache):
    make(runs, cache, "fine", "coarse")
    shutil.copy(runs / "seen" / "weights.safetensors", runs / "coarse" / "weights.safetensors")
    with pytest.raises(InputError, match=r"coarse of the ensemble .* was trained anew"):
        load_segmenter(runs / "both", "cpu", cache)
    shutil.rmtree(runs / "coarse")
    with pytest.raises(InputError, match="needs the run coarse, which is gone"):
        load_segmenter(runs / "both", "cpu", cache)


def test_a_folder_of_runs_can_be_moved(runs, cache, tmp_path):
    make(runs, cache, "fine", "coarse")
    moved = runs.rename(tmp_path / "elsewhere")
    assert len(load_segmenter(moved / "both", "cpu", cache).members) == 2


@pytest.mark.parametrize(
    ("names", "out", "sentence"),
    [
        (("fine",), "both", "two or more different runs"),
        (("fine", "fine"), "both", "two or more different runs"),
        (("fine", "none"), "both", "is no run"),
        (("fine", "coarse"), "seen", "no ensemble"),
    ],
)
def test_what_makes_no_ensemble_is_refused(runs, cache, names, out, sentence):
    with pytest.raises(InputError, match=sentence):
        make(runs, cache, *names, out=out)


def test_an_ensemble_is_no_member_has_no_recipe_and_is_not_exported(runs, cache, tmp_path):
    make(runs, cache, "fine", "coarse")
    with pytest.raises(InputError, match="name its members instead"):
        make(runs, cache, "both", "seen", out="more")
    for read in (read_recipe, read_head, lambda folder: export_run(folder, tmp_path / "x.zip")):
        with pytest.raises(InputError, match="is an ensemble"):
            read(runs / "both")


def test_a_damaged_ensemble_is_told_of(runs, cache):
    make(runs, cache, "fine", "coarse")
    path = runs / "both" / "ensemble.json"
    for content in ("{", json.dumps({"members": []})):
        path.write_text(content)
        with pytest.raises(InputError, match="make the ensemble anew"):
            load_segmenter(runs / "both", "cpu", cache)


def sampled(seed, skills, pixels=4000):
    """A tile on which each member gives the true class a probability of about its skill."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 6, pixels).astype(np.uint8)
    probabilities = []
    for skill in skills:
        logits = generator.normal(0, 1, (6, pixels))
        logits[classes, np.arange(pixels)] += skill
        probabilities.append(np.exp(logits) / np.exp(logits).sum(axis=0))
    return SampledTile(np.array(probabilities, np.float32), classes)


def test_fitted_shares_lie_on_the_simplex_and_are_always_the_same():
    tiles = [sampled(seed, (1.5, 2.0, 2.2)) for seed in range(3)]
    shares = fit_shares(tiles)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1)
    assert (fit_shares(tiles) == shares).all()
    assert shares.argmax() == 2
    assert shares.argmin() == 0


def test_fitted_shares_are_the_best_of_a_fine_grid():
    tile = sampled(0, (1.5, 2.0))
    own = tile.probabilities[:, tile.classes, np.arange(tile.classes.size)].astype(float)
    counts = np.bincount(tile.classes)
    grid = np.linspace(0, 1, 1001)
    losses = [-(np.log(g * own[0] + (1 - g) * own[1]) / counts[tile.classes]).sum() for g in grid]
    assert fit_shares([tile])[0] == pytest.approx(grid[int(np.argmin(losses))], abs=2e-3)


def test_a_member_that_guesses_gets_no_share():
    assert fit_shares([sampled(0, (-1.0, 4.0))])[0] == 0


def test_members_that_err_apart_are_better_together():
    tile = sampled(0, (1.5, 1.5, 1.5))
    alone = max(miou_of([tile], share) for share in np.eye(3))
    assert miou_of([tile], fit_shares([tile])) > alone
