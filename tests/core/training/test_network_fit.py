import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open

from core.cli import main
from core.errors import CancelledError, InputError
from core.inference.predict import load_segmenter
from core.progress import CancelFlag, SilentProgress
from core.training import network_course
from core.training.checkpoints import CHECKPOINT, SUMMARY
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.network_course import suspects
from core.training.network_learner import NetworkLearner
from core.training.recipe import load_recipe
from core.training.runs import list_runs, read_head, read_metrics, read_run
from tests.core.training.scenes import scene, write_pair, write_scenes

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = ["encoder=efficientnet-lite0", "patch=64", "batch_size=2", "steps=2", "epochs=3"]
JUDGED = "validation_tiles=3"
EVERYTHING = [
    "train=finetune",
    "unfreeze_after=0.6",
    "hard_patches=0.5",
    "lovasz_after=0.6",
    "swa_after=0.3",
    "augmentation=heavy",
    "deep_supervision=0.3",
    "presence=0.3",
    "standardise=tile",
    "decoder=unet",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The run of the tiny recipe as it is when nothing comes between."""
    out = tmp_path_factory.mktemp("whole") / "run"
    fit(request(data, out), SilentProgress())
    return out


def request(data, out, *overrides, **options):
    recipe = load_recipe("decoder", [*TINY, *overrides])
    cache = FeatureCache(out.parent / "cache")
    return FitRequest(data=data, out=out, recipe=recipe, device="cpu", cache=cache, **options)


class Watch(SilentProgress):
    """Keeps what was said; cancels at the ``steps``-th progress message of training."""

    def __init__(self, steps=10**9):
        self._flag = CancelFlag()
        super().__init__(self._flag)
        self._left, self.said, self.lines = steps, [], []

    def update(self, done, total, message):
        self.said.append(message)
        self._left -= message.startswith("Training")
        self._flag.raised = self._left <= 0
        super().update(done, total, message)

    def metrics(self, values):
        self.lines.append(values)
        super().metrics(values)


def weights(run):
    return (run / "weights.safetensors").read_bytes()


def test_a_fit_leaves_a_whole_run_that_predicts(tmp_path, data):
    watch = Watch()
    out = tmp_path / "runs" / "net"
    result = fit(request(data, out, JUDGED, "epochs=6", "steps=4"), watch)
    json.dumps(result)
    assert sorted(f.name for f in out.iterdir()) == ["card.json", "metrics.jsonl", "recipe.toml", "weights.safetensors"]
    (run,) = list_runs(tmp_path / "runs")
    card = run.card
    assert (card.state, card.head, card.warnings) == ("finished", "network", [])
    assert card.measured["frozen_parameters"] + card.head_parameters == sum(
        p.numel() for p in read_head(out).parameters()
    )
    assert card.measured["images_per_second"] > 0
    assert card.measured["memory_bytes"] > 1e7
    lines = read_metrics(out)
    assert lines == watch.lines
    assert [line["epoch"] for line in lines] == list(range(1, 7))
    assert {"loss", "validation_miou", "seconds", "learning_rate", "images_per_second", "memory_bytes"} < set(lines[0])
    assert lines[0]["iou"]["barren"] is None
    assert max(line["learning_rate"] for line in lines) <= 2e-3
    # The best epoch is what was kept, and predicting with it gives the scores on the card.
    assert card.validation["miou"] == pytest.approx(max(line["validation_miou"] for line in lines), abs=1e-4)
    assert lines[card.measured["best_epoch"] - 1]["validation_miou"] == pytest.approx(card.validation["miou"], abs=1e-4)
    image, truth = scene(2)
    predicted = load_segmenter(out, device="cpu").predict(image)
    assert (predicted == truth).mean() == pytest.approx(card.validation["accuracy"], abs=0.01)  # JPEG apart
    assert card.validation["accuracy"] > 0.6  # four classes: chance is 0.25


def test_two_cpu_fits_are_equal_bit_for_bit(tmp_path, data, whole):
    fit(request(data, tmp_path / "again"), SilentProgress())
    assert weights(tmp_path / "again") == weights(whole)
    fit(request(data, tmp_path / "other", "epochs=1", seed=4), SilentProgress())
    fit(request(data, tmp_path / "first", "epochs=1"), SilentProgress())
    assert weights(tmp_path / "other") != weights(tmp_path / "first")


def assert_resumed_as_uninterrupted(run, uninterrupted):
    assert weights(run) == weights(uninterrupted)
    assert not (run / CHECKPOINT).exists()
    kept = ("epoch", "loss", "validation_miou", "learning_rate")
    curves = [[[line[key] for key in kept] for line in read_metrics(folder)] for folder in (run, uninterrupted)]
    assert curves[0] == curves[1]
    cards = [read_run(folder).card for folder in (run, uninterrupted)]
    assert cards[0].validation == cards[1].validation
    assert cards[0].measured["best_epoch"] == cards[1].measured["best_epoch"]
    assert cards[0].measured["tile_losses"] == cards[1].measured["tile_losses"]


def test_a_cancelled_fit_that_is_resumed_equals_an_uninterrupted_one(tmp_path, data, whole):
    out = tmp_path / "parts"
    for step in (3, 3):  # in the middle of the second epoch, and of the third
        with pytest.raises(CancelledError):
            fit(request(data, out, resume=out.exists()), Watch(step))
        assert read_run(out).card.state == "cancelled"
        assert (out / CHECKPOINT).exists()
    fit(request(data, out, resume=True), SilentProgress())
    assert_resumed_as_uninterrupted(out, whole)


def test_a_resume_is_as_exact_with_everything_that_goes_by_epoch(tmp_path, data):
    """Hard patches and even averaging begin with the second epoch, another loss and unfreezing with the third."""
    overrides = [JUDGED, *EVERYTHING]
    fit(request(data, tmp_path / "whole", *overrides), SilentProgress())
    out = tmp_path / "parts"
    for step in (3, 4):  # in the second epoch, and at the end of the third, before its average is judged
        with pytest.raises(CancelledError):
            fit(request(data, out, *overrides, resume=out.exists()), Watch(step))
    fit(request(data, out, *overrides, resume=True), SilentProgress())
    assert_resumed_as_uninterrupted(out, tmp_path / "whole")


def test_a_fit_that_is_killed_after_every_epoch_goes_on_to_the_same_end(tmp_path, data, whole, monkeypatch):
    write = network_course.write_checkpoint

    class Killed(BaseException):
        pass

    def write_and_die(folder, checkpoint, summary):
        write(folder, checkpoint, summary)
        raise Killed

    monkeypatch.setattr(network_course, "write_checkpoint", write_and_die)
    out = tmp_path / "killed"
    for epoch in (1, 2, 3):
        with pytest.raises(Killed):
            fit(request(data, out, resume=out.exists()), SilentProgress())
        assert json.loads((out / SUMMARY).read_text())["epoch"] == epoch
        torch.rand(100)  # in a new process random numbers stand elsewhere
        np.random.rand(100)
    fit(request(data, out, resume=True), SilentProgress())
    assert_resumed_as_uninterrupted(out, whole)


def test_a_cancel_keeps_the_best_so_far_and_before_that_nothing(tmp_path, data):
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "early"), Watch(1))
    assert not list_runs(tmp_path)
    with pytest.raises(CancelledError):
        fit(request(data, tmp_path / "later", JUDGED), Watch(3))
    (run,) = list_runs(tmp_path)
    assert run.card.state == "cancelled"
    assert run.card.validation["tiles"] == ["3"]
    assert load_segmenter(tmp_path / "later", device="cpu").predict(scene(2)[0]).shape == (256, 256)


def test_a_resume_of_another_fit_is_refused_and_leaves_the_run_alone(tmp_path, data):
    out = tmp_path / "run"
    with pytest.raises(CancelledError):
        fit(request(data, out), Watch(3))
    before = {f.name: f.read_bytes() for f in out.iterdir()}
    with pytest.raises(InputError, match="epochs = 3, not 5"):
        fit(request(data, out, "epochs=5", resume=True), SilentProgress())
    with pytest.raises(InputError, match="seed 0, not 1"):
        fit(request(data, out, seed=1, resume=True), SilentProgress())
    other = shutil.copytree(data, tmp_path / "data")
    write_pair(other, "1", *scene(9))
    with pytest.raises(InputError, match="made with other images of tile 1"):
        fit(request(other, out, resume=True), SilentProgress())
    assert {f.name: f.read_bytes() for f in out.iterdir()} == before


def test_a_finished_run_has_nothing_to_resume(tmp_path, data):
    fit(request(data, tmp_path / "run", "epochs=1"), SilentProgress())
    with pytest.raises(InputError, match="is finished; there is nothing to resume"):
        fit(request(data, tmp_path / "run", "epochs=1", resume=True), SilentProgress())


def test_without_a_checkpoint_a_resume_begins_anew_and_says_so(tmp_path, data):
    watch = Watch()
    fit(request(data, tmp_path / "run", "epochs=1", resume=True), watch)
    assert any("no checkpoint" in message for message in watch.said)


def test_a_fit_that_begins_anew_does_not_keep_an_old_checkpoint(tmp_path, data):
    out = tmp_path / "run"
    with pytest.raises(CancelledError):
        fit(request(data, out), Watch(3))
    with pytest.raises(CancelledError):
        fit(request(data, out), Watch(1))
    assert not (out / CHECKPOINT).exists()


def poison_from(step):
    """``NetworkLearner.send`` whose logits are no numbers from its n-th call on."""
    send, calls = NetworkLearner.send, []

    def poisoned(self, batch, network=None):
        calls.append(1)
        output = send(self, batch, network)
        return output._replace(logits=output.logits * float("nan")) if len(calls) >= step else output

    return poisoned


def test_a_loss_that_is_no_number_stops_the_fit_with_its_batch_and_the_best_kept(tmp_path, data, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr(NetworkLearner, "send", poison_from(4))
    with pytest.raises(InputError, match=r"no number in epoch 2.*smaller learning_rate.*The best so far is kept"):
        fit(request(data, out), SilentProgress())
    with safe_open(out / network_course.NAN_BATCH, framework="pt") as file:
        assert file.get_tensor("images").shape == (2, 3, 64, 64)
        assert file.get_tensor("classes").shape == (2, 64, 64)
        assert json.loads(file.metadata()["tilewright"]) == {"epoch": 2, "step": 3}
    card = read_run(out).card
    assert card.state == "cancelled"
    assert "no number in epoch 2" in card.warnings[0]
    assert card.measured["best_epoch"] == 1


def test_a_loss_that_is_no_number_at_once_leaves_no_run(tmp_path, data, monkeypatch):
    monkeypatch.setattr(NetworkLearner, "send", poison_from(1))
    with pytest.raises(InputError, match="no number in epoch 1"):
        fit(request(data, tmp_path / "run"), SilentProgress())
    assert not list_runs(tmp_path)


def test_out_of_memory_is_answered_told_and_put_on_the_card(tmp_path, data, monkeypatch):
    send = NetworkLearner.send

    def short(self, batch, network=None):
        if len(batch) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return send(self, batch, network)

    monkeypatch.setattr(NetworkLearner, "send", short)
    watch = Watch()
    result = fit(request(data, tmp_path / "run", "epochs=1"), watch)
    said = "Out of memory: 1 of the 2 patches of a step now go through the network at once"
    assert sum(said in message for message in watch.said) == 1
    assert said in result["warnings"][0]
    assert read_run(tmp_path / "run").card.measured["patches_at_once"] == 1


def test_a_full_disk_stops_the_fit_with_a_sentence_and_the_last_checkpoint(tmp_path, data, whole, monkeypatch):
    out = tmp_path / "run"
    write = network_course.write_checkpoint

    def full(folder, checkpoint, summary):
        if checkpoint.state["epoch"] == 2:
            monkeypatch.setattr("core.atomic.os.fsync", no_room)
        write(folder, checkpoint, summary)

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(network_course, "write_checkpoint", full)
    with pytest.raises(InputError, match="No space left on device"):
        fit(request(data, out), SilentProgress())
    assert sorted(f.name for f in out.iterdir()) == [SUMMARY, CHECKPOINT, "metrics.jsonl", "recipe.toml"]
    monkeypatch.undo()
    fit(request(data, out, resume=True), SilentProgress())
    assert weights(out) == weights(whole)


def test_unlabelled_pixels_never_train(tmp_path):
    """What lies under 255 must not matter: other masks beside the images change nothing where labels are given."""
    found = []
    for name, hidden in (("a", 2), ("b", 5)):
        folder, labels = tmp_path / name / "data", tmp_path / name / "labels"
        for index in range(2):
            image, raster = scene(index)
            write_pair(folder, str(index), image, np.full_like(raster, hidden))
            sparse = raster.copy()
            sparse[:, 90:] = 255
            write_pair(labels, str(index), image, sparse)
        fit(request(folder, tmp_path / name / "run", "epochs=1", labels=labels), SilentProgress())
        found.append(weights(tmp_path / name / "run"))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "overrides",
    [
        ["averaging=0", "schedule=constant", "optimiser=sgd", "learning_rate=0.01"],
        ["standardise=training", "schedule=poly", "optimiser=adam", "sampler=area", "one_class_patches=false"],
        ["standardise=tile", "schedule=cosine", "extra_channels=position", "steps=0", "patch=128"],
        ["surroundings=two-scales", "augmentation=heavy", "precision=bfloat16"],
    ],
)
def test_other_settings_train_to_a_run_that_predicts(tmp_path, data, overrides):
    out = tmp_path / "run"
    fit(request(data, out, "epochs=1", *overrides), SilentProgress())
    assert read_metrics(out)[-1]["validation_miou"] is None
    assert load_segmenter(out, device="cpu").predict(scene(2)[0]).shape == (256, 256)


def test_tiles_whose_labels_do_not_fit_are_told(tmp_path, data):
    assert suspects({"a": 0.5, "b": 0.55, "c": 0.6, "d": 0.52, "e": 2.0, "f": 3.0, "g": 0.5}) == ["f", "e"]
    assert suspects({"a": 0.5, "b": 0.5, "c": 0.5, "d": 9.0}) == []
    assert suspects(dict.fromkeys("abcdef", 0.5)) == []


def test_the_command_line_resumes(tmp_path, data, capsys):
    out = tmp_path / "run"
    recipe = [*TINY, "epochs=2"]
    with pytest.raises(CancelledError):
        fit(request(data, out, "epochs=2"), Watch(3))
    settings = [part for override in recipe for part in ("--set", override)]
    command = ["fit", "--data", str(data), "--out", str(out), "--recipe", "decoder", *settings, "--device", "cpu"]
    assert main([*command, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == str(out)
    assert [line["epoch"] for line in read_metrics(out)] == [1, 2]
    assert main([*command, "--resume"]) == 2
    assert "nothing to resume" in capsys.readouterr().err
