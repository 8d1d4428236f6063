import pytest
import torch

from core.training import neighbours
from core.training.linear import TrainingCells
from core.training.neighbours import fit_neighbours
from models.checkpoint import load_head, pack_head
from models.heads import context_vectors


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rings(counts=(150, 150), seed=0, radius=4.0, noise=0.5):
    """A class inside and another around it: what no linear head tells apart."""
    random = generator(seed)
    parts = []
    for index, count in enumerate(counts):
        angle = torch.rand(count, generator=random) * 2 * torch.pi
        place = torch.stack([angle.cos(), angle.sin()], dim=1) * radius * index
        parts.append(place + noise * torch.randn(count, 2, generator=random))
    vectors = torch.cat(parts) * torch.tensor([1.0, 100.0]) + 500
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return TrainingCells(vectors, classes, torch.ones(len(vectors)))


def fit(training, **options):
    options = {"windows": (1,), "neighbours": 9, "balance": 1.0, "generator": generator()} | options
    return fit_neighbours(training, **options)


def predicted(head, vectors):
    return head(vectors.T[None, :, None, :])[0, :, 0].T.argmax(dim=1)


def test_one_class_around_another_is_told_apart_whatever_the_scale_of_the_features():
    unseen = rings(seed=1)
    assert (predicted(fit(rings()), unseen.vectors) == unseen.classes).float().mean() > 0.97


def test_a_component_with_hardly_any_variance_is_not_blown_up():
    vectors = torch.randn(500, 2, generator=generator())
    vectors[:, 1] = vectors[:, 0] + 0.01 * vectors[:, 1]
    head = fit(TrainingCells(vectors, torch.arange(500) % 2, torch.ones(500)))
    assert head.references.var(dim=0).min() < 0.05


def test_whitened_cells_have_uncorrelated_components_of_like_variance():
    random = generator()
    mixing = torch.eye(6) + 0.3 * torch.randn(6, 6, generator=random)
    mixed = torch.randn(2000, 6, generator=random) @ mixing + 3
    head = fit(TrainingCells(mixed.clone(), torch.arange(2000) % 2, torch.ones(2000)))
    covariance = head.references.T.cov()
    away = covariance - torch.diag(covariance.diagonal())
    assert away.abs().max() < 0.02
    assert covariance.diagonal().max() < 1.3
    assert covariance.diagonal().min() > 0.5


def test_a_head_predicts_what_it_was_fitted_on_through_several_windows():
    features = torch.randn(3, 20, 20, generator=generator())
    features[0, :, 10:] += 3
    cells = torch.arange(400)
    classes = (cells % 20 >= 10).long()
    training = TrainingCells(context_vectors(features, cells, (1, 5)), classes, torch.ones(400))
    head = fit(training, windows=(1, 5), neighbours=5)
    assert (head(features[None])[0].argmax(dim=0).flatten() == classes).float().mean() > 0.97


def test_more_cells_than_are_kept_lose_none_of_a_rare_class(monkeypatch):
    monkeypatch.setattr(neighbours, "MAX_REFERENCES", 60)
    head = fit(rings(counts=(300, 10)))
    assert torch.bincount(head.labels).tolist() == [50, 10]
    weight = torch.zeros(2).index_add_(0, head.labels, head.weights)
    assert weight.tolist() == pytest.approx([0.5, 0.5])


def test_balance_decides_whether_area_counts():
    def share_of_rare(balance):
        overlapping = rings(counts=(300, 60), radius=0.5)
        raw = overlapping.vectors.clone()
        return (predicted(fit(overlapping, balance=balance, neighbours=25), raw) == 1).sum()

    assert share_of_rare(1.0) > share_of_rare(0.0)


def test_more_dimensions_than_cells_have_a_head():
    random = generator()
    classes = torch.arange(20) % 2
    vectors = torch.randn(20, 50, generator=random) + classes[:, None] * 3
    head = fit(TrainingCells(vectors.clone(), classes, torch.ones(20)), neighbours=3)
    assert (predicted(head, vectors) == classes).all()


def test_a_direction_that_changes_from_tile_to_tile_counts_less():
    classes, tiles = torch.arange(400) % 2, torch.arange(400) // 200
    vectors = torch.randn(400, 2, generator=generator())
    vectors[:, 0] += classes * 2.0
    vectors[:, 1] += classes * torch.where(tiles == 0, 6.0, -6.0)

    def reach(tile_variation):
        training = TrainingCells(vectors.clone(), classes, torch.ones(400), tiles=tiles)
        head = fit(training, tile_variation=tile_variation)
        one, two = head.projection[0].norm(dim=0).tolist()
        return two / one

    assert reach(100.0) < 0.5 * reach(0.0)


def test_two_fits_are_equal_bit_for_bit_and_come_back_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "MAX_REFERENCES", 60)
    first, again = fit(rings()), fit(rings())
    (tmp_path / "weights.safetensors").write_bytes(pack_head(first))
    read = load_head(tmp_path / "weights.safetensors")
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key])
        assert torch.equal(tensor, read.state_dict()[key])
