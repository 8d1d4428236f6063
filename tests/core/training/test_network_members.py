import json

import numpy as np
import pytest
import torch

from core.errors import CancelledError, InputError
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.checkpoints import MEMBERS
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.forecast import forecast
from core.training.model_card import model_card
from core.training.recipe import load_recipe
from core.training.run_archive import export_run, import_run
from core.training.runs import read_head, read_metrics, read_run
from models.network_ensemble import NetworkEnsemble
from models.networks import SegmentationNetwork
from tests.core.training.cancelling import CancelAt
from tests.core.training.scenes import scene, write_scenes

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ["encoder=efficientnet-lite0", "patch=64", "batch_size=2", "steps=2", "epochs=2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"), names=("1", "2", "3"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Three folds as they are when nothing comes between."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    fit(request(data, out, "folds=3"), SilentProgress())
    return out


def request(data, out, *overrides, **options):
    recipe = load_recipe("decoder", [*TINY, *overrides])
    return FitRequest(data=data, out=out, recipe=recipe, device="cpu", cache=FeatureCache(out.parent / "c"), **options)


def weights(run):
    return (run / "weights.safetensors").read_bytes()


def test_the_run_averages_networks_that_each_never_saw_their_left_out_tile(tmp_path, data, whole):
    card = read_run(whole).card
    assert (card.state, card.head) == ("finished", "network-ensemble")
    ensemble = read_head(whole)
    assert isinstance(ensemble, NetworkEnsemble)
    assert ensemble.one_encoder, "the encoder was frozen, so all have the same"
    folds = card.measured["fold_members"]
    assert sorted(name for member in folds for name in member["left_out"]) == ["1", "2", "3"]
    image, _ = scene(7)
    mean = np.zeros((6, 16, 16), np.float32)
    for number, member in enumerate(folds):
        others = ",".join(sorted({"1", "2", "3"} - set(member["left_out"])))
        out = tmp_path / str(number)
        fit(request(data, out, f"train_tiles={others}"), SilentProgress())
        mean += load_segmenter(out, device="cpu").cell_probabilities(image) / 3
    np.testing.assert_allclose(load_segmenter(whole, device="cpu").cell_probabilities(image), mean, atol=1e-5)
    assert {path.name for path in whole.iterdir()} == {
        "card.json",
        "metrics.jsonl",
        "recipe.toml",
        "weights.safetensors",
    }


def test_the_card_counts_what_was_trained_and_scores_every_tile_once(data, whole):
    card = read_run(whole).card
    measured = card.measured
    assert card.head_parameters + measured["frozen_parameters"] == sum(p.numel() for p in read_head(whole).parameters())
    crossed = measured["cross_validation"]
    assert crossed["tiles"] == 3
    assert np.sum(crossed["confusion"]) == 3 * 256 * 256
    assert measured["images_per_second"] > 0
    assert set(measured["tile_losses"]) == {"1", "2", "3"}
    text = model_card(read_run(whole))
    assert "average of 3 members" in text
    assert "Cross-validation: mIoU" in text
    lines = read_metrics(whole)
    assert [(line["member"], line["epoch"]) for line in lines] == [(m, e) for m in (1, 2, 3) for e in (1, 2)]
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    told = forecast(
        data=data,
        labels=None,
        recipe=load_recipe("decoder", [*TINY, "folds=3"]),
        seed=0,
        device="cpu",
        progress=SilentProgress(),
        cache=FeatureCache(whole.parent / "c"),
    )
    assert told.trained_parameters == card.head_parameters


def test_a_frozen_encoder_stands_once_in_the_file(whole, tmp_path, data):
    fit(request(data, tmp_path / "one"), SilentProgress())
    decoder = read_run(tmp_path / "one").card.head_parameters * 4
    grown = len(weights(whole)) - len(weights(tmp_path / "one"))
    assert grown < 2 * decoder + 200_000, "two decoders more, no encoder"


def test_a_cancel_keeps_the_whole_members_and_resuming_goes_on_where_it_was_cut(tmp_path, data, whole):
    out = tmp_path / "run"
    with pytest.raises(CancelledError):
        fit(request(data, out, "folds=3"), CancelAt("Member 2", "epoch 2 of"))
    card = read_run(out).card
    assert (card.state, card.measured["members"], card.validation) == ("cancelled", 1, None)
    assert isinstance(read_head(out), SegmentationNetwork)
    assert (out / MEMBERS / "2" / "checkpoint.safetensors").is_file()
    said = []

    class Listen(SilentProgress):
        def update(self, done, total, message):
            said.append(message)

    fit(request(data, out, "folds=3", resume=True), Listen())
    assert not any("Member 1 of 3: Training" in message for message in said)
    assert any("Member 2 of 3: Going on after epoch 1" in message for message in said)
    assert weights(out) == weights(whole)
    assert not (out / MEMBERS).exists()
    kept = ("member", "epoch", "loss")
    assert [[line[key] for key in kept] for line in read_metrics(out)] == [
        [line[key] for key in kept] for line in read_metrics(whole)
    ]
    crossed = [read_run(run).card.measured["cross_validation"] for run in (out, whole)]
    assert crossed[0] == crossed[1]


def test_resuming_with_other_settings_than_the_members_were_made_with_is_refused(tmp_path, data):
    out = tmp_path / "run"
    with pytest.raises(CancelledError):
        fit(request(data, out, "folds=3"), CancelAt("Member 2", "Training"))
    with pytest.raises(InputError, match="is of a recipe with learning_rate"):
        fit(request(data, out, "folds=3", "learning_rate=0.001", resume=True), SilentProgress())


def test_a_cancel_within_the_first_member_keeps_its_best_so_far(tmp_path, data):
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "run", "folds=2"), CancelAt("Member 1", "epoch 2 of"))
    measured = read_run(tmp_path / "run").card.measured
    assert (measured["members"], measured["fold_members"], measured["cross_validation"]) == (1, [], None)


def test_members_are_networks_of_different_seeds_that_all_see_every_tile(tmp_path, data):
    fit(request(data, tmp_path / "run", "members=2", "train=whole", "epochs=1"), SilentProgress())
    card = read_run(tmp_path / "run").card
    assert [member["left_out"] for member in card.measured["seed_members"]] == [[], []]
    assert "cross_validation" not in card.measured
    ensemble = read_head(tmp_path / "run")
    assert not ensemble.one_encoder, "each trained its own"
    for number, seed in enumerate((0, 1)):
        fit(request(data, tmp_path / str(seed), "train=whole", "epochs=1", seed=seed), SilentProgress())
        alone = read_head(tmp_path / str(seed)).state_dict()
        for name, tensor in ensemble.members[number].state_dict().items():
            assert torch.equal(tensor, alone[name])


def test_an_ensemble_goes_through_an_archive_as_any_run(tmp_path, whole):
    export_run(whole, tmp_path / "run.zip")
    taken = import_run(tmp_path / "run.zip", tmp_path / "runs", name="other")
    assert weights(taken.folder) == weights(whole)
    image, _ = scene(1)
    assert load_segmenter(taken.folder, device="cpu").predict(image).shape == image.shape[:2]
    json.dumps(taken.card.measured)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["folds=4"], "4 folds need as many labelled tiles to train on, and there are 3"),
        (["folds=2", "members=2"], "set one of the two to 1"),
    ],
)
def test_what_cannot_be_averaged_is_told_in_one_sentence(tmp_path, data, overrides, told):
    with pytest.raises(InputError, match=told):
        fit(request(data, tmp_path / "run", *overrides), SilentProgress())
    assert not (tmp_path / "run").exists()
