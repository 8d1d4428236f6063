import json

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.training.patch_sampling import PatchSampler
from core.training.patches import WorkingTile, cut_patch

SIDE = 64


def tile(classes):
    return WorkingTile("t", np.zeros((*classes.shape, 3), np.uint8), classes)


def mostly_agriculture(size=256):
    """A corner of water, one of urban; the rest of the upper half agriculture, the lower half unlabelled."""
    classes = np.full((size, size), 1, np.uint8)
    classes[size // 2 :] = UNLABELLED
    classes[:16, :16], classes[:16, -16:] = 4, 0
    return tile(classes)


def sampler(tiles, *, sampler="presence", hard=0.0, one_class=True, seed=0):
    return PatchSampler(tiles, side=SIDE, sampler=sampler, hard=hard, one_class=one_class, seed=seed)


def test_the_same_seed_draws_the_same_and_another_does_not():
    tiles = [mostly_agriculture()]
    assert sampler(tiles, seed=5).epoch(30) == sampler(tiles, seed=5).epoch(30)
    assert sampler(tiles, seed=5).epoch(30) != sampler(tiles, seed=6).epoch(30)


@pytest.mark.parametrize("hard", [0.0, 0.5])
def test_a_sampler_goes_on_from_its_state_through_json(hard):
    tiles = [mostly_agriculture(), mostly_agriculture()]
    first = sampler(tiles, hard=hard)
    draws = first.epoch(20)
    first.note_losses(draws, list(range(20)))
    state = json.loads(json.dumps(first.state()))
    second = sampler(tiles, hard=hard, seed=99)
    second.restore(state)
    assert second.epoch(20) == first.epoch(20)


def test_presence_shows_rare_classes_as_often_and_area_hardly_ever():
    tiles = [mostly_agriculture()]

    def with_water(name):
        cut = [
            cut_patch(tiles[0], row=d.row, column=d.column, side=SIDE)[1]
            for d in sampler(tiles, sampler=name).epoch(200)
        ]
        return sum((classes == 4).any() for classes in cut)

    assert with_water("presence") > 60
    assert with_water("area") < 30


@pytest.mark.parametrize("name", ["area", "presence"])
def test_every_patch_shows_something_labelled_and_lies_in_its_tile(name):
    sparse = np.full((200, 300), UNLABELLED, np.uint8)
    sparse[190:195, 290:295] = 3
    sparse[3:5, 100:130] = 2
    tiles = [tile(sparse)]
    for draw in sampler(tiles, sampler=name).epoch(100):
        assert 0 <= draw.row <= 200 - SIDE
        assert 0 <= draw.column <= 300 - SIDE
        assert (cut_patch(tiles[0], row=draw.row, column=draw.column, side=SIDE)[1] != UNLABELLED).any()


def test_patches_of_one_class_can_be_left_out():
    tiles = [mostly_agriculture()]
    draws = sampler(tiles, sampler="area", one_class=False).epoch(50)
    cut = [cut_patch(tiles[0], row=d.row, column=d.column, side=SIDE)[1] for d in draws]
    mixed = sum(len(np.unique(classes[classes != UNLABELLED])) > 1 for classes in cut)
    assert mixed > 40
    only = [tile(np.ones((128, 128), np.uint8))]
    assert len(sampler(only, one_class=False).epoch(5)) == 5  # where there is nothing else, one class is taken


def test_a_tile_smaller_than_a_patch_lies_in_its_middle():
    (draw,) = sampler([tile(np.ones((20, 40), np.uint8))]).epoch(1)
    assert (draw.row, draw.column) == (-22, -12)


def test_the_worst_patches_come_back_with_other_seeds():
    tiles = [mostly_agriculture()]
    one = sampler(tiles, hard=0.5)
    draws = one.epoch(40)
    one.note_losses(draws, [float(index == 7) for index in range(40)])
    worst = {(d.row, d.column) for d in [draws[7], *draws[:7], *draws[8:11]]}
    again = one.epoch(40)
    assert sum((d.row, d.column) in worst for d in again) >= 20
    assert len({d.seed for d in again}) == 40
    assert any((d.row, d.column) == (draws[7].row, draws[7].column) for d in again)


def test_an_epoch_covers_what_is_labelled_and_nothing_else():
    assert sampler([mostly_agriculture()]).labelled_windows == 4 * 2
    sparse = np.full((256, 256), UNLABELLED, np.uint8)
    sparse[0, 0] = sparse[200, 200] = 1
    assert sampler([tile(sparse), mostly_agriculture()]).labelled_windows == 2 + 8


def test_shares_are_those_of_what_is_seen_and_do_not_move_the_sampler():
    tiles = [mostly_agriculture()]
    one, other = sampler(tiles), sampler(tiles)
    shares = one.seen_shares()
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).tolist() == [True, True, False, False, True, False]
    area = 2 * 16 * 16 / (128 * 256)
    assert shares[0] + shares[4] > 1.5 * area  # the sampler shows them more often than they are
    assert one.epoch(10) == other.epoch(10)


def test_tiles_without_a_label_are_refused():
    with pytest.raises(ValueError, match="no tile"):
        sampler([tile(np.full((64, 64), UNLABELLED, np.uint8))])
