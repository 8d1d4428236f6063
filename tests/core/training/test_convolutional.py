import pytest
import torch

from core.training import convolutional
from core.training.convolutional import TrainingTile, fit_convolutional
from core.training.recipe import Recipe
from core.training.schedules import rate_share


def tile(seed=0, side=16, channels=4):
    """Two classes in bands of rows that differ in their features; the lower half has no labels."""
    generator = torch.Generator().manual_seed(seed)
    classes = (torch.arange(side) % 4 >= 2).long()[:, None].expand(side, side).clone()
    features = torch.randn(channels, side, side, generator=generator) + 2 * classes
    classes[side // 2 :] = 255
    return TrainingTile(features.half(), classes, torch.ones(side, side))


def fit(recipe, validate=lambda head: None, report=lambda *_: None, seed=0):
    return fit_convolutional(
        [tile(0), tile(1)],
        recipe=recipe,
        generator=torch.Generator().manual_seed(seed),
        validate=validate,
        report=report,
    )


def recipe(**options):
    return Recipe(**({"head": "convolutional", "width": 8, "epochs": 3} | options))


def same(first, second):
    values = second.state_dict()
    return all(torch.equal(tensor, values[key]) for key, tensor in first.state_dict().items())


def rates(monkeypatch, **options):
    """The learning rate of each step of a fit."""
    seen = []
    plain = convolutional._step

    def step(head, tile, class_weights, optimizer, *others, **more):
        seen.append(optimizer.param_groups[0]["lr"])
        return plain(head, tile, class_weights, optimizer, *others, **more)

    monkeypatch.setattr(convolutional, "_step", step)
    fit(recipe(epochs=10, learning_rate=1e-3, **options))
    return seen


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "poly", "constant"])
def test_the_rate_goes_as_the_schedule_says(monkeypatch, schedule):
    expected = [1e-3 * rate_share(schedule, step, 20) for step in range(20)]
    assert rates(monkeypatch, schedule=schedule) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("dihedral", [True, False])
def test_crops_are_turned_only_where_the_recipe_says_so(monkeypatch, dihedral):
    moves = []
    plain = convolutional._moved

    def moved(part, turns, mirrored):
        moves.append((turns, mirrored))
        return plain(part, turns, mirrored)

    monkeypatch.setattr(convolutional, "_moved", moved)
    fit(recipe(epochs=20, dihedral=dihedral))
    assert len(set(moves)) == (8 if dihedral else 1)
    assert dihedral or set(moves) == {(0, False)}


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_every_schedule_learns_what_is_labelled(schedule):
    losses = []
    fit(recipe(schedule=schedule, epochs=15, learning_rate=1e-2), report=lambda _, loss, *__: losses.append(loss))
    assert losses[-1] < losses[0] / 2


def test_without_averaging_the_last_weights_are_taken(monkeypatch):
    trained = []
    plain = convolutional._step

    def step(head, *others, **more):
        trained.append(head)
        return plain(head, *others, **more)

    monkeypatch.setattr(convolutional, "_step", step)
    last = fit(recipe(averaging=0.0))
    assert same(last, trained[-1])


def test_the_last_epoch_is_kept_without_validation_and_the_best_with_it():
    heads = []
    last = fit(recipe(epochs=4), report=lambda _, __, ___, head: heads.append(head))
    assert last is heads[-1]
    assert len({id(head) for head in heads}) == 4
    scores = iter([0.2, 0.5, 0.4, 0.3])
    kept = []
    best = fit(recipe(epochs=4), validate=lambda _: next(scores), report=lambda _, __, ___, head: kept.append(head))
    assert best is kept[1]
    assert kept[1] is kept[3]


def test_the_features_are_standardised_by_the_labelled_cells():
    head = fit(recipe(epochs=1))
    labelled = torch.cat([one.features[:, one.classes != 255].double() for one in (tile(0), tile(1))], dim=1)
    assert torch.allclose(head.mean.double(), labelled.mean(dim=1), atol=1e-4)
    assert torch.allclose(head.std.double(), labelled.std(dim=1, correction=0), atol=1e-4)


def test_two_fits_are_equal_bit_for_bit():
    first, again = fit(recipe(schedule="poly")), fit(recipe(schedule="poly"))
    assert same(first, again)
