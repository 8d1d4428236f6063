from dataclasses import dataclass

import pytest
import torch

from core.classes import CLASS_NAMES
from core.errors import CancelledError
from core.training.linear import TrainingCells, fit_linear
from core.training.pseudo_labels import (
    Temperature,
    choose_pseudo_labels,
    fit_temperature,
    held_out_temperature,
    self_train,
)
from models.heads import ContextLinearHead, context_vectors

SIDE, CHANNELS = 24, 4
WINDOWS = (1, 3)


@dataclass(frozen=True)
class Scene:
    number: int
    classes: torch.Tensor
    maps: torch.Tensor
    truth: torch.Tensor

    def features(self):
        return self.maps


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scene(number, shares=(0.5, 0.5), shift=0.0, labelled=0, noise=1.0):
    """Bands of a few classes; the first ``labelled`` rows are a person's labels. A shift moves all features."""
    random = generator(number)
    edges = (torch.tensor(shares).cumsum(0) * SIDE).round().long()
    truth = torch.bucketize(torch.arange(SIDE), edges, right=True).clamp(max=len(shares) - 1)
    truth = truth.expand(SIDE, SIDE)
    centres = torch.randn(len(shares), CHANNELS, generator=generator(99)) * 2
    maps = centres[truth].permute(2, 0, 1) + noise * torch.randn(CHANNELS, SIDE, SIDE, generator=random) + shift
    classes = torch.full_like(truth, 255)
    classes[:labelled] = truth[:labelled]
    return Scene(number, classes, maps, truth)


def labelled_cells(*scenes):
    parts = []
    for one in scenes:
        cells = (one.classes.flatten() != 255).nonzero()[:, 0]
        parts.append((context_vectors(one.maps, cells, WINDOWS), one.classes.flatten()[cells], one.number))
    classes = torch.cat([c for _, c, _ in parts])
    tiles = torch.cat([torch.full_like(c, n) for _, c, n in parts])
    return TrainingCells(torch.cat([v for v, _, _ in parts]), classes, torch.ones(len(classes)), tiles=tiles)


def fit(cells, l2=0.1):
    return fit_linear(cells, windows=WINDOWS, l2=l2, balance=1.0, iterations=60, report=lambda *_: None)


def choose(head, tiles, own, confidence=0.9, **options):
    options = {"temperature": Temperature(1.0), "windows": WINDOWS, "generator": generator()} | options
    return choose_pseudo_labels(head, tiles, own=own, confidence=confidence, **options)


def train(own, tiles, rounds=2, report=lambda *_: None, confidence=0.8):
    return self_train(
        own,
        tiles,
        fit=fit,
        rounds=rounds,
        confidence=confidence,
        windows=WINDOWS,
        balance=1.0,
        generator=generator(),
        report=report,
    )


def test_only_sure_cells_that_nobody_labelled_are_taken():
    own, part = labelled_cells(scene(0, labelled=3), scene(1, labelled=3)), scene(2, labelled=5)
    head = fit(labelled_cells(scene(0, labelled=3), scene(1, labelled=3)))
    found = choose(head, [part], own, most_cells=10_000, most_per_rarest=10.0)
    probability = head(part.maps[None])[0].softmax(dim=0).flatten(1).max(dim=0).values
    sure = (probability >= 0.9) & (part.classes.flatten() == 255)
    assert len(found.cells.classes) == sure.sum() > 50
    expected = context_vectors(part.maps, sure.nonzero()[:, 0], WINDOWS)
    assert torch.allclose(found.cells.vectors, expected)
    assert (found.cells.classes == part.truth.flatten()[sure]).float().mean() > 0.95


def test_they_are_marked_as_machine_made_and_know_their_tile():
    own = labelled_cells(scene(0, labelled=3))
    found = choose(fit(labelled_cells(scene(0, labelled=3))), [scene(7), scene(8)], own).cells
    assert found.machine_made.all()
    assert set(found.tiles.tolist()) == {7, 8}
    assert (found.instances == -1).all()


def test_no_class_takes_more_than_so_many_times_the_rarest():
    own = labelled_cells(scene(0, shares=(0.4, 0.4, 0.2), labelled=4))
    head = fit(labelled_cells(scene(0, shares=(0.4, 0.4, 0.2), labelled=4)))
    found = choose(head, [scene(1, shares=(0.8, 0.1, 0.1))], own, most_per_rarest=2.0)
    counts = [found.counts[name] for name in CLASS_NAMES[:3]]
    assert 0 < max(counts) <= 2 * min(counts)
    assert torch.bincount(found.cells.classes).tolist() == counts


def test_a_limit_of_all_cells_is_kept():
    own = labelled_cells(scene(0, labelled=3))
    found = choose(fit(labelled_cells(scene(0, labelled=3))), [scene(1), scene(2)], own, most_cells=40)
    assert 0 < len(found.cells.classes) <= 40


def test_together_they_weigh_the_stated_share_of_what_people_labelled():
    own = labelled_cells(scene(0, shares=(0.25, 0.75), labelled=3))
    found = choose(fit(labelled_cells(scene(0, labelled=3))), [scene(1)], own, weight=0.5).cells
    mass = torch.zeros(2).index_add_(0, found.classes, found.weights)
    assert mass.tolist() == pytest.approx([0.5 * 18, 0.5 * 54], rel=1e-4)


def test_a_higher_temperature_leaves_fewer_cells_sure():
    own, head = labelled_cells(scene(0, labelled=3)), fit(labelled_cells(scene(0, labelled=3)))
    wide = {"most_per_rarest": 100.0, "most_cells": 10_000}
    cold, hot = (choose(head, [scene(1, noise=2.0)], own, temperature=Temperature(t), **wide).cells for t in (1.0, 2.0))
    assert 0 < len(hot.classes) < len(cold.classes)


def test_a_head_that_is_sure_of_nothing_gives_no_labels():
    own, blank = labelled_cells(scene(0, labelled=3)), ContextLinearHead(channels=CHANNELS, classes=6, windows=WINDOWS)
    found = choose(blank, [scene(1)], own)
    assert found.cells is None
    assert set(found.counts.values()) == {0}


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true_temperature):
    logits = torch.randn(20_000, 6, generator=generator()) * 3
    drawn = torch.multinomial((logits / true_temperature).softmax(dim=1), 1, generator=generator(1))[:, 0]
    found = fit_temperature(logits, drawn, torch.full((20_000,), 1 / 20_000))
    assert found == pytest.approx(true_temperature, rel=0.05)


def test_heads_that_learn_by_heart_are_cooled_down():
    """Tiles that lie apart: a head is sure on its own tiles, and less right than sure on the one left out."""
    cells = labelled_cells(*(scene(n, shift=shift, labelled=4) for n, shift in enumerate((-2.0, 0.0, 2.0))))
    found = held_out_temperature(cells, fit=lambda taken: fit(taken, l2=1e-4), balance=1.0)
    assert found.value > 1.3
    assert found.warning is None


def test_labels_in_one_tile_leave_confidence_as_it_is_and_say_so():
    found = held_out_temperature(labelled_cells(scene(0, labelled=4)), fit=fit, balance=1.0)
    assert found.value == 1.0
    assert "one tile" in found.warning


def test_classes_that_lie_in_one_tile_each_cannot_calibrate():
    cells = labelled_cells(scene(0, shares=(1.0,), labelled=4), scene(1, shares=(1.0,), labelled=4))
    cells.classes[cells.tiles == 1] = 1
    found = held_out_temperature(cells, fit=fit, balance=1.0)
    assert found.value == 1.0
    assert "two tiles" in found.warning


def test_self_training_follows_a_tile_that_looks_a_little_different():
    shifted = scene(5, shift=1.2)

    def right(head):
        return (head(shifted.maps[None])[0].argmax(dim=0) == shifted.truth).float().mean()

    own = labelled_cells(scene(0, labelled=2), scene(1, labelled=2))
    before, _ = train(own, [shifted], rounds=0)
    after, used = train(own, [shifted], rounds=3)
    assert right(after) > right(before) + 0.02
    assert used.counts["urban"] > 0


def test_self_training_leaves_the_labels_as_they_were_and_is_equal_bit_for_bit():
    own = labelled_cells(scene(0, labelled=3), scene(1, labelled=3))
    vectors = own.vectors.clone()
    first, again = (train(own, [scene(2), scene(3)])[0] for _ in range(2))
    assert torch.equal(own.vectors, vectors)
    assert torch.equal(first.weight, again.weight)


def test_a_cancel_after_a_round_leaves_its_head():
    kept = []

    def report(done, head, labels):
        kept.append((done, head, labels))
        raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        train(labelled_cells(scene(0, labelled=3), scene(1, labelled=3)), [scene(2)], report=report)
    assert kept[0][0] == 1
    assert kept[0][2].cells is not None
