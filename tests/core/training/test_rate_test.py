import json
import math

import pytest

from core.cli import main
from core.errors import CancelledError, InputError
from core.progress import CancelFlag, SilentProgress
from core.training import rate_test
from core.training.fit import FitRequest
from core.training.rate_test import find_rate, has_blown_up, smoothed, suggested_rate
from core.training.recipe import load_recipe
from tests.core.training.scenes import write_scenes

TINY = ["encoder=efficientnet-lite0", "patch=64", "batch_size=2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"))


def rates(count):
    return [10 ** (-6 + 6 * index / (count - 1)) for index in range(count)]


def test_the_rate_of_the_steepest_fall_is_suggested():
    tried = rates(61)
    losses = [1 - 0.8 / (1 + math.exp(-3 * (math.log10(rate) + 3))) + max(0, math.log10(rate) + 1.5) for rate in tried]
    assert suggested_rate(tried, losses) == pytest.approx(1e-3, rel=0.3)


def test_a_loss_that_never_falls_suggests_nothing():
    assert suggested_rate(rates(50), [1.0] * 50) is None
    assert suggested_rate(rates(50), [1 + index / 10 for index in range(50)]) is None


def test_smoothing_keeps_a_constant_and_blow_up_is_seen():
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    assert not has_blown_up([1.0] * 20)
    assert has_blown_up([1.0] * 20 + [3.5])


def test_the_command_writes_the_curve_and_a_suggestion(tmp_path, data, monkeypatch, capsys):
    monkeypatch.setattr(rate_test, "STEPS", 30)
    out = tmp_path / "rates.json"
    settings = [part for override in TINY for part in ("--set", override)]
    assert main(["rate-test", "--data", str(data), "--out", str(out), "--device", "cpu", *settings]) == 0
    result = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == {"out": str(out), **result}
    assert len(result["rates"]) == len(result["losses"]) <= 30
    assert result["rates"][0] == pytest.approx(1e-6)
    assert result["rates"] == sorted(result["rates"])
    assert 1e-6 < result["suggested"] < 1


def test_a_cached_head_has_no_rate_to_test(tmp_path, data):
    request = FitRequest(data=data, out=tmp_path / "x.json", recipe=load_recipe("head"), device="cpu")
    with pytest.raises(InputError, match="set train to decoder, finetune or whole"):
        find_rate(request, SilentProgress())


def test_a_cancelled_test_writes_nothing(tmp_path, data):
    flag = CancelFlag()
    flag.raised = True
    recipe = load_recipe("decoder", TINY)
    with pytest.raises(CancelledError):
        find_rate(FitRequest(data=data, out=tmp_path / "x.json", recipe=recipe, device="cpu"), SilentProgress(flag))
    assert not (tmp_path / "x.json").exists()
