import json

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.cli import main
from core.errors import CancelledError, InputError
from core.labels.instances import count
from core.progress import SilentProgress
from core.training import learning_curve as module
from core.training.cross_validation import cross_validate
from core.training.feature_cache import FeatureCache
from core.training.learning_curve import CurveRequest, conclude, draw_share, fit_power_law, learning_curve
from core.training.recipe import load_recipe
from tests.core.training.cancelling import CancelAt
from tests.core.training.scenes import only_a_patch, scene, write_pair, write_scenes

QUICK = ["encoder=efficientnet-lite0", "iterations=10"]
AMOUNTS = (5, 10, 25, 50, 100)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    for index in range(3):
        image, raster = scene(index)
        write_pair(folder, str(index + 1), image, only_a_patch(raster, side=32))
    return folder


def request(data, labels, cache, tmp_path, **options):
    recipe = load_recipe("head", QUICK)
    return CurveRequest(
        data=data, labels=labels, out=tmp_path / "curve.json", recipe=recipe, device="cpu", cache=cache, **options
    )


def points(law, *, seeds=1, noise=0.0):
    generator = np.random.default_rng(0)
    return [
        {"seed": seed, "instances": n, "miou": law(n) + generator.normal(0, noise)}
        for seed in range(seeds)
        for n in AMOUNTS
    ]


def law(n):
    return 0.6 - 0.8 * n**-0.5


def test_a_power_law_is_found_again():
    curve, why = fit_power_law([(n, law(n)) for n in AMOUNTS])
    assert why is None
    assert (curve.a, curve.b, curve.c) == pytest.approx((0.6, 0.8, 0.5), abs=1e-3)
    assert curve.at(curve.needed(0.55)) == pytest.approx(0.55)


def test_the_labels_to_a_target_are_those_of_the_law_and_the_interval_holds_them():
    told = conclude(points(law, seeds=6, noise=0.002), labelled=100, target=0.55)
    truth = (0.8 / 0.05) ** 2 - 100  # solves 0.6 - 0.8 n^-0.5 = 0.55
    assert told["more"] == pytest.approx(truth, rel=0.25)
    low, high = told["interval"]
    assert low <= truth <= high
    assert f"About {told['more']} more labelled instances a class" in told["sentence"]


def test_more_noise_widens_the_interval():
    spans = []
    for noise in (0.001, 0.006):
        low, high = conclude(points(law, seeds=6, noise=noise), labelled=100, target=0.54)["interval"]
        spans.append((high if high is not None else 1000) - low)
    assert spans[0] < spans[1]


def test_a_target_that_is_reached_needs_no_more():
    told = conclude(points(law, seeds=3), labelled=100, target=0.5)
    assert told["more"] == 0
    assert "already" in told["sentence"]


@pytest.mark.parametrize(
    ("measured", "target", "told"),
    [
        (points(law), 0.65, "flattens at 0.600, below the target of 0.650"),
        (points(law), 0.599, "more than 10 times what is labelled away"),
        (points(lambda n: 0.4), 0.5, "does not rise with the labels"),
        (points(law)[:2], 0.5, "at least three different amounts"),
    ],
)
def test_where_the_curve_cannot_tell_it_says_so(measured, target, told):
    found = conclude(measured, labelled=100, target=target)
    assert found["more"] is None
    assert found["sentence"].startswith("Cannot tell")
    assert told in found["sentence"]


def test_a_target_out_of_reach_is_called_so_with_the_doubt_there_is():
    assert "One seed is little" in conclude(points(law), labelled=100, target=0.65)["sentence"]
    sure = conclude(points(law, seeds=4), labelled=100, target=0.65)
    assert sure["interval"] == [None, None]
    assert sure["sentence"].endswith("would not reach it.")
    apart = [*points(law), *({**point, "seed": 1, "miou": point["miou"] - 0.2} for point in points(law))]
    doubtful = conclude(apart, labelled=100, target=0.55)
    assert doubtful["more"] is None
    assert "Some draws of the labels reach it" in doubtful["sentence"]


def test_without_a_target_the_curve_alone_is_told():
    assert "stands at 0.520, and it flattens at 0.600" in conclude(points(law), labelled=100, target=None)["sentence"]
    straight = points(lambda n: 0.1 * np.log10(n))
    assert "do not show where it flattens" in conclude(straight, labelled=100, target=None)["sentence"]


def test_a_fit_without_convergence_is_told(monkeypatch):
    def fails(*_arguments, **_options):
        raise RuntimeError("maxfev")

    monkeypatch.setattr(module, "curve_fit", fails)
    assert "no convergence" in conclude(points(law), labelled=100, target=0.5)["sentence"]


def test_one_seed_gives_no_interval_and_few_seeds_a_rough_one():
    assert "one seed" in conclude(points(law), labelled=100, target=0.55)["sentence"]
    assert "3 seeds make it rough" in conclude(points(law, seeds=3), labelled=100, target=0.55)["sentence"]


def test_shares_are_drawn_by_instance_and_class_and_are_nested():
    rasters = {str(index): only_a_patch(scene(index)[1], side=32) for index in range(2)}
    everything = [count(raster) for raster in rasters.values()]
    before = {name: np.zeros(raster.shape, bool) for name, raster in rasters.items()}
    for share, wanted in ((5, 1), (25, 2), (50, 4), (100, 8)):
        drawn = draw_share(rasters, share=share, seed=3)
        for name, raster in drawn.items():
            kept = raster != UNLABELLED
            assert np.array_equal(raster[kept], rasters[name][kept])
            assert not (before[name] & ~kept).any()
            before[name] = kept
        for name in ("urban", "agriculture", "forest", "water"):
            assert sum(counted[name].instances for counted in everything) == 8
            assert sum(count(raster)[name].instances for raster in drawn.values()) == wanted
    assert all(np.array_equal(drawn[name], rasters[name]) for name in rasters)
    other = draw_share(rasters, share=25, seed=4)
    assert any(not np.array_equal(other[name], draw_share(rasters, share=25, seed=3)[name]) for name in rasters)


def test_a_curve_is_measured_on_full_masks_and_goes_on_where_it_stopped(tmp_path, data, labels, cache, monkeypatch):
    scored = []

    def counting(*arguments, **options):
        scored.append(options["seed"])
        return cross_validate(*arguments, **options)

    monkeypatch.setattr(module, "cross_validate", counting)
    asked = request(data, labels, cache, tmp_path, shares=(25, 50, 100), seeds=(0,), target=0.99)

    with pytest.raises(CancelledError):
        learning_curve(asked, CancelAt("100 %"))
    assert len(json.loads(asked.out.read_text())["points"]) == 2
    found = learning_curve(asked, SilentProgress())
    assert len(scored) == 4  # two, the cancelled one, and that one again
    assert [point["share"] for point in found["points"]] == [25, 50, 100]
    assert found["instances_per_class"] == 12
    assert found["points"][-1]["instances"] == pytest.approx(8)  # two tiles of three train
    assert 0 < found["points"][0]["miou"] <= 1
    assert found["sentence"]
    assert json.loads(asked.out.read_text())["sentence"] == found["sentence"]
    with pytest.raises(InputError, match="another folds"):
        learning_curve(request(data, labels, cache, tmp_path, folds=2), SilentProgress())


def test_a_share_with_too_little_is_skipped_with_a_sentence_and_nothing_at_all_is_refused(tmp_path, data, cache):
    folder = tmp_path / "labels"
    for index, of_class in enumerate((0, 4, 4)):
        image, raster = scene(index)
        write_pair(folder, str(index + 1), image, np.where(raster == of_class, of_class, UNLABELLED).astype(np.uint8))
    with pytest.raises(InputError, match=r"Not one share .* in this draw of the labels"):
        learning_curve(request(data, folder, cache, tmp_path, shares=(100,), seeds=(0,)), SilentProgress())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="Nothing is labelled"):
        learning_curve(request(data, tmp_path / "empty", cache, tmp_path), SilentProgress())


def test_the_command_ends_with_one_object_and_refuses_what_is_no_share(tmp_path, data, labels, capsys, monkeypatch):
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path / "cache"))
    settings = [part for one in QUICK for part in ("--set", one)]
    arguments = ["learning-curve", "--data", str(data), "--labels", str(labels), "--out", str(tmp_path / "c.json")]
    assert main([*arguments, *settings, "--shares", "50,100", "--seeds", "1", "--folds", "3"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "at least three different amounts" in result["sentence"]
    for wrong in (["--shares", "0,50"], ["--target", "55"], ["--folds", "1"], ["--seeds", "a"]):
        assert main([*arguments, *wrong]) == 2
