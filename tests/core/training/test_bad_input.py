"""What a person may get wrong before a fit, as the command line tells it: one plain line, exit status 2."""

import socket
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.classes import UNLABELLED
from core.cli import main
from tests.core.training.scenes import scene, write_pair, write_scenes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"), names=("1", "2"))


@pytest.fixture
def refuses(tmp_path, capsys, monkeypatch):
    """Runs ``fit`` and returns the line that it refuses with."""
    monkeypatch.setenv("TILEWRIGHT_CACHE", str(tmp_path / "cache"))

    def run(data, *options):
        out = tmp_path / "run"
        assert main(["fit", "--data", str(data), "--out", str(out), *options]) == 2
        assert not out.exists(), "a refused fit leaves no run behind"
        return capsys.readouterr().err.splitlines()[-1]

    return run


def test_no_labels(refuses, tmp_path):
    image, raster = scene(0)
    write_pair(tmp_path / "data", "1", image, np.full_like(raster, UNLABELLED))
    assert "label some on the Label page" in refuses(tmp_path / "data")


def test_one_class_only(refuses, tmp_path):
    write_scenes(tmp_path / "data", names=("1",), classes=(4,))
    said = refuses(tmp_path / "data")
    assert "Only water is labelled" in said
    assert "label at least two classes" in said


def test_an_unknown_encoder_brings_the_nearest_names(refuses, data):
    said = refuses(data, "--set", "encoder=resnet35", "--set", "weights=none")
    assert "no encoder called 'resnet35'" in said
    assert "resnet34" in said


def test_weights_of_another_shape(refuses, data, tmp_path):
    save_file({"conv_stem.weight": np.zeros((3, 3), np.float32)}, tmp_path / "other.safetensors")
    said = refuses(data, "--set", "encoder=efficientnet-lite0", "--set", f"weights={tmp_path / 'other.safetensors'}")
    assert "do not fit the encoder efficientnet-lite0" in said


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("l3=1", "no key 'l3'; did you mean l2"),
        ("l2=-1", "greater than or equal to 0"),
        ("folds=21", "less than or equal to 20"),
        ("head=tree", "'context-linear', 'convolutional'"),
        ("windows=2", "must be odd"),
    ],
)
def test_a_recipe_with_a_key_or_value_that_there_is_not(refuses, data, setting, words):
    assert words in refuses(data, "--set", setting)


def test_no_network_for_weights_of_the_hub(refuses, data, monkeypatch, tmp_path):
    def no_network(*_arguments, **_options):
        raise OSError("Network is unreachable")

    for name in ("HF_HOME", "HF_HUB_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no-cache"))
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the hub's client tries again for most of a minute
    said = refuses(data, "--set", "encoder=tu-resnet10t", "--set", "weights=hub")
    assert "could not be fetched from the hub" in said
    assert "check the network" in said
