import numpy as np
import pytest
import torch

from core.classes import UNLABELLED
from core.errors import CancelledError, InputError
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.glnet_learner import stage_starts
from core.training.network_setup import make_learner, make_network, make_patches, make_sampler
from core.training.patch_batches import batches
from core.training.patches import WorkingTile
from core.training.recipe import PRESETS, load_recipe
from core.training.runs import read_head, read_metrics, read_run
from models.glnet import LOCAL, REFINED, WHOLE, GlnetNetwork
from tests.core.training.cancelling import CancelAt
from tests.core.training.scenes import scene, write_scenes

pytestmark = pytest.mark.usefixtures("narrow_glnet")

TINY = ["encoder=efficientnet-lite0", "weights=packaged", "patch=96", "batch_size=2", "steps=1", "epochs=3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"), size=128)


def request(data, out, *overrides, **options):
    recipe = load_recipe("glnet", [*TINY, *overrides])
    return FitRequest(data=data, out=out, recipe=recipe, device="cpu", cache=FeatureCache(out.parent / "c"), **options)


def learner(*overrides):
    recipe = load_recipe("glnet", [*TINY, "patch=64", *overrides])
    tiles = [WorkingTile(str(seed), *(part[:96, :96] for part in scene(seed, size=128))) for seed in range(2)]
    tiles[1].classes[:, 64:] = UNLABELLED
    network = make_network(recipe, tiles, seed=0)
    sampler = make_sampler(recipe, tiles, seed=0)
    device = torch.device("cpu")
    made = make_learner(network, recipe, shares=sampler.seen_shares(), device=device, tell=lambda _: None)
    maker = make_patches(recipe, tiles, network)
    (batch,) = batches(maker, sampler.epoch(2), size=2, device=device)
    return made, batch


def test_the_preset_has_the_published_epochs_rates_and_sizes():
    recipe = PRESETS["glnet"]
    assert stage_starts(recipe.epochs) == (0, 120, 170)
    assert (recipe.patch, recipe.batch_size, recipe.resolution_m) == (508, 6, 0.5)
    made, _ = learner("epochs=290", "learning_rate=5e-5")
    rates = []
    for epoch in (0, 120, 170):
        made.begin_epoch(epoch)
        rates.append(made.set_rate(1.0))
    assert rates == pytest.approx([5e-5, 2e-5, 5e-5])
    assert [made.span(epoch) for epoch in (0, 119, 120, 289)] == [(0, 120), (0, 120), (120, 170), (170, 290)]


def test_three_epochs_are_one_of_each_stage_and_fewer_are_refused():
    assert stage_starts(3) == (0, 1, 2)
    with pytest.raises(InputError, match="epochs is 2"):
        stage_starts(2)


@pytest.mark.parametrize("stage", [WHOLE, LOCAL, REFINED])
def test_each_stage_learns_its_branch_and_nothing_else(stage):
    made, batch = learner("learning_rate=0.001")
    before = {name: tensor.clone() for name, tensor in made.network.state_dict().items()}
    made.begin_epoch(stage - 1)
    entered = {name: tensor.clone() for name, tensor in made.network.state_dict().items()}
    made.set_rate(1.0)
    step = made.step(batch)
    assert np.isfinite(step.loss)
    assert len(step.patch_losses) == 2
    changed = {n.split(".")[0] for n, t in made.network.state_dict().items() if not torch.equal(t, entered[n])}
    assert changed == {WHOLE: {"whole"}, LOCAL: {"local", "ensemble"}, REFINED: {"refined", "ensemble"}}[stage]
    assert all(torch.equal(before[name], entered[name]) for name in before if not name.startswith(("refined", "stage")))


@pytest.mark.parametrize("stage", [LOCAL, REFINED])
def test_the_step_is_the_same_however_many_patches_go_through_at_once(stage):
    """Sums over patches at once make it hold where each patch has as many labelled pixels: losses are means."""
    after = []
    for at_once in (1, 2):
        made, batch = learner()
        batch.classes[batch.classes == UNLABELLED] = 0
        made.begin_epoch(stage - 1)
        made.network.eval()  # statistics of fewer patches differ
        made.micro_batch = at_once
        made.set_rate(0.0)
        made.step(batch)
        gradient = made.network.ensemble.weight.grad
        after.append(gradient / gradient.norm())
    torch.testing.assert_close(after[0], after[1], atol=1e-4, rtol=1e-3)


def test_a_fit_goes_through_the_three_stages_predicts_and_resumes_bit_for_bit(tmp_path, data):
    whole, one = tmp_path / "whole", ("train_tiles=1", "batch_size=1", "patch=128")
    fit(request(data, whole, *one), SilentProgress())
    assert [line["epoch"] for line in read_metrics(whole)] == [1, 2, 3]
    assert read_run(whole).card.head == "glnet"
    assert isinstance(read_head(whole), GlnetNetwork)
    image, _ = scene(5, size=128)
    probabilities = load_segmenter(whole, device="cpu").probabilities(image)
    assert probabilities.shape == (6, 128, 128)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-4)

    out = tmp_path / "cut"
    with pytest.raises(CancelledError):
        fit(request(data, out, *one), CancelAt("epoch 3 of"))
    fit(request(data, out, *one, resume=True), SilentProgress())
    assert (out / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train=decoder", "trained with train = whole"),
        ("swa_after=0.5", "trained with swa_after = 1"),
        ("epochs=2", "three stages"),
        ("surroundings=global", "no surroundings to choose"),
    ],
)
def test_what_glnet_cannot_be_asked_for_is_refused_in_one_sentence(tmp_path, data, override, told):
    with pytest.raises(InputError, match=told):
        fit(request(data, tmp_path / "run", override), SilentProgress())
    assert not (tmp_path / "run").exists()
