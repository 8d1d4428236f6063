import numpy as np
import pytest
import torch

from core.classes import UNLABELLED
from core.errors import InputError
from core.training.network_learner import (
    LossNotFiniteError,
    NetworkLearner,
    class_weights,
    is_out_of_memory,
    presence_loss,
    uses_bfloat16,
)
from core.training.network_setup import make_network, make_patches, make_sampler, memory_bytes
from core.training.patch_batches import Batch
from core.training.patches import WorkingTile
from core.training.recipe import Recipe
from models.network_context import Context
from tests.core.training.scenes import scene

CPU = torch.device("cpu")
TILES = (WorkingTile("a", *scene(0, size=128)),)
SMALL = {"encoder": "efficientnet-lite0", "weights": "none", "decoder": "fpn", "patch": 64, "batch_size": 4}


def recipe(**values):
    return Recipe(**{**SMALL, "train": "decoder", "decoder_norm": "none", **values})


def learner(made_by, tell=print):
    sampler = make_sampler(made_by, TILES, seed=0)
    network = make_network(made_by, TILES, seed=0)
    made = NetworkLearner(network, made_by, shares=sampler.seen_shares(), device=CPU, tell=tell)
    made.begin_epoch(0)
    made.set_rate(1.0)
    return made, make_patches(made_by, TILES, network).batch(sampler.epoch(4))


class ShortOfMemory:
    """Stands in for ``send``: refuses more than ``most`` patches at once."""

    def __init__(self, made, most):
        self._send, self._most = made.send, most

    def __call__(self, batch, network=None):
        if len(batch) > self._most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory")
        return self._send(batch, network)


def test_steps_lower_the_loss_and_leave_a_frozen_encoder_alone():
    made, batch = learner(recipe())
    before = [p.detach().clone() for p in made.network.encoder_parameters()]
    losses = [made.step(batch).loss for _ in range(6)]
    assert losses[-1] < losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, made.network.encoder_parameters(), strict=True))


def test_finetune_unfreezes_the_encoder_in_time_and_at_its_own_rate():
    made, batch = learner(recipe(train="finetune", unfreeze_after=0.5, epochs=4, encoder_rate=0.1))
    first = next(iter(made.network.encoder_parameters()))
    changed = []
    for epoch in range(4):
        made.begin_epoch(epoch)
        made.set_rate(0.5)
        before = first.detach().clone()
        made.step(batch)
        changed.append(not torch.equal(before, first))
    assert changed == [False, False, True, True]
    decoder, encoder = made.optimiser.param_groups
    assert encoder["lr"] == pytest.approx(0.1 * decoder["lr"]) == pytest.approx(0.1 * 0.5 * 2e-3)


def test_out_of_memory_halves_what_goes_through_at_once_and_the_step_stays_the_same(monkeypatch):
    told = []
    without_dropout = recipe(decoder="unet")
    whole, batch = learner(without_dropout)
    halved, _ = learner(without_dropout, tell=told.append)
    batch.classes[0, :40] = UNLABELLED  # parts with more labels count for more
    monkeypatch.setattr(halved, "send", ShortOfMemory(halved, 1))
    assert halved.step(batch).loss == pytest.approx(whole.step(batch).loss, rel=1e-5)
    for a, b in zip(halved.network.other_parameters(), whole.network.other_parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-5)
    assert halved.micro_batch == 1
    assert told == [
        f"Out of memory: {n} of the 4 patches of a step now go through the network at once, and their gradients are "
        "added up"
        for n in (2, 1)
    ]


def test_the_step_stays_the_same_where_the_loss_is_taken_at_a_quarter_of_the_size():
    """Of the patches' labels one keeps all at that size, and one none: they weigh what is left of them."""
    after = []
    for at_once in (4, 1):
        made, batch = learner(recipe(decoder="glnet-fpn", decoder_norm="none"))
        rows = torch.arange(64) % 4
        batch.classes[0, rows != 2] = UNLABELLED  # the middle of four, rounded up, is the third
        batch.classes[1, rows == 2] = UNLABELLED
        made.network.train()
        made.micro_batch = at_once
        loss = made.step(batch).loss
        after.append((loss, [p.grad for p in made.network.other_parameters()]))
    (one, whole), (other, parts) = after
    assert other == pytest.approx(one, rel=1e-5)
    for a, b in zip(parts, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_what_does_not_fit_at_all_is_said_in_a_sentence(monkeypatch):
    made, batch = learner(recipe())
    monkeypatch.setattr(made, "send", ShortOfMemory(made, 0))
    with pytest.raises(InputError, match="Not even one patch of 64 pixels fits into memory; make patch smaller"):
        made.step(batch)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("x"))
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_loss_that_is_no_number_is_raised_before_the_weights_are_touched():
    made, batch = learner(recipe())
    with torch.no_grad():
        for parameter in made.network.other_parameters():
            parameter.fill_(float("inf"))
    before = [p.detach().clone() for p in made.network.other_parameters()]
    with pytest.raises(LossNotFiniteError) as raised:
        made.step(batch)
    assert raised.value.batch is batch
    for a, b in zip(before, made.network.other_parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_batch_without_labels_costs_nothing_and_breaks_nothing():
    made, batch = learner(recipe())
    empty = Batch(batch.images, torch.full_like(batch.classes, UNLABELLED), None)
    step = made.step(empty)
    assert (step.loss, step.patch_losses) == (0.0, [0.0] * 4)
    assert all(torch.isfinite(p).all() for p in made.network.parameters())


def test_the_loss_of_each_patch_is_told():
    made, batch = learner(recipe())
    batch.classes[1] = UNLABELLED
    losses = made.step(batch).patch_losses
    assert len(losses) == 4
    assert losses[1] == 0
    assert min(losses[0], *losses[2:]) > 0


def test_lovasz_takes_over_in_time():
    made, batch = learner(recipe(lovasz_after=0.5, epochs=2, learning_rate=1e-6))
    first = made.step(batch).loss
    made.begin_epoch(1)
    assert made.step(batch).loss < min(first, 1.0)  # 1 - IoU is at most 1; cross-entropy begins near log 6


@pytest.mark.parametrize(
    "values", [{"deep_supervision": 0.4}, {"presence": 0.3}, {"surroundings": "global"}, {"surroundings": "two-scales"}]
)
def test_every_extra_of_the_network_gets_gradients(values):
    made, batch = learner(recipe(**values))
    step = made.step(batch)
    assert np.isfinite(step.loss)
    without = [n for n, p in made.network.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


def test_class_weights_even_out_what_is_seen():
    shares = np.array([0.5, 0.4, 0.1, 0, 0, 0])
    assert class_weights(shares, 0.0).tolist() == [1, 1, 1, 0, 0, 0]
    even = class_weights(shares, 1.0)
    assert (even * shares)[:3] == pytest.approx([1 / 3] * 3)
    assert (even[3:] == 0).all()
    rare = class_weights(np.array([0.9999, 0.0001, 0, 0, 0, 0]), 1.0)
    assert rare[1] / rare[0] == pytest.approx(30, rel=1e-3)


def test_absence_counts_only_as_far_as_a_patch_is_labelled():
    classes = torch.full((2, 4, 4), UNLABELLED)
    assert presence_loss(torch.zeros(2, 6), classes) == 0
    classes[0] = 2  # wholly labelled: all other classes are surely absent
    sure = presence_loss(torch.tensor([[-9.0, -9, 9, -9, -9, -9]] * 2), classes)
    wrong = presence_loss(torch.tensor([[9.0, -9, 9, -9, -9, -9]] * 2), classes)
    assert sure < 0.01 < wrong
    classes[0, 1:] = UNLABELLED
    assert presence_loss(torch.tensor([[9.0, -9, 9, -9, -9, -9]] * 2), classes) < wrong


def test_bfloat16_is_taken_where_it_is_asked_for_on_a_cpu():
    assert not uses_bfloat16("auto", CPU)
    assert not uses_bfloat16("float32", CPU)
    assert uses_bfloat16("bfloat16", CPU)
    made, batch = learner(recipe(precision="bfloat16"))
    assert np.isfinite(made.step(batch).loss)


def test_a_patch_that_the_network_cannot_take_is_refused():
    with pytest.raises(InputError, match="multiple of 32 and at least"):
        make_network(recipe(decoder="pan", patch=64), TILES, seed=0)


def test_the_memory_of_the_process_is_known():
    assert memory_bytes(CPU) > 1e7


def test_a_part_of_a_batch_keeps_its_places():
    batch = Batch(
        torch.zeros(3, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        Context(torch.arange(12.0).view(3, 4), torch.arange(9.0).view(3, 3), torch.ones(3, 3), None),
    )
    part = batch.part(1, 3)
    assert len(part) == 2
    assert part.context.boxes[:, 0].tolist() == [4, 8]
    assert part.context.mean[:, 0].tolist() == [3, 6]


def test_where_torch_cannot_compile_it_says_so_once_and_goes_on():
    from torch._dynamo.exc import TorchDynamoException

    said = []
    made, batch = learner(recipe(compile=True), tell=said.append)

    def cannot(*_arguments, **_options):
        raise TorchDynamoException("no C++ compiler was found\nand more")

    made.network._compiled_call_impl = cannot
    made.step(batch)
    made.step(batch)
    assert said == ["torch cannot compile this network here (no C++ compiler was found); it runs as it is"]
