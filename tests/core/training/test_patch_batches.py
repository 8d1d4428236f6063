import threading
import time

import numpy as np
import pytest
import torch

from core.training.patch_batches import PatchMaker, ahead, batches
from core.training.patch_sampling import Draw
from core.training.patches import WorkingTile
from core.training.recipe import Recipe
from tests.core.training.scenes import scene

CPU = torch.device("cpu")
TILES = (WorkingTile("a", *scene(0)), WorkingTile("b", *scene(1)))
SIDE = 64
DRAWS = [Draw(index % 2, 8 * index, 150 - 8 * index, 1000 + index) for index in range(12)]


def recipe(**values):
    return Recipe(train="decoder", patch=64, batch_size=4, **values)


def same(one, other):
    contexts = [() if batch.context is None else batch.context for batch in (one, other)]
    return (
        torch.equal(one.images, other.images)
        and torch.equal(one.classes, other.classes)
        and all(a is b is None or torch.equal(a, b) for a, b in zip(*contexts, strict=True))
    )


def test_batches_hold_every_draw_in_order():
    maker = PatchMaker(TILES, recipe(augmentation="none", dihedral=False), place=False, side=SIDE)
    made = list(batches(maker, DRAWS, size=5, device=CPU))
    assert [len(batch) for batch in made] == [5, 5, 2]
    for draw, image, classes in zip(
        DRAWS,
        torch.cat([batch.images for batch in made]),
        torch.cat([batch.classes for batch in made]),
        strict=True,
    ):
        place = np.s_[draw.row : draw.row + 64, draw.column : draw.column + 64]
        assert np.array_equal(image.permute(1, 2, 0), TILES[draw.tile].image[place])
        assert np.array_equal(classes, TILES[draw.tile].classes[place])


@pytest.mark.parametrize("surroundings", ["none", "two-scales"])
def test_batches_made_ahead_by_threads_are_the_same(surroundings):
    maker = PatchMaker(
        TILES, recipe(augmentation="heavy", surroundings=surroundings), place=surroundings != "none", side=SIDE
    )
    parts = [DRAWS[start : start + 2] for start in range(0, 12, 2)]
    plain = [maker.batch(part) for part in parts]
    threaded = list(ahead(maker.batch, parts, workers=3))
    assert all(same(one, other) for one, other in zip(plain, threaded, strict=True))


def test_threads_are_not_far_ahead_and_stop_when_nobody_takes_more():
    begun, running = [], threading.active_count()

    def make(part):
        begun.append(part)
        time.sleep(0.01)
        return part

    made = ahead(make, range(1000), workers=2)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    made.close()
    assert len(begun) < 20
    assert threading.active_count() == running


def test_what_a_thread_raises_arrives():
    def make(part):
        raise OSError("the map is gone")

    with pytest.raises(OSError, match="the map is gone"):
        list(ahead(make, [1, 2], workers=2))


def one_patch(tile, *, mirrored, turns, surroundings):
    """The batch of a draw whose seed gives just this move."""
    maker = PatchMaker([tile], recipe(augmentation="none", surroundings=surroundings), place=True, side=SIDE)
    augmentation = maker._augmentation()
    seed = next(
        s
        for s in range(500)
        if (augmentation.move(s).mirrored, augmentation.move(s).quarter_turns) == (mirrored, turns)
    )
    return maker.batch([Draw(0, 64, 32, seed)])


@pytest.mark.parametrize("surroundings", ["global", "two-scales"])
def test_surroundings_turn_with_their_patch(surroundings):
    tile = TILES[0]
    plain = one_patch(tile, mirrored=False, turns=0, surroundings=surroundings)
    moved = one_patch(tile, mirrored=True, turns=3, surroundings=surroundings)
    for before, after in ((plain.images, moved.images), (plain.context.images, moved.context.images)):
        assert torch.equal(torch.rot90(before.flip(-1), 3, (-2, -1)), after)
    # The patch's place in the whole tile, moved: what the box cuts out of it is the patch itself.
    top, left, bottom, right = (moved.context.boxes[0] * 256).round().int().tolist()
    assert (bottom - top, right - left) == (64, 64)
    whole = torch.from_numpy(tile.image.copy()).permute(2, 0, 1)
    turned = torch.rot90(whole.flip(-1), 3, (-2, -1))
    assert torch.equal(turned[:, top:bottom, left:right], moved.images[0])


def test_surroundings_of_an_enlarged_patch_are_enlarged_with_it():
    maker = PatchMaker([TILES[0]], recipe(augmentation="heavy", surroundings="two-scales"), place=True, side=SIDE)
    augmentation = maker._augmentation()
    seed = next(s for s in range(500) if augmentation.move(s).scale > 1.7)
    scale = augmentation.move(seed).scale
    batch = maker.batch([Draw(0, 96, 96, seed)])
    assert batch.context.images.shape == (1, 2, 3, 64, 64)
    top, left, bottom, right = batch.context.boxes[0].tolist()
    assert bottom - top == pytest.approx(64 / scale / 256, abs=1 / 256)
    assert (top + bottom) / 2 == pytest.approx(128 / 256, abs=1 / 256)
    assert (left + right) / 2 == pytest.approx(128 / 256, abs=1 / 256)
