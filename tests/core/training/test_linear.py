from dataclasses import replace

import numpy as np
import pytest
import torch

from core.classes import CLASS_COUNT
from core.errors import CancelledError
from core.training.linear import TrainingCells, balanced_weights, fit_linear, join_cells, tile_shifts


def cells(counts=(40, 40, 40), channels=4, seed=0):
    """Cells of a few classes around class centres of their own."""
    generator = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(counts)), counts)
    centres = generator.normal(0, 3, (len(counts), channels)) + 50
    vectors = centres[classes] + generator.normal(0, 1, (len(classes), channels))
    return TrainingCells(
        torch.from_numpy(vectors.astype(np.float32)), torch.from_numpy(classes), torch.ones(len(classes))
    )


def fit(training, *, l2=0.01, balance=1.0, report=lambda *_: None, iterations=100):
    return fit_linear(training, windows=(1,), l2=l2, balance=balance, iterations=iterations, report=report)


def logits(head, vectors):
    return head(vectors.T[None, :, None, :])[0, :, 0].T.detach()


def test_classes_that_lie_apart_are_told_apart_on_raw_features():
    training, raw = cells(), cells().vectors
    assert (logits(fit(training), raw).argmax(dim=1) == training.classes).float().mean() > 0.95


def test_a_class_without_cells_is_never_predicted():
    head = fit(cells(counts=(40, 0, 40)))
    anywhere = torch.randn(500, 4) * 1000
    predicted = logits(head, anywhere).argmax(dim=1)
    assert set(predicted.unique().tolist()) <= {0, 2}


def test_the_optimum_satisfies_the_first_order_condition_of_the_stated_loss():
    """The gradient of the stated loss in the bias is the difference of mean probability and class weight: zero."""
    training, raw = cells(counts=(60, 20, 40)), cells(counts=(60, 20, 40)).vectors
    head = fit(training, l2=0.1, iterations=500)
    weight = 1 / torch.bincount(training.classes, minlength=3).float()[training.classes]
    mean = (logits(head, raw).softmax(dim=1) * weight[:, None]).sum(dim=0) / weight.sum()
    assert torch.allclose(mean[:3], torch.full((3,), 1 / 3), atol=0.01)


def test_balance_decides_whether_area_counts():
    overlapping = {"counts": (300, 30), "channels": 1, "seed": 2}

    def share_of_rare(balance):
        training, raw = cells(**overlapping), cells(**overlapping).vectors
        return (logits(fit(training, l2=10.0, balance=balance), raw).argmax(dim=1) == 1).float().mean()

    assert share_of_rare(1.0) > share_of_rare(0.0)


def test_stronger_l2_gives_smaller_weights():
    weak, strong = (fit(cells(), l2=l2).weight.square().sum() for l2 in (0.01, 10.0))
    assert strong < weak / 4


def test_the_loss_reported_falls_and_the_iterations_rise():
    seen = []
    fit(cells(), report=lambda done, loss, head: seen.append((done, loss)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][1] < seen[0][1]


def test_a_cancel_in_the_report_stops_with_a_usable_head_handed_over():
    kept = []

    def report(_done, _loss, head):
        kept.append(head)
        raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        fit(cells(), report=report)
    assert logits(kept[0], cells().vectors).shape == (120, CLASS_COUNT)


def test_two_fits_are_equal_bit_for_bit():
    first, again = fit(cells()), fit(cells())
    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.bias, again.bias)


def test_a_start_at_the_optimum_stays_there():
    once = fit(cells(), iterations=500)
    again = fit_linear(cells(), windows=(1,), l2=0.01, balance=1.0, iterations=1, report=lambda *_: None, start=once)
    raw = cells().vectors
    assert torch.allclose(logits(once, raw).softmax(dim=1), logits(again, raw).softmax(dim=1), atol=1e-3)


def test_a_few_iterations_from_the_head_before_lead_to_the_same_place():
    grown = cells(counts=(44, 40, 40))
    from_nothing = fit(cells(counts=(44, 40, 40)), l2=0.1, iterations=500)
    start = fit(cells(), l2=0.1)
    from_before = fit_linear(
        grown, windows=(1,), l2=0.1, balance=1.0, iterations=10, report=lambda *_: None, start=start
    )
    raw = cells(counts=(44, 40, 40)).vectors
    assert torch.allclose(logits(from_nothing, raw).softmax(dim=1), logits(from_before, raw).softmax(dim=1), atol=0.02)


def test_a_class_that_the_start_never_saw_is_learnt():
    start = fit(cells(counts=(40, 0, 40)))
    both = fit_linear(cells(), windows=(1,), l2=0.01, balance=1.0, iterations=30, report=lambda *_: None, start=start)
    assert (logits(both, cells().vectors).argmax(dim=1) == 1).sum() > 30


def tiled(counts=((60, 20), (20, 60)), seed=0, shift=4.0):
    """Two classes told apart by the first channel; by the second too, but there each tile is its own world.

    ``counts[tile][class]`` cells. Class 1 lies above class 0 in the first channel everywhere, and in the second it
    lies above by ``shift`` in the first tile and below by as much in the second.
    """
    generator = np.random.default_rng(seed)
    vectors, classes, tiles = [], [], []
    for tile, by_class in enumerate(counts):
        for index, count in enumerate(by_class):
            centre = [index * 2.0, index * shift * (1 if tile == 0 else -1)]
            vectors.append(generator.normal(centre, 1, (count, 2)))
            classes += [index] * count
            tiles += [tile] * count
    raw = torch.from_numpy(np.concatenate(vectors).astype(np.float32))
    return TrainingCells(raw, torch.tensor(classes), torch.ones(len(raw)), tiles=torch.tensor(tiles))


def fit_tiled(training, **options):
    options = {"l2": 0.01, "balance": 1.0, "iterations": 200, "report": lambda *_: None} | options
    return fit_linear(training, windows=(1,), **options)


def test_whole_tile_balance_weighs_a_class_alike_in_each_of_its_tiles():
    training = tiled(counts=((90, 10), (10, 30)))
    weights, _ = balanced_weights(training, balance=1.0, tile_balance=1.0)
    by_pair = [
        float(weights[(training.tiles == t) & (training.classes == c)].sum()) for t in range(2) for c in range(2)
    ]
    assert by_pair == pytest.approx([0.25] * 4)


def test_half_tile_balance_weighs_by_the_root_of_the_area_and_leaves_the_classes_their_share():
    training = tiled(counts=((90, 10), (10, 30)))
    weights, _ = balanced_weights(training, balance=0.0, tile_balance=0.5)
    first, second = (float(weights[(training.tiles == t) & (training.classes == 0)].sum()) for t in range(2))
    assert first / second == pytest.approx(3.0, rel=1e-4)
    assert first + second == pytest.approx(100 / 140, rel=1e-4)


def test_tile_shifts_are_the_between_tile_scatter_within_the_classes():
    training = tiled()
    weights, _ = balanced_weights(training, balance=1.0)
    expected = torch.zeros(2, 2)
    for index in range(2):
        mine = training.classes == index
        mean = weights[mine] @ training.vectors[mine] / weights[mine].sum()
        for tile in range(2):
            pair = mine & (training.tiles == tile)
            away = weights[pair] @ training.vectors[pair] / weights[pair].sum() - mean
            expected += weights[pair].sum() * torch.outer(away, away)
    shifts = tile_shifts(training, weights)
    assert torch.allclose(shifts.T @ shifts, expected, atol=1e-5)


def test_a_direction_that_changes_from_tile_to_tile_is_left_aside():
    """The first tile has most labels of class 1, so without the penalty its second channel looks telling."""

    def reliance(tile_variation):
        weight = fit_tiled(tiled(counts=((50, 90), (50, 10))), tile_variation=tile_variation).weight[0]
        one, two = (weight[1] - weight[0]).abs().tolist()
        return two / one

    assert reliance(100.0) < 0.2 * reliance(0.0)


def test_the_gradient_with_every_penalty_is_that_of_the_loss():
    """The optimum does not move when asked again from another start: the loss is convex and its gradient right."""
    prior = fit_tiled(tiled(seed=5))
    options = {"tile_variation": 3.0, "tile_balance": 0.5, "prior": prior, "l2": 0.3, "iterations": 500}
    near = fit_tiled(tiled(), **options)
    far = fit_tiled(tiled(), start=fit_tiled(tiled(seed=9, shift=-8.0)), **options)
    raw = tiled().vectors
    assert torch.allclose(logits(near, raw).softmax(dim=1), logits(far, raw).softmax(dim=1), atol=5e-3)


def test_a_strong_pull_to_the_prior_gives_the_prior_and_not_nought():
    prior = fit_tiled(tiled(seed=5))
    near_prior = fit_tiled(tiled(), prior=prior, l2=1000.0)
    near_nought = fit_tiled(tiled(), l2=1000.0)
    known = slice(0, 2)
    assert torch.allclose(near_prior.weight[:, known], prior.weight[:, known], atol=0.02)
    assert near_nought.weight.abs().max() < 0.02


def test_tiles_that_are_to_count_must_be_known():
    with pytest.raises(ValueError, match="which tile"):
        fit_linear(cells(), windows=(1,), l2=1, balance=1, iterations=5, report=lambda *_: None, tile_variation=1.0)


def test_joined_cells_keep_what_is_known_of_them():
    known, unknown = tiled(), cells(channels=2)
    known = replace(known, instances=torch.arange(len(known.classes)))
    joined = join_cells([known, unknown])
    assert joined.tiles is None
    assert joined.instances.tolist() == [*range(len(known.classes)), *[-1] * len(unknown.classes)]
    assert joined.machine_made is None
    marked = replace(known, machine_made=torch.ones(len(known.classes), dtype=torch.bool))
    twice = join_cells([known, marked])
    assert twice.machine_made.float().mean() == 0.5
    assert torch.equal(twice.tiles, torch.cat([known.tiles, known.tiles]))


def test_cells_that_are_taken_leave_the_others_as_they_were():
    training = tiled()
    before = training.vectors.clone()
    some = training.taken(training.classes == 1)
    some.vectors.zero_()
    assert torch.equal(training.vectors, before)
    assert some.instances is None
    assert len(some.tiles) == 80
