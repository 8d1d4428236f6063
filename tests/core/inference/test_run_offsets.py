"""The offsets of a run, in its folder."""

import json
import shutil

import pytest

from core.errors import InputError
from core.inference.run_offsets import OFFSETS, fit_run_offsets, read_offsets
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.training.runs import WEIGHTS
from tests.scenes import write_pairs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Tiles 1 to 4, a run that was judged on tiles 3 and 4, and one that was judged on none."""
    root = tmp_path_factory.mktemp("offsets")
    write_pairs(root / "data", 4, 192)
    cache = FeatureCache(root / "features")
    for name, validation in (("judged", ("3", "4")), ("unjudged", ())):
        settings = ["windows=1", "iterations=5", "encoder=efficientnet-lite0", "more_encoders="]
        recipe = load_recipe("head", settings).model_copy(
            update={"train_tiles": ("1", "2"), "validation_tiles": validation, "l2": 1.0 if validation else 2.0}
        )
        request = FitRequest(
            data=root / "data", labels=None, out=root / name, recipe=recipe, seed=0, device="cpu", cache=cache
        )
        fit(request, SilentProgress())
    return root, cache


def test_offsets_are_fitted_on_the_validation_tiles_kept_and_read_again(runs):
    root, cache = runs
    switches = Switches(refinement="guided", min_region=30)
    told = fit_run_offsets(
        root / "judged", root / "data", None, switches=switches, progress=SilentProgress(), device="cpu", cache=cache
    )
    kept = read_offsets(root / "judged")
    assert list(told["offsets"].values()) == list(kept.offsets)
    assert kept.after >= kept.before
    assert kept.tiles.keys() == {"3", "4"}
    assert kept.switches == Switches(refinement="guided").key
    assert json.loads((root / "judged" / OFFSETS).read_text())["strength"] == kept.strength


def test_offsets_of_a_run_that_was_trained_anew_are_not_taken(runs, tmp_path):
    root, cache = runs
    run = tmp_path / "run"
    shutil.copytree(root / "judged", run)
    fit_run_offsets(run, root / "data", None, switches=Switches(), progress=SilentProgress(), device="cpu", cache=cache)
    assert read_offsets(run) is not None
    shutil.copy(root / "unjudged" / WEIGHTS, run / WEIGHTS)
    assert read_offsets(run) is None


def test_a_run_without_validation_tiles_is_refused(runs):
    root, cache = runs
    with pytest.raises(InputError, match="without validation tiles"):
        fit_run_offsets(
            root / "unjudged", root / "data", None, switches=Switches(), progress=SilentProgress(), cache=cache
        )
    assert read_offsets(root / "unjudged") is None


def test_spoilt_offsets_are_told(tmp_path):
    (tmp_path / OFFSETS).write_text('{"offsets": [1]}')
    with pytest.raises(InputError, match="fit the offsets anew"):
        read_offsets(tmp_path)
