import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save

from core.errors import InputError
from core.progress import SilentProgress
from core.training import encoder_weights
from core.training.encoder_weights import fetch_recipe_weights
from core.training.recipe import Recipe
from models.encoders import create_encoder
from models.errors import ModelError
from tests.core.training.scenes import write_scenes
from tests.models.stand_in_hub import StandInHub, running

PROJECT = Path(__file__).resolve().parents[3]
NAME, REPOSITORY = "mobileone_s0", "smp-hub/mobileone_s0.imagenet"
WEIGHTS = f"{REPOSITORY}/model.safetensors"
SETTINGS = [f"encoder={NAME}", "weights=hub", "iterations=3", "stages=2,3"]


@pytest.fixture(scope="module")
def published():
    state = create_encoder(NAME, "none").backbone.state_dict()
    settings = {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    return {
        f"{REPOSITORY}/config.json": json.dumps(settings).encode(),
        WEIGHTS: save({key: value.contiguous() for key, value in state.items()}),
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), names=("1", "2"))


def fit_against(hub, data, folder):
    """``python -m core fit`` in a process of its own, whose hub is ours and whose caches are in ``folder``."""
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    command = ["fit", "--data", data, "--out", folder / "run", *settings, "--device", "cpu", "--progress", "json"]
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder / "hub"),
        "TILEWRIGHT_CACHE": str(folder / "features"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "core", *map(str, command)],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_fit_fetches_the_weights_that_it_lacks_and_says_how_much_has_come(data, published, tmp_path):
    with running(StandInHub(published)) as hub:
        process = fit_against(hub, data, tmp_path)
        out, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert json.loads(out.splitlines()[-1])["run"] == str(tmp_path / "run")
    fetching = [event for event in map(json.loads, told.splitlines()) if "Fetching" in event.get("message", "")]
    size = len(published[WEIGHTS])
    assert fetching[-1]["done"] == fetching[-1]["total"] == size
    assert f"Fetching the weights of {NAME} from the hub: {size / 1e6:.0f} of" in fetching[-1]["message"]
    assert hub.fetched(WEIGHTS) == 1


def test_a_fit_that_is_cancelled_while_it_fetches_leaves_nothing_half_written(data, published, tmp_path):
    with running(StandInHub(published, stops_after=3 << 20)) as hub:
        process = fit_against(hub, data, tmp_path)
        before = []
        while not before or "Fetching" not in before[-1]:
            before.append(next(process.stderr, ""))
            assert before[-1], f"it ended without fetching: {before}"
        process.send_signal(signal.SIGINT)
        hub.closing.set()  # what is on its way comes to an end
        told = "".join([*before, process.communicate(timeout=120)[1]])
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert not (tmp_path / "run" / "card.json").exists()
    assert [path for path in (tmp_path / "hub").rglob("*") if path.name.endswith((".incomplete", ".safetensors"))] == []


def test_the_further_encoders_of_a_recipe_are_fetched_too_and_each_once(monkeypatch):
    asked = []
    monkeypatch.setattr(encoder_weights, "fetch_weights", lambda name, tell: asked.append(name))
    fetch_recipe_weights(
        Recipe(encoder="resnet18", weights="hub", more_encoders=("tu-resnet18", "efficientnet-lite0", "resnet18@hub")),
        SilentProgress(),
    )
    assert asked == ["resnet18", "tu-resnet18"]


def test_weights_that_are_installed_or_random_or_a_file_ask_nobody(monkeypatch):
    monkeypatch.setattr(encoder_weights, "fetch_weights", lambda name, tell: pytest.fail(f"asked for {name}"))
    for weights in ("packaged", "none", "mine.safetensors"):
        fetch_recipe_weights(Recipe(weights=weights), SilentProgress())
        fetch_recipe_weights(Recipe(weights=weights, train="decoder"), SilentProgress())


def test_weights_that_cannot_be_had_are_bad_input(monkeypatch):
    def refuse(name, tell):
        raise ModelError(f"The weights of {name} could not be fetched.")

    monkeypatch.setattr(encoder_weights, "fetch_weights", refuse)
    with pytest.raises(InputError, match="weights of resnet18 could not be fetched"):
        fetch_recipe_weights(Recipe(encoder="resnet18", weights="hub", train="decoder"), SilentProgress())
