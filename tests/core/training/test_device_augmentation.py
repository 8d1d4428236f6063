import albumentations as A  # noqa: N812
import numpy as np
import pytest
import torch

from core.classes import UNLABELLED
from core.training.augmentation import Augmentation
from core.training.device_augmentation import Changes, left_to_cut, plan, turned
from core.training.patch_batches import PatchMaker, batches
from core.training.patch_sampling import Draw, PatchSampler
from core.training.patches import Move, WorkingTile, cut_patch
from core.training.recipe import load_recipe
from tests.core.training.scenes import scene

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tile():
    image, classes = scene(3)
    return WorkingTile("3", image, np.where(image[..., 0] > 200, UNLABELLED, classes).astype(np.uint8))


def changes(count, **values):
    none = {"contrast": 1.0, "brightness": 0.0, "gamma": 1.0, "blur": 0.0, "noise": 0.0, **values}
    turns = torch.zeros(count, dtype=torch.int64)
    return Changes(turns, **{name: torch.full((count,), value) for name, value in none.items()}, seed=0)


def batch_of(tile, *overrides, count=24, **options):
    recipe = load_recipe("decoder", ["patch=64", *overrides])
    sampler = PatchSampler([tile], side=64, sampler="area", hard=0.0, one_class=True, seed=0)
    maker = PatchMaker([tile], recipe, place=options.get("place", False), side=64)
    (batch,) = batches(maker, sampler.epoch(count), size=count, device=CPU)
    return batch


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_flips_and_quarter_turns_equal_those_of_the_processor_pixel_by_pixel(tile, quarters, mirrored):
    move = Move(quarter_turns=quarters, mirrored=mirrored)
    for row, column in ((17, 40), (-20, 230)):
        wanted = cut_patch(tile, row=row, column=column, side=64, move=move)
        image, classes = cut_patch(tile, row=row, column=column, side=64, move=left_to_cut(move))
        turn = torch.tensor([quarters + 4 * mirrored])
        assert torch.equal(
            turned(torch.from_numpy(image)[None].permute(0, 3, 1, 2), turn)[0].permute(1, 2, 0),
            torch.from_numpy(wanted[0]),
        )
        assert torch.equal(turned(torch.from_numpy(classes)[None], turn)[0], torch.from_numpy(wanted[1]))


def test_a_free_angle_and_a_scale_come_out_as_on_the_processor(tile):
    for mirrored in (False, True):
        move = Move(quarter_turns=1, mirrored=mirrored, angle=20, scale=1.3)
        wanted, _ = cut_patch(tile, row=60, column=60, side=64, move=move)
        image, _ = cut_patch(tile, row=60, column=60, side=64, move=left_to_cut(move))
        got = turned(torch.from_numpy(image)[None].permute(0, 3, 1, 2), torch.tensor([1 + 4 * mirrored]))
        assert np.abs(got[0].permute(1, 2, 0).numpy().astype(int) - wanted).mean() < 1


def test_without_changes_of_colour_a_batch_is_that_of_the_processor_bit_for_bit(tile):
    for setting in ("dihedral=true", "dihedral=false"):
        on_cpu = batch_of(tile, "augmentation=none", setting)
        on_device = batch_of(tile, "augmentation=none", setting, "augment_on=device")
        assert torch.equal(on_device.images, on_cpu.images)
        assert torch.equal(on_device.classes, on_cpu.classes)
        assert on_device.changes is None


def test_surroundings_turn_with_their_patches(tile):
    settings = ("augmentation=none", "surroundings=two-scales")
    on_cpu = batch_of(tile, *settings, place=True)
    on_device = batch_of(tile, *settings, "augment_on=device", place=True)
    assert torch.equal(on_device.images, on_cpu.images)
    assert torch.equal(on_device.context.images, on_cpu.context.images)
    assert torch.equal(on_device.context.boxes, on_cpu.context.boxes)


@pytest.mark.parametrize("preset", ["light", "medium", "heavy"])
def test_colours_change_and_classes_only_move(tile, preset):
    plain = batch_of(tile, "augmentation=none", "dihedral=false")
    changed = batch_of(tile, f"augmentation={preset}", "dihedral=false", "augment_on=device")
    assert not torch.equal(changed.images, plain.images)
    assert changed.images.dtype == torch.uint8
    if preset == "light":
        assert torch.equal(changed.classes, plain.classes)
    assert set(changed.classes.unique().tolist()) <= {*plain.classes.unique().tolist(), UNLABELLED}


def test_a_batch_depends_on_its_seeds_alone(tile):
    assert torch.equal(
        batch_of(tile, "augment_on=device", "augmentation=heavy").images,
        batch_of(tile, "augment_on=device", "augmentation=heavy").images,
    )


def test_brightness_contrast_and_gamma_are_those_of_albumentations(tile):
    images = torch.from_numpy(tile.image)[None].permute(0, 3, 1, 2)
    bright = A.RandomBrightnessContrast(brightness_limit=(0.1, 0.1), contrast_limit=(0.2, 0.2), p=1)
    wanted = bright(image=tile.image)["image"].astype(int)
    got, _ = changes(1, contrast=1.2, brightness=25.5).applied(images, torch.zeros(1, 256, 256))
    assert np.abs(got[0].permute(1, 2, 0).numpy().astype(int) - wanted).max() <= 1
    wanted = A.RandomGamma(gamma_limit=(120, 120), p=1)(image=tile.image)["image"].astype(int)
    got, _ = changes(1, gamma=1.2).applied(images, torch.zeros(1, 256, 256))
    assert np.abs(got[0].permute(1, 2, 0).numpy().astype(int) - wanted).max() <= 1


def test_blur_and_noise_have_their_deviations():
    images = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    classes = torch.zeros(1, 64, 64)
    noisy, _ = changes(1, noise=0.05).applied(images, classes)
    assert float(noisy.float().std()) == pytest.approx(0.05 * 255, rel=0.05)
    images[:, :, 32, 32] = 255
    soft, _ = changes(1, blur=1.0).applied(images, classes)
    assert float(soft[0, 0, 32, 32]) == pytest.approx(128 + 127 * 0.159, abs=2)  # 1 / (2 pi)
    assert torch.equal(soft[0, 0, :10, :10], images[0, 0, :10, :10])


def test_each_patch_is_planned_by_its_own_seed():
    recipe = load_recipe("decoder", ["augmentation=heavy"])
    draws = [Draw(0, 0, 0, seed) for seed in range(200)]
    moves = [Augmentation(recipe).move(draw.seed) for draw in draws[:3]]
    alone = plan("heavy", moves[2:], [2])
    together = plan("heavy", moves, [0, 1, 2])
    assert torch.equal(alone.contrast, together.contrast[2:])
    many = plan("heavy", moves[:1] * 200, [draw.seed for draw in draws])
    assert 0.7 < float((many.contrast != 1).float().mean()) < 0.9
    assert float(many.gamma.min()) >= 0.7
