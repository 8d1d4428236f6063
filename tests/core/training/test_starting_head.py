import pytest
import torch

from core.errors import CancelledError, InputError
from core.training.linear import NEVER, TrainingCells, fit_linear
from core.training.starting_head import meta_train

CHANNELS = 30


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def task(region, per_class=40, classes=(0, 1, 2), seed=0):
    """Cells of a region: all regions share the directions of the classes; light and noise are each region's own."""
    shared = torch.randn(6, CHANNELS, generator=generator(99)) * torch.linspace(1, 0, CHANNELS).square()
    light = torch.randn(CHANNELS, generator=generator(region)) * 0.5
    labels = torch.tensor(classes).repeat_interleave(per_class)
    noise = torch.randn(len(labels), CHANNELS, generator=generator(1000 * (region + 1) + seed)) * 2
    return TrainingCells((shared[labels] * 2 + light + noise) * 3 + 10, labels, torch.ones(len(labels)))


def start(regions=6, rounds=60, report=lambda *_: None, seed=0, **options):
    tasks = [task(region, **options) for region in range(regions)]
    return meta_train(tasks, windows=(1,), rounds=rounds, generator=generator(seed), report=report)


def fit(cells, l2=0.3, **options):
    return fit_linear(cells, windows=(1,), l2=l2, balance=1.0, iterations=100, report=lambda *_: None, **options)


def right(head, cells):
    logits = head(cells.vectors.T[None, :, None, :])[0, :, 0].T
    return float((logits.argmax(dim=1) == cells.classes).float().mean())


@pytest.mark.parametrize("l2", [0.01, 0.3, 1.0])
def test_with_a_handful_of_labels_in_a_new_region_the_start_beats_none(l2):
    prior, with_start, without = start(), [], []
    for region in range(20, 26):
        unseen = task(region, per_class=200, seed=1)
        with_start.append(right(fit(task(region, per_class=3), l2=l2, prior=prior), unseen))
        without.append(right(fit(task(region, per_class=3), l2=l2), unseen))
    assert sum(with_start) / 6 > sum(without) / 6 + 0.05


def test_the_start_alone_knows_the_classes_of_a_region_it_never_saw():
    assert right(start(), task(30, per_class=200, seed=1)) > 0.6


def test_the_loss_after_a_few_steps_falls_over_the_rounds():
    seen = []
    start(report=lambda done, loss, head: seen.append((done, loss)))
    assert [done for done, _ in seen] == [10, 20, 30, 40, 50, 60]
    assert seen[-1][1] < seen[0][1]


def test_a_class_that_no_task_has_is_never_predicted_and_one_that_some_lack_is_learnt():
    tasks = [task(0), task(1, classes=(0, 1)), task(2, classes=(1, 2))]
    head = meta_train(tasks, windows=(1,), rounds=60, generator=generator(), report=lambda *_: None)
    assert (head.bias[3:] < NEVER / 2).all()
    assert right(head, task(30, per_class=200, seed=1)) > 0.55


def test_huge_features_do_not_make_it_diverge():
    tasks = [task(region) for region in range(3)]
    for one in tasks:
        one.vectors.mul_(1e4)
    head = meta_train(tasks, windows=(1,), rounds=20, generator=generator(), report=lambda *_: None)
    assert head.weight.isfinite().all()


def test_two_trainings_are_equal_bit_for_bit():
    assert torch.equal(start(rounds=10).weight, start(rounds=10).weight)
    assert not torch.equal(start(rounds=10).weight, start(rounds=10, seed=1).weight)


def test_too_few_tasks_are_refused_with_what_to_do():
    with pytest.raises(InputError, match="label more tiles"):
        meta_train(
            [task(0), task(1, classes=(2,))], windows=(1,), rounds=5, generator=generator(), report=lambda *_: None
        )


def test_a_cancel_leaves_the_head_so_far():
    kept = []

    def report(_done, _loss, head):
        kept.append(head)
        raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        start(report=report)
    assert right(kept[0], task(30, per_class=200, seed=1)) > 0.5
