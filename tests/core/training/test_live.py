import numpy as np
import pytest
import torch

from core.classes import UNLABELLED
from core.training.cells import LabelledCells
from core.training.linear import TrainingCells, fit_linear
from core.training.live import LiveTrainer, NeedsLabelsError, steady_sample
from core.training.recipe import Recipe

RECIPE = Recipe(windows=(1,), l2=0.1)
SIDE = 12
CENTRES = np.random.default_rng(7).normal(0, 2, (6, 5)).astype(np.float32)


class Scenes:
    """Tiles whose cells' vectors lie around their class's centre; counts the vectors that were asked for."""

    def __init__(self):
        self.asked = []
        self.truth = {
            tile: np.random.default_rng(tile).integers(0, 4, SIDE * SIDE).astype(np.uint8) for tile in (1, 2, 3)
        }

    def vectors(self, tile, cells):
        self.asked.append((tile, len(cells)))
        noise = np.random.default_rng((tile, 5)).normal(0, 1, (SIDE * SIDE, 5)).astype(np.float32)
        return torch.from_numpy((CENTRES[self.truth[tile]] + noise)[cells.numpy()])

    def labels(self, tile, share=1.0):
        classes = self.truth[tile].copy()
        classes[int(share * classes.size) :] = UNLABELLED
        grid = classes.reshape(SIDE, SIDE)
        counts = np.zeros((SIDE, SIDE, 6), np.int64)
        return LabelledCells(counts, grid, np.where(grid == UNLABELLED, 0, 1).astype(np.float32))

    def full_fit(self, tiles):
        return fit_linear(
            TrainingCells(
                torch.cat([self.vectors(tile, torch.arange(SIDE * SIDE)) for tile in tiles]),
                torch.from_numpy(np.concatenate([self.truth[tile] for tile in tiles]).astype(np.int64)),
                torch.ones(len(tiles) * SIDE * SIDE),
            ),
            windows=(1,),
            l2=0.1,
            balance=1.0,
            iterations=200,
            report=lambda *_: None,
        )


def test_a_head_that_was_refitted_stroke_by_stroke_is_as_good_as_one_fitted_at_once():
    scenes = Scenes()
    trainer = LiveTrainer(RECIPE, scenes.vectors)
    for share in np.linspace(0.2, 1, 9):
        trainer.learn_from(1, scenes.labels(1, share))
        live = trainer.fit()
    trainer.learn_from(2, scenes.labels(2))
    live = trainer.fit()
    full = scenes.full_fit([1, 2])
    unseen = scenes.vectors(3, torch.arange(SIDE * SIDE)).T[None, :, None, :]
    with torch.no_grad():
        difference = live(unseen).softmax(dim=1) - full(unseen).softmax(dim=1)
    assert difference.abs().max() < 0.03


def test_the_same_strokes_give_the_same_head():
    heads = []
    for _ in range(2):
        scenes = Scenes()
        trainer = LiveTrainer(RECIPE, scenes.vectors, max_cells=60)
        for share in (0.3, 0.5, 0.9):
            trainer.learn_from(1, scenes.labels(1, share))
            heads.append(trainer.fit())
    for first, second in zip(heads[:3], heads[3:], strict=True):
        assert torch.equal(first.weight, second.weight)
        assert torch.equal(first.bias, second.bias)


def test_only_the_vectors_of_new_cells_are_asked_for():
    scenes = Scenes()
    trainer = LiveTrainer(RECIPE, scenes.vectors)
    trainer.learn_from(1, scenes.labels(1, 0.5))
    trainer.learn_from(2, scenes.labels(2))
    trainer.fit()
    scenes.asked.clear()
    trainer.learn_from(1, scenes.labels(1, 0.6))
    trainer.fit()
    assert scenes.asked == [(1, int(0.6 * SIDE * SIDE) - int(0.5 * SIDE * SIDE))]
    scenes.asked.clear()
    trainer.learn_from(1, scenes.labels(1, 0.5))  # an undo
    trainer.fit()
    assert scenes.asked == []


def test_a_tile_that_left_leaves_no_trace_in_the_head():
    scenes = Scenes()
    trainer = LiveTrainer(RECIPE, scenes.vectors)
    trainer.learn_from(1, scenes.labels(1))
    never_knew = trainer.fit()
    trainer.learn_from(2, scenes.labels(2))
    trainer.fit()
    trainer.forget(2)
    assert trainer.tiles == {1}
    assert torch.equal(trainer.fit().weight, never_knew.weight)


def test_fewer_than_two_classes_are_refused_in_a_sentence():
    scenes = Scenes()
    trainer = LiveTrainer(RECIPE, scenes.vectors)
    with pytest.raises(NeedsLabelsError, match="Nothing is labelled so far"):
        trainer.fit()
    scenes.truth[1][:] = 3
    trainer.learn_from(1, scenes.labels(1))
    with pytest.raises(NeedsLabelsError, match="Only forest is labelled so far"):
        trainer.fit()


def test_vectors_are_bounded_however_much_is_labelled():
    scenes = Scenes()
    trainer = LiveTrainer(RECIPE, scenes.vectors, max_cells=40)
    for share in np.linspace(0.1, 1, 10):
        for tile in (1, 2, 3):
            trainer.learn_from(tile, scenes.labels(tile, share))
            if share > 0.2:
                trainer.fit()
    assert trainer.labelled_cells == 3 * SIDE * SIDE
    assert trainer.held_bytes <= 2 * 1.25 * 40 * 5 * 4 * 1.1


def sample(classes, limit):
    order = np.random.default_rng(0).random(1000)
    return steady_sample({1: (np.asarray(classes), order[: len(classes)])}, limit=limit)


def test_rare_classes_give_all_their_cells_and_the_others_share_what_is_left():
    chosen, spare, stands_for = sample([0] * 100 + [1] * 10 + [2] * 60, limit=70)
    taken = np.bincount(np.repeat([0, 1, 2], [100, 10, 60])[chosen[1]], minlength=3)
    assert taken.tolist() == [30, 10, 30]
    assert stands_for[:3].tolist() == [100 / 30, 1, 2]
    assert spare[1][chosen[1]].all()


def test_a_new_cell_changes_few_of_the_chosen_ones():
    before, _, _ = sample([0] * 100 + [1] * 60, limit=50)
    after, _, _ = sample([0] * 100 + [1] * 61, limit=50)
    assert (before[1] != after[1][:160]).sum() <= 1
