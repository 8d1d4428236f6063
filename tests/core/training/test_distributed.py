"""A network trained by two workers of a real Ray on this machine, and runs and studies whose parts a cluster trains."""

import json

import psutil
import pytest
import torch

from core.errors import CancelledError, InputError
from core.progress import CancelFlag, SilentProgress
from core.training.ablation import Study, ablate
from core.training.distributed import check_splits, fit_on_cluster
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.learning_curve import CurveRequest, learning_curve
from core.training.recipe import load_recipe
from core.training.runs import read_metrics, read_run
from core.training.techniques import parse_variations
from tests.core.cluster.local_ray import connectable_head, needs_ray
from tests.core.training.scenes import write_scenes

NETWORK = ["encoder=efficientnet-lite0", "patch=64", "batch_size=4", "steps=2", "epochs=3", "decoder=unet"]
NETWORK += ["decoder_norm=groupnorm", "validation_tiles=3"]
HEAD = ["encoder=efficientnet-lite0", "iterations=20"]


@pytest.fixture(scope="module")
def head():
    with connectable_head() as use:
        yield use


@pytest.fixture(autouse=True)
def one_thread():
    """As many as a worker of the cluster has: the last digits of a sum depend on them."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"), names=("1", "2", "3", "4"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("cache"))


class After(SilentProgress):
    """Does something after the first epoch, once."""

    def __init__(self, act=lambda flag: None):
        self._flag = CancelFlag()
        super().__init__(self._flag)
        self._act, self.lines, self.said = act, [], []

    def update(self, done, total, message):
        self.said.append(message)
        super().update(done, total, message)

    def metrics(self, values):
        self.lines.append(values)
        if len(self.lines) == 1:
            self._act(self._flag)
        super().metrics(values)


def network(data, out, cache, **options):
    recipe = load_recipe("decoder", NETWORK)
    return FitRequest(data=data, out=out, recipe=recipe, device="cpu", cache=cache, **options)


def kill_a_worker(head):
    """Kill one of the processes that train, among those of this test's Ray."""
    port = head.address.rpartition(":")[2]
    for one in psutil.process_iter(["name"]):
        if one.info["name"].startswith("ray::RayTrain") and port in " ".join(one.parent().cmdline()):
            one.kill()
            return
    raise AssertionError("no process was training")


@needs_ray
def test_a_fit_that_loses_a_worker_goes_on_and_ends_as_one_process_would_have(head, data, cache, tmp_path):
    fit(network(data, tmp_path / "alone", cache), SilentProgress())
    watch = After(lambda _flag: kill_a_worker(head))
    result = fit_on_cluster(network(data, tmp_path / "two", cache), watch, workers=2, cluster=head)
    json.dumps(result)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "card.json",
        "metrics.jsonl",
        "recipe.toml",
        "weights.safetensors",
    ]
    alone, two = (read_metrics(tmp_path / name) for name in ("alone", "two"))
    assert [line["epoch"] for line in two] == [1, 2, 3]
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in alone], rel=0.02)
    assert two[-1]["validation_miou"] == pytest.approx(alone[-1]["validation_miou"], abs=0.03)
    card = read_run(tmp_path / "two").card
    assert card.state == "finished"
    assert card.measured["workers"] == 2
    assert sum(card.measured["nodes"].values()) == 2
    (warning,) = card.warnings
    assert "ended before its time; all workers go on from the last checkpoint" in warning
    assert any("Going on after epoch 1" in message for message in watch.said)


@needs_ray
def test_a_cancel_ends_all_workers_and_keeps_the_best_with_its_checkpoint(head, data, cache, tmp_path):
    out = tmp_path / "run"

    def cancel(flag):
        flag.raised = True

    recipe = load_recipe("decoder", [*NETWORK, "epochs=200"])
    long = FitRequest(data=data, out=out, recipe=recipe, device="cpu", cache=cache)
    with pytest.raises(CancelledError):
        fit_on_cluster(long, After(cancel), workers=2, cluster=head)
    run = read_run(out)
    assert run.card.state == "cancelled"
    assert run.card.measured["epochs"] < 200
    assert (out / "checkpoint.safetensors").is_file()


@needs_ray
def test_members_that_a_cluster_trains_are_those_that_are_trained_here(head, data, cache, tmp_path):
    def request(name):
        recipe = load_recipe("head", [*HEAD, "folds=2"])
        return FitRequest(data=data, out=tmp_path / name, recipe=recipe, device="cpu", cache=cache)

    fit(request("here"), SilentProgress())
    fit_on_cluster(request("there"), SilentProgress(), workers=1, cluster=head)
    here, there = (tmp_path / name for name in ("here", "there"))
    assert (there / "weights.safetensors").read_bytes() == (here / "weights.safetensors").read_bytes()
    curves = [[{**line, "seconds": 0} for line in read_metrics(run)] for run in (here, there)]
    assert curves[0] == curves[1]
    crossed = [read_run(run).card.measured["cross_validation"] for run in (here, there)]
    assert crossed[0] == crossed[1]


@needs_ray
def test_studies_on_a_cluster_come_to_what_they_come_to_here(head, data, cache, tmp_path):
    def study(name):
        rows = parse_variations(["l2=10"])
        overrides = tuple(HEAD)
        return Study(data, tmp_path / f"{name}.json", rows, overrides=overrides, folds=2, device="cpu", cache=cache)

    def curve(name):
        recipe = load_recipe("head", HEAD)
        shares = {"shares": (50, 100), "seeds": (0,), "folds": 2}
        return CurveRequest(data, tmp_path / f"{name}-curve.json", recipe, device="cpu", cache=cache, **shares)

    tables = [ablate(study("here"), SilentProgress()), ablate(study("there"), SilentProgress(), cluster=head)]
    timed = ("seconds", "head_seconds")
    rows = [[{**row, **dict.fromkeys(timed)} for row in table["table"]] for table in tables]
    assert rows[0] == rows[1]
    points = [
        learning_curve(curve("here"), SilentProgress())["points"],
        learning_curve(curve("there"), SilentProgress(), cluster=head)["points"],
    ]
    assert [{**point, "seconds": None} for point in points[0]] == [{**point, "seconds": None} for point in points[1]]


@pytest.mark.parametrize(
    ("recipe", "overrides", "workers", "sentence"),
    [
        ("head", [], 2, "trains a head on cached features"),
        ("decoder", ["folds=2"], 2, "spread them with --cluster"),
        ("decoder", ["batch_size=8"], 3, "take 1 or 2 or 4 or 8"),
    ],
)
def test_what_several_workers_cannot_share_is_refused_before_ray_is_asked(recipe, overrides, workers, sentence):
    with pytest.raises(InputError, match=sentence):
        check_splits(load_recipe(recipe, overrides), workers)
