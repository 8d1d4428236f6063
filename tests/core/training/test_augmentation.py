import os

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.training.augmentation import Augmentation, preview
from core.training.patches import WorkingTile, cut_patch
from core.training.recipe import Recipe
from tests.core.training.scenes import scene

PRESETS = ("none", "light", "medium", "heavy")


def recipe(preset, **values):
    return Recipe(train="decoder", augmentation=preset, patch=64, **values)


def patch_of(tile, augmentation, seed):
    return augmentation.change(*cut_patch(tile, row=96, column=96, side=64, move=augmentation.move(seed)), seed)


@pytest.fixture(scope="module")
def tile():
    return WorkingTile("a", *scene(0))


@pytest.mark.parametrize("preset", PRESETS)
def test_what_becomes_of_a_patch_depends_on_its_seed_alone(tile, preset):
    one, other = Augmentation(recipe(preset)), Augmentation(recipe(preset))
    patch_of(tile, other, 1)  # what was made before makes no difference
    for seed in range(12):
        first, again = patch_of(tile, one, seed), patch_of(tile, other, seed)
        assert np.array_equal(first[0], again[0])
        assert np.array_equal(first[1], again[1])
        assert first[0].shape == (64, 64, 3)
        assert first[0].dtype == first[1].dtype == np.uint8


def test_no_augmentation_leaves_the_patch_as_it_is(tile):
    image, classes = patch_of(tile, Augmentation(recipe("none", dihedral=False)), 3)
    assert np.array_equal(image, tile.image[96:160, 96:160])
    assert np.array_equal(classes, tile.classes[96:160, 96:160])


def test_dihedral_gives_all_eight_moves(tile):
    augmentation = Augmentation(recipe("none"))
    moves = {(m.quarter_turns, m.mirrored) for m in map(augmentation.move, range(100))}
    assert len(moves) == 8
    assert all(m.scale == 1 and m.angle == 0 for m in map(augmentation.move, range(100)))


def test_presets_go_further_one_after_the_other(tile):
    def reach(preset):
        augmentation = Augmentation(recipe(preset, dihedral=False))
        moves = [augmentation.move(seed) for seed in range(200)]
        patches = [patch_of(tile, augmentation, seed)[0] for seed in range(60)]
        plain = cut_patch(tile, row=96, column=96, side=64)[0].astype(float)
        return (
            max(m.scale for m in moves),
            sum(m.angle != 0 for m in moves),
            float(np.mean([np.abs(p - plain).mean() for p in patches])),
        )

    none, light, medium, heavy = (reach(preset) for preset in PRESETS)
    assert none == (1, 0, 0)
    assert light[:2] == (1, 0)
    assert 1.3 < medium[0] <= 1.4
    assert 1.8 < heavy[0] <= 2
    assert 0 < medium[1] < heavy[1]
    assert 0 < light[2] < medium[2] < heavy[2]


def test_scales_go_both_ways():
    scales = [Augmentation(recipe("heavy")).move(seed).scale for seed in range(200)]
    assert min(scales) < 0.6
    assert min(scales) >= 0.5


@pytest.mark.parametrize("preset", PRESETS)
def test_labels_move_with_the_picture(preset):
    """A picture whose grey tells the class: after any change the mean grey of the classes is still in order."""
    _, classes = scene(1, classes=(0, 5))
    tile = WorkingTile("a", np.repeat((30 + classes * 40)[..., None], 3, axis=2).astype(np.uint8), classes)
    augmentation = Augmentation(recipe(preset))
    compared = 0
    for seed in range(40):
        image, moved = patch_of(tile, augmentation, seed)
        if {0, 5} <= set(np.unique(moved).tolist()):
            dark, bright = image[moved == 0].mean(), image[moved == 5].mean()
            assert bright - dark > 60
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("preset", PRESETS)
def test_no_label_comes_from_nowhere(preset):
    image, classes = scene(1)
    sparse = np.full_like(classes, UNLABELLED)
    sparse[120:136, 120:136] = 2
    augmentation = Augmentation(recipe(preset))
    for seed in range(30):
        found = set(np.unique(patch_of(WorkingTile("a", image, sparse), augmentation, seed)[1]).tolist())
        assert 2 in found
        assert found <= {2, UNLABELLED}


def test_patches_with_surroundings_turn_by_quarter_turns_only():
    for values in ({"surroundings": "global"}, {"extra_channels": ("position",)}):
        augmentation = Augmentation(recipe("heavy", **values))
        assert all(augmentation.move(seed).angle == 0 for seed in range(50))


def test_the_library_is_kept_from_asking_the_network():
    Augmentation(recipe("light"))
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


def test_a_preview_shows_labelled_patches_the_same_each_time():
    image, classes = scene(2)
    classes = classes.copy()
    classes[:, 100:] = UNLABELLED
    shown = preview(image, classes, recipe("heavy"), seed=4, count=6)
    assert len(shown) == 6
    for patch, labels in shown:
        assert patch.shape == (64, 64, 3)
        assert (labels != UNLABELLED).any()
    again = preview(image, classes, recipe("heavy"), seed=4, count=6)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(shown, again, strict=True))


def test_a_preview_of_a_tile_without_labels_shows_it_unlabelled():
    image, classes = scene(2)
    shown = preview(image, np.full_like(classes, UNLABELLED), recipe("light"), seed=0, count=2)
    assert all((labels == UNLABELLED).all() for _, labels in shown)
