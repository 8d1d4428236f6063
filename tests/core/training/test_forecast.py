import json
import time
from dataclasses import asdict

import numpy as np
import pytest

from core.classes import CLASS_NAMES
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from core.training import forecast_trial
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.forecast import Forecast, _repeats, forecast, label_warnings
from core.training.recipe import load_recipe
from core.training.training_data import gather
from tests.core.training.scenes import write_scenes

NAMES = ("1", "2", "3", "4")
HEAD = ("head", ["encoder=efficientnet-lite0", "resolution_m=0.5", "iterations=10", "validation_tiles=4"])
NETWORK = (
    "decoder",
    [*HEAD[1][:2], "patch=64", "epochs=2", "steps=5", "batch_size=2", "augmentation=none", "validation_tiles=4"],
)


def forecast_of(data, cache, recipe):
    return forecast(
        data=data,
        labels=None,
        recipe=load_recipe(*recipe),
        seed=0,
        device="cpu",
        progress=SilentProgress(),
        cache=FeatureCache(cache),
    )


def within_three(forecast, took):
    """Within a factor of three, or a second: nobody plans by less, and a busy machine may take one anywhere."""
    return took / 3 - 1 < forecast < took * 3 + 1


def timed_fit(data, cache, out, recipe):
    began = time.perf_counter()
    request = FitRequest(data=data, out=out, recipe=load_recipe(*recipe), device="cpu", cache=FeatureCache(cache))
    fit(request, SilentProgress())
    return time.perf_counter() - began


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), names=NAMES)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def told(data, cache, tmp_path_factory):
    # Forecast and fit each begin in a process of their own; here the first one would pay for loading the libraries.
    warm = tmp_path_factory.mktemp("warm")
    timed_fit(data, warm / "cache", warm / "run", HEAD)
    return forecast_of(data, cache, HEAD)


def test_the_forecast_of_a_head_is_within_a_factor_of_three(told, data, cache, tmp_path):
    took = timed_fit(data, tmp_path / "other-cache", tmp_path / "run", HEAD)
    assert within_three(told.seconds, took)


@pytest.mark.parametrize("several", [["folds=3"], ["members=6"], ["folds=3", "members=3"]])
def test_the_forecast_of_several_heads_is_within_a_factor_of_three(told, data, cache, tmp_path, several):
    recipe = (HEAD[0], [*HEAD[1], *several])
    took = timed_fit(data, cache, tmp_path / "run", recipe)  # before the forecast: both find the features there
    seconds = forecast_of(data, cache, recipe).seconds
    assert within_three(seconds, took)


def test_members_and_folds_are_told_at_the_cost_of_each_and_of_judging_what_was_left_out(told, data, cache):
    one = forecast_of(data, cache, HEAD)
    several = forecast_of(data, cache, (HEAD[0], [*HEAD[1], "folds=3", "members=4"]))
    assert several.seconds - several.reading_seconds > 4 * (one.seconds - one.reading_seconds)


def test_a_network_that_takes_long_on_a_processor_is_warned_of(data, cache):
    recipe = (NETWORK[0], [*NETWORK[1], "epochs=1000", "steps=1000"])
    assert any("hours on this processor" in warning for warning in forecast_of(data, cache, recipe).warnings)
    assert not any("hours on" in warning for warning in forecast_of(data, cache, NETWORK).warnings)


def test_the_forecast_of_a_network_is_within_a_factor_of_three(data, cache, tmp_path):
    told = forecast_of(data, cache, NETWORK)
    took = timed_fit(data, cache, tmp_path / "run", NETWORK)
    assert within_three(told.seconds, took)
    assert not told.cacheable
    assert told.frozen_parameters > told.trained_parameters > 10_000


def test_it_tells_labels_parameters_memory_and_how_it_was_measured(told):
    assert told.classes["urban"]["instances"] > 0
    assert any("rangeland" in warning for warning in told.warnings)
    assert told.frozen_parameters > 1_000_000 > told.trained_parameters > 0
    assert told.memory_bytes > 100 * 2**20
    assert "this machine" in told.how
    assert (told.tiles, told.device) == (4, "cpu")
    assert 0 < told.reading_seconds < told.seconds


def test_a_forecast_goes_through_json(told):
    assert Forecast(**json.loads(json.dumps(asdict(told)))) == told


def test_only_two_tiles_are_encoded_and_those_are_kept_for_the_fit(told, data, tmp_path):
    assert told.uncached_tiles == len(NAMES) - forecast_trial.ENCODED
    timed_fit(data, tmp_path, tmp_path / "run", HEAD)
    later = forecast_of(data, tmp_path, HEAD)
    assert later.uncached_tiles == 0
    assert "encoder run" not in later.how


def test_features_that_are_lent_count_as_memory_only_while_they_are_held():
    ledger = forecast_trial.Ledger()
    features = ledger.encode((4,), lambda: np.zeros((4,), np.float16))
    held = [ledger.lend((4,), in_memory=True) for _ in range(3)]
    held.append(ledger.lend((4,), in_memory=False))
    assert ledger.most_lent_bytes == 3 * features.nbytes
    held.clear()
    for _ in range(5):
        ledger.lend((4,), in_memory=True)
    assert ledger.most_lent_bytes == 3 * features.nbytes


def test_training_that_takes_long_is_stopped_and_reckoned_from_its_pace(monkeypatch):
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(forecast_trial.time, "perf_counter", lambda: float(next(clock)))
    watch = forecast_trial._Watch(SilentProgress(), stop_after=9)
    watch.training_begins()
    watch.metrics({})

    def train():
        for epoch in range(1, 100):
            watch.update(epoch, 100, "An epoch")

    with pytest.raises(CancelledError):
        train()
    assert watch.stopped
    step = watch.shortest_step()
    assert step is not None
    assert watch.pace_to(None) == pytest.approx(100 * step, rel=0.1)
    assert watch.pace_to(50) == pytest.approx(50 * step, rel=0.1)


def test_training_goes_on_until_there_is_a_model_to_hand_over():
    watch = forecast_trial._Watch(SilentProgress(), stop_after=0)
    watch.training_begins()
    for epoch in range(1, 20):
        watch.update(epoch, 100, "An epoch")
    assert not watch.stopped


def test_members_folds_and_rounds_repeat_the_training_where_they_count():
    assert _repeats(load_recipe("head", ["members=8", "folds=4", "pseudo_rounds=1"])) == 64
    assert _repeats(load_recipe("decoder", ["members=8"])) == 8
    assert _repeats(load_recipe("head-convolutional", ["members=8", "folds=4"])) == 4
    assert _repeats(load_recipe("head", ["members=1"])) == 1


def test_it_refuses_what_the_fit_would_refuse(tmp_path):
    write_scenes(tmp_path / "one", names=("1",), classes=(3,))
    with pytest.raises(InputError, match="Only forest is labelled"):
        forecast_of(tmp_path / "one", tmp_path / "cache", ("head", []))


def test_windows_with_labels_are_counted_by_patch(data):
    tile, *_ = gather(data, None, load_recipe(*HEAD)).training
    assert forecast_trial.labelled_windows(tile, patch=64) == 16
    assert forecast_trial.labelled_windows(tile, patch=256) == 1


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        ((9, 9, 9, 9, 9, 9), []),
        ((9, 9, 9, 9, 9, 1), ["Only one instance of barren is labelled"]),
        ((9, 9, 9, 9, 1, 1), ["Only one instance of water and barren is labelled"]),
        ((9, 9, 9, 9, 9, 0), ["No barren is labelled: the model will never predict it."]),
        ((9, 9, 0, 9, 0, 0), ["No rangeland, water or barren is labelled: the model will never predict them."]),
        ((0, 0, 0, 5, 0, 0), ["Only forest is labelled"]),
        ((0, 0, 0, 0, 0, 0), []),
    ],
)
def test_thin_labels_are_named(instances, expected):
    said = label_warnings(dict(zip(CLASS_NAMES, instances, strict=True)))
    assert [sentence[: len(words)] for words, sentence in zip(expected, said, strict=True)] == expected
