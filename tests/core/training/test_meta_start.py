import json

import pytest
import torch

from core.cli import main
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.meta_start import learn_start
from core.training.recipe import load_recipe
from core.training.runs import read_head, read_metrics, read_run
from tests.core.training.cancelling import CancelAt
from tests.core.training.scenes import write_scenes

QUICK = ["encoder=efficientnet-lite0", "iterations=10"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"))


def request(data, out, cache, *overrides):
    return FitRequest(data=data, out=out, recipe=load_recipe("head", [*QUICK, *overrides]), device="cpu", cache=cache)


def test_the_starting_head_is_a_run_that_another_fit_begins_at(tmp_path, data, cache):
    start = tmp_path / "start"
    learn_start(request(data, start, cache, "train_tiles=1,2"), SilentProgress())
    card = read_run(start).card
    assert card.measured == {"meta_learnt_over": ["1", "2"]}
    assert (card.state, card.validation) == ("finished", None)
    lines = read_metrics(start)
    assert lines[-1]["loss"] < lines[0]["loss"]
    near = ["train_tiles=3", "l2=1000"]
    fit(request(data, tmp_path / "from-start", cache, *near, f"start={start}"), SilentProgress())
    fit(request(data, tmp_path / "from-nought", cache, *near), SilentProgress())
    wanted, begun, plain = (read_head(tmp_path / name).weight for name in ("start", "from-start", "from-nought"))
    assert torch.dist(begun, wanted) < torch.dist(plain, wanted)


def test_two_starts_are_equal_bit_for_bit(tmp_path, data, cache):
    for name in ("a", "b"):
        learn_start(request(data, tmp_path / name, cache), SilentProgress())
    first, again = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b"))
    assert first == again


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["head=prototype"], "A starting head is linear"),
        (["train_tiles=1"], "at least two classes each, and there are 1"),
    ],
)
def test_what_gives_no_start_is_told_in_one_sentence(tmp_path, data, cache, overrides, told):
    with pytest.raises(InputError, match=told):
        learn_start(request(data, tmp_path / "run", cache, *overrides), SilentProgress())
    assert not (tmp_path / "run").exists()


def test_a_cancel_keeps_the_start_so_far(tmp_path, data, cache):
    with pytest.raises(CancelledError):
        learn_start(request(data, tmp_path / "run", cache), CancelAt("Learning where to start"))
    assert read_run(tmp_path / "run").card.state == "cancelled"
    assert len(read_metrics(tmp_path / "run")) == 1


def test_the_command_writes_the_run(tmp_path, data, capsys, monkeypatch):
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path / "cache"))
    settings = [part for one in QUICK for part in ("--set", one)]
    assert main(["meta-start", "--data", str(data), "--out", str(tmp_path / "run"), *settings]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["tiles"] == 3
    assert read_run(tmp_path / "run").card.head == "context-linear"
