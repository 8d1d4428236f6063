import numpy as np
import pytest
import torch

from core.classes import CLASS_COUNT
from core.errors import CancelledError
from core.training.linear import TrainingCells, fit_linear


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
