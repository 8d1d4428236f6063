import numpy as np
import pytest
import torch

from core.training.linear import TrainingCells
from core.training.prototype import fit_prototype, shrunk_covariance


def cells(counts=(60, 60, 60), channels=4, seed=0, spread=1.0, copies=1):
    """Cells of a few classes that share one stretched covariance; each label is an instance of ``copies`` cells."""
    generator = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(counts)), counts)
    centres = np.random.default_rng(99).normal(0, 2, (len(counts), channels)) + 30
    stretched = generator.normal(0, spread, (len(classes), channels)) * np.linspace(0.3, 3, channels)
    vectors = np.repeat(centres[classes] + stretched, copies, axis=0)
    return TrainingCells(
        torch.from_numpy(vectors.astype(np.float32)),
        torch.from_numpy(np.repeat(classes, copies)),
        torch.ones(len(vectors)),
        tiles=torch.zeros(len(vectors), dtype=torch.int64),
        instances=torch.arange(len(vectors)) // copies,
    )


def logits(head, vectors):
    return head(vectors.T[None, :, None, :])[0, :, 0].T.detach()


def test_classes_of_one_covariance_are_told_apart_on_raw_features():
    head = fit_prototype(cells(), windows=(1,), balance=1.0)
    unseen = cells(seed=1)
    assert (logits(head, unseen.vectors).argmax(dim=1) == unseen.classes).float().mean() > 0.8


def test_the_logits_are_those_of_gaussian_classes():
    """With plenty of cells hardly anything is shrunk, and the differences of logits are log-likelihood ratios."""
    raw = cells(counts=(3000, 3000)).vectors.double()
    head = fit_prototype(cells(counts=(3000, 3000)), windows=(1,), balance=1.0)
    means = torch.stack([raw[:3000].mean(dim=0), raw[3000:].mean(dim=0)])
    centred = raw - means.repeat_interleave(3000, dim=0)
    inverse = torch.linalg.inv(centred.T @ centred / len(raw))
    away = raw[:, None] - means
    squared = torch.einsum("nci,ij,ncj->nc", away, inverse, away)
    expected = (squared[:, 0] - squared[:, 1]) / 2
    found = logits(head, raw.float())
    assert torch.allclose((found[:, 1] - found[:, 0]).double(), expected, rtol=0.05, atol=0.1)


def test_shrinkage_is_that_of_ledoit_and_wolf_for_independent_draws():
    draws = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    draws = draws * torch.linspace(0.5, 2, 8)
    sample = draws.T @ draws / 30
    middle = sample.diagonal().mean()
    distance = (sample - middle * torch.eye(8)).square().sum()
    error = sum((torch.outer(x, x) - sample).square().sum() for x in draws) / 30**2
    expected = min(1.0, float(error / distance))
    covariance, amount = shrunk_covariance(draws, torch.full((30,), 1 / 30), groups=torch.arange(30))
    assert amount == pytest.approx(expected, rel=1e-4)
    assert torch.allclose(covariance, (1 - amount) * sample + amount * middle * torch.eye(8), atol=1e-5)


def test_copies_of_a_cell_within_its_instance_tell_nothing_new():
    draws = torch.randn(30, 8, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.5, 2, 8)
    _, once = shrunk_covariance(draws, torch.full((30,), 1 / 30), groups=torch.arange(30))
    copied, groups = draws.repeat_interleave(10, dim=0), torch.arange(30).repeat_interleave(10)
    _, as_instances = shrunk_covariance(copied, torch.full((300,), 1 / 300), groups=groups)
    _, as_cells = shrunk_covariance(copied, torch.full((300,), 1 / 300), groups=torch.arange(300))
    assert as_instances == pytest.approx(once, rel=1e-3)
    assert as_cells < once / 5


def test_more_dimensions_than_cells_still_have_a_head():
    head = fit_prototype(cells(counts=(4, 4, 4), channels=40, spread=0.3), windows=(1,), balance=1.0)
    unseen = cells(counts=(40, 40, 40), channels=40, spread=0.3, seed=1)
    assert (logits(head, unseen.vectors).argmax(dim=1) == unseen.classes).float().mean() > 0.9


def test_a_class_without_labels_is_never_predicted():
    head = fit_prototype(cells(counts=(40, 0, 40)), windows=(1,), balance=1.0)
    predicted = logits(head, torch.randn(500, 4) * 100).argmax(dim=1)
    assert set(predicted.tolist()) <= {0, 2}


def test_balance_decides_whether_area_counts():
    def share_of_rare(balance):
        overlapping = cells(counts=(300, 30), spread=3.0)
        raw = overlapping.vectors.clone()
        return (logits(fit_prototype(overlapping, windows=(1,), balance=balance), raw).argmax(dim=1) == 1).sum()

    assert share_of_rare(1.0) > share_of_rare(0.0)


def test_a_direction_that_changes_from_tile_to_tile_counts_less():
    generator = torch.Generator().manual_seed(0)
    classes, tiles = torch.arange(400) % 2, torch.arange(400) // 200
    vectors = torch.randn(400, 2, generator=generator)
    vectors[:, 0] += classes * 2.0
    vectors[:, 1] += classes * torch.where(tiles == 0, 4.0, -1.0)

    def reliance(tile_variation):
        training = TrainingCells(vectors.clone(), classes, torch.ones(400), tiles=tiles)
        head = fit_prototype(training, windows=(1,), balance=1.0, tile_variation=tile_variation)
        one, two = (head.weight[0, 1] - head.weight[0, 0]).abs().tolist()
        return two / one

    assert reliance(100.0) < 0.2 * reliance(0.0)


def test_two_fits_are_equal_bit_for_bit():
    first, again = (fit_prototype(cells(copies=3), windows=(1,), balance=1.0) for _ in range(2))
    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.bias, again.bias)
