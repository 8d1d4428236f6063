"""The report on pruning: figures of every sparsity on the run's validation tiles, and what has none."""

import json

import pytest

from core.errors import InputError
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.pruning import PruningRequest, prune_run
from core.training.recipe import load_recipe
from tests.core.training.scenes import write_scenes

NETWORK = ["encoder=efficientnet-lite0", "decoder=unet", "epochs=3", "patch=64", "steps=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pruning")
    write_scenes(root / "data")
    runs = {
        "network": ("decoder", [*NETWORK, "validation_tiles=2"]),
        "unjudged": ("decoder", [*NETWORK[:2], "epochs=1", "patch=64", "steps=1"]),
        "head": ("fast", ["validation_tiles=2"]),
    }
    for name, (preset, settings) in runs.items():
        recipe = load_recipe(preset, settings)
        cache = FeatureCache(root / "features")
        fit(FitRequest(data=root / "data", out=root / name, recipe=recipe, device="cpu", cache=cache), SilentProgress())
    return root


def prune(folder, name, kind="structured", sparsities=(0.9, 0.3)):
    request = PruningRequest(folder / name, folder / "out.json", kind, sparsities, folder / "data", device="cpu")
    return prune_run(request, SilentProgress())


@pytest.mark.parametrize("kind", ["magnitude", "structured"])
def test_the_report_tells_score_size_and_time_at_every_sparsity(folder, kind):
    told = prune(folder, "network", kind)
    rows = told["rows"]
    assert [row["sparsity"] for row in rows] == [0, 0.3, 0.9]
    assert rows[0]["time_ratio"] == 1
    assert told["tiles"] == ["2"]
    assert rows[2]["miou"] <= rows[0]["miou"]
    assert json.loads((folder / "out.json").read_text())["rows"] == rows
    if kind == "structured":
        assert rows[2]["parameters"] < rows[1]["parameters"] < rows[0]["parameters"]
    else:
        assert rows[2]["zero_weights"] == pytest.approx(0.9, abs=0.01)
        assert "as slow" in rows[2]["sentence"]


@pytest.mark.parametrize(
    ("name", "sparsities", "sentence"),
    [
        ("head", (0.5,), "head on cached features"),
        ("unjudged", (0.5,), "no validation tiles"),
        ("network", (1.0,), "between 0 and 1"),
        ("network", (), "between 0 and 1"),
    ],
)
def test_what_cannot_be_pruned_or_judged_is_told_in_a_sentence(folder, name, sparsities, sentence):
    with pytest.raises(InputError, match=sentence):
        prune(folder, name, sparsities=sparsities)
