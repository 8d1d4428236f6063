import pytest
import torch

from core.classes import CLASS_COUNT
from core.errors import CancelledError
from core.training.bagging import average_heads, draw, fit_bagged
from core.training.linear import NEVER, TrainingCells, fit_linear
from models.heads import ContextLinearHead


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def cells(counts=(30, 30, 30), channels=3, seed=0, cells_per_instance=5):
    """Instances of a few classes in two tiles; the cells of one instance lie close together."""
    random = generator(seed)
    classes, tiles, instances, vectors = [], [], [], []
    centres = torch.randn(len(counts), channels, generator=random) * 2 + 20
    for index, count in enumerate(counts):
        for instance in range(count // cells_per_instance):
            place = centres[index] + torch.randn(channels, generator=random)
            vectors.append(place + 0.1 * torch.randn(cells_per_instance, channels, generator=random))
            classes += [index] * cells_per_instance
            tiles += [instance % 2] * cells_per_instance
            instances += [instance // 2] * cells_per_instance
    joined = torch.cat(vectors)
    return TrainingCells(
        joined, torch.tensor(classes), torch.ones(len(joined)), torch.tensor(tiles), torch.tensor(instances)
    )


def fit(drawn, start):
    return fit_linear(drawn, windows=(1,), l2=0.05, balance=1.0, iterations=40, report=lambda *_: None, start=start)


def bagged(training, members=4, seed=0, report=lambda *_: None):
    return fit_bagged(training, members=members, generator=generator(seed), fit=fit, report=report)


def logits(head, vectors):
    return head(vectors.T[None, :, None, :])[0, :, 0].T.detach()


def test_an_instance_is_drawn_whole_or_not_at_all_and_each_class_as_often_as_it_has():
    training = cells()
    drawn = draw(training, generator())
    key = drawn.classes * 100 + drawn.tiles * 10 + drawn.instances
    for value in key.unique():
        assert (key == value).sum() == 5
        assert len(drawn.weights[key == value].unique()) == 1
    assert len(key.unique()) < 18
    area = torch.zeros(3).index_add_(0, drawn.classes, drawn.weights)
    assert area.tolist() == [30, 30, 30]


def test_cells_of_unknown_instances_are_drawn_one_by_one():
    plain = TrainingCells(torch.randn(400, 2), torch.arange(400) % 2, torch.ones(400))
    drawn = draw(plain, generator())
    assert 0.58 < len(drawn.classes) / 400 < 0.68  # 1 - 1/e are drawn at least once
    assert drawn.weights.sum() == 400


def test_a_class_of_one_instance_is_in_every_draw():
    training = cells(counts=(30, 5, 30))
    for seed in range(5):
        assert (draw(training, generator(seed)).classes == 1).sum() == 5


def test_the_logits_of_the_average_are_the_mean_of_the_members():
    members = [fit(draw(cells(), generator(seed)), None) for seed in range(3)]
    raw = cells().vectors
    mean = torch.stack([logits(head, raw) for head in members]).mean(dim=0)
    assert torch.allclose(logits(average_heads(members), raw)[:, :3], mean[:, :3], atol=1e-3)


def test_a_class_that_one_member_never_saw_keeps_the_logits_of_the_others():
    knows, knows_not = fit(cells(), None), fit(cells(counts=(30, 0, 30)), None)
    average = average_heads([knows, knows_not])
    raw = cells().vectors
    assert torch.allclose(logits(average, raw)[:, 1], logits(knows, raw)[:, 1], atol=1e-3)
    assert (average.bias[3:] <= NEVER / 2).all()
    assert set(logits(average, raw).argmax(dim=1).tolist()) == {0, 1, 2}


def test_bagging_leaves_the_cells_as_they_were_and_is_equal_bit_for_bit():
    training = cells()
    before = training.vectors.clone()
    first, again, other = bagged(training), bagged(training), bagged(training, seed=1)
    assert torch.equal(training.vectors, before)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)


def test_a_single_member_is_the_plain_fit():
    assert torch.equal(bagged(cells(), members=1).weight, fit(cells(), None).weight)


def test_beginning_at_the_average_so_far_leads_to_the_same_average():
    def from_nought(drawn, _start):
        return fit(drawn, None)

    warm = bagged(cells())
    cold = fit_bagged(cells(), members=4, generator=generator(), fit=from_nought, report=lambda *_: None)
    raw = cells().vectors
    assert torch.allclose(logits(warm, raw).softmax(dim=1), logits(cold, raw).softmax(dim=1), atol=0.02)


def test_an_average_swings_less_with_what_was_labelled_than_a_single_draw():
    def spread(heads):
        return torch.stack([logits(head, cells().vectors)[:, :3] for head in heads]).std(dim=0).mean()

    single = spread([fit(draw(cells(), generator(seed)), None) for seed in range(8)])
    averaged = spread([bagged(cells(), members=8, seed=100 + seed) for seed in range(4)])
    assert averaged < 0.7 * single


def test_a_cancel_after_a_member_leaves_the_average_so_far():
    kept = []

    def report(member, head):
        kept.append(head)
        if member == 2:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        bagged(cells(), report=report)
    assert len(kept) == 2
    assert isinstance(kept[-1], ContextLinearHead)
    assert logits(kept[-1], cells().vectors).shape == (90, CLASS_COUNT)
