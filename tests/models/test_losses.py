"""Losses against references that are written out pixel by pixel."""

import math

import pytest
import torch

from models.errors import ModelError
from models.losses import LOSSES, hardest, make_loss

UNLABELLED = 255
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0, 1.5])


@pytest.fixture
def batch():
    """Logits of two small images, and a target in which class 5 does not occur and a third is unlabelled."""
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 6, 4, 5, generator=generator) * 2
    target = torch.randint(0, 5, (2, 4, 5), generator=generator)
    target[torch.rand(2, 4, 5, generator=generator) < 0.33] = UNLABELLED
    return logits, target


def pixels(logits, target):
    """For each labelled pixel: its probabilities as a list, and its class."""
    for image, classes in zip(logits, target, strict=True):
        for row in range(classes.shape[0]):
            for column in range(classes.shape[1]):
                if classes[row, column] != UNLABELLED:
                    exponentials = [math.exp(v) for v in image[:, row, column].tolist()]
                    yield [e / sum(exponentials) for e in exponentials], int(classes[row, column])


def focal_by_hand(logits, target, weights, *, gamma, smoothing=0.0):
    total = divisor = 0.0
    for chances, true in pixels(logits, target):
        cross_entropy = sum(
            -weights[c] * math.log(p) * ((1 - smoothing) * (c == true) + smoothing / 6) for c, p in enumerate(chances)
        )
        total += (1 - chances[true]) ** gamma * cross_entropy
        divisor += weights[true]
    return total / divisor


def tversky_by_hand(logits, target, weights, *, alpha):
    found = list(pixels(logits, target))
    total = divisor = 0.0
    for c in {true for _, true in found}:
        hit = sum(p[c] for p, true in found if true == c)
        false = sum(p[c] for p, true in found if true != c)
        missed = sum(1 - p[c] for p, true in found if true == c)
        total += weights[c] * (1 - hit / (hit + alpha * false + (1 - alpha) * missed))
        divisor += weights[c]
    return total / divisor


def lovasz_by_hand(logits, target, weights):
    """The sum over the sorted errors of what one more wrong pixel takes from the IoU, from sets rather than sums."""
    found = list(pixels(logits, target))
    total = divisor = 0.0
    for c in {true for _, true in found}:
        truth = {i for i, (_, true) in enumerate(found) if true == c}
        errors = [1 - p[c] if true == c else p[c] for p, true in found]
        order = sorted(range(len(found)), key=lambda i: -errors[i])
        loss, before = 0.0, 0.0
        for k, i in enumerate(order, start=1):
            wrong = set(order[:k])
            now = 1 - len(truth - wrong) / len(truth | wrong)
            loss += errors[i] * (now - before)
            before = now
        total += weights[c] * loss
        divisor += weights[c]
    return total / divisor


BY_HAND = {
    "cross-entropy": lambda *a: focal_by_hand(*a, gamma=0, smoothing=0.1),
    "focal": lambda *a: focal_by_hand(*a, gamma=3, smoothing=0.1),
    "dice": lambda *a: tversky_by_hand(*a, alpha=0.5),
    "tversky": lambda *a: tversky_by_hand(*a, alpha=0.3),
    "lovasz": lovasz_by_hand,
    "cross-entropy+dice": lambda *a: focal_by_hand(*a, gamma=0, smoothing=0.1) + tversky_by_hand(*a, alpha=0.5),
}


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_what_its_definition_says(batch, name, weights):
    loss = make_loss(name, label_smoothing=0.1, focal_gamma=3, tversky_alpha=0.3)(*batch, weights)
    expected = BY_HAND[name](*batch, [1.0] * 6 if weights is None else weights.tolist())
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("hard_pixels", [1.0, 0.25])
@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_labels_gives_nought_and_no_gradient(name, hard_pixels):
    logits = torch.randn(2, 6, 4, 4, requires_grad=True)
    loss = make_loss(name, hard_pixels=hard_pixels)(logits, torch.full((2, 4, 4), UNLABELLED), WEIGHTS)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", LOSSES)
def test_unlabelled_pixels_get_no_gradient_and_labelled_ones_do(batch, name):
    logits, target = batch[0].requires_grad_(), batch[1]
    make_loss(name)(logits, target, None).backward()
    moved = logits.grad.abs().amax(dim=1) > 0
    assert not moved[target == UNLABELLED].any()
    assert moved[target != UNLABELLED].any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_class_of_weight_nought_alone_is_as_good_as_no_label(name):
    logits = torch.randn(1, 6, 4, 4, requires_grad=True)
    weights = torch.tensor([0.0, 1, 1, 1, 1, 1])
    loss = make_loss(name)(logits, torch.zeros(1, 4, 4, dtype=torch.int64), weights)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_certain_and_right_costs_nothing_and_has_finite_gradients(name):
    target = torch.arange(6).view(1, 2, 3)
    logits = torch.nn.functional.one_hot(target, 6).movedim(-1, 1).float() * 200
    logits.requires_grad_()
    loss = make_loss(name, focal_gamma=0.5)(logits, target, None)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert torch.isfinite(logits.grad).all()


def test_the_hardest_pixels_are_those_of_highest_cross_entropy(batch):
    logits, target = batch
    losses = sorted((-math.log(p[true]) for p, true in pixels(logits, target)), reverse=True)
    kept = hardest(logits, target, 0.25)
    count = round(0.25 * len(losses))
    assert sorted((-math.log(p[true]) for p, true in pixels(logits, kept)), reverse=True) == losses[:count]
    assert (kept[kept != UNLABELLED] == target[kept != UNLABELLED]).all()
    loss = make_loss("cross-entropy", hard_pixels=0.25)(logits, target, None)
    assert loss.item() == pytest.approx(sum(losses[:count]) / count, rel=1e-5)


def test_half_precision_logits_give_a_full_precision_loss(batch):
    logits, target = batch
    for name in LOSSES:
        assert make_loss(name)(logits.bfloat16(), target, None).dtype == torch.float32


def test_an_unknown_loss_is_answered_with_the_known_ones():
    with pytest.raises(ModelError, match="'hinge'; choose one of cross-entropy, focal"):
        make_loss("hinge")
