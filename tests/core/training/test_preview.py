import numpy as np
import pytest

from core.classes import PALETTE, UNLABELLED
from core.errors import InputError
from core.training.preview import outlined, patch_pictures, view_pictures
from core.training.recipe import load_recipe
from tests.core.training.scenes import write_scenes

RECIPE = load_recipe("decoder", ["patch=64", "resolution_m=0.5"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = write_scenes(tmp_path_factory.mktemp("scenes"), names=("1",))
    return folder / "1_sat.jpg", folder / "1_mask.png"


def test_patches_come_as_pictures_and_the_same_seed_gives_the_same(pair):
    first, again, other = (patch_pictures(*pair, RECIPE, seed=seed, count=8, side=96) for seed in (0, 0, 1))
    assert [picture.shape for picture in first] == [(96, 96, 3)] * 8
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_labels_are_outlined_in_the_colour_of_their_class_and_nothing_else_is_drawn():
    image = np.full((64, 64, 3), 90, np.uint8)
    classes = np.full((64, 64), UNLABELLED, np.uint8)
    assert np.array_equal(outlined(image, classes, side=64), image)
    classes[16:48, 16:48] = 4
    picture = outlined(image, classes, side=64)
    assert (picture[16, 20] == PALETTE[4]).all()
    assert (picture[32, 32] == 90).all(), "the inside shows the image"
    assert (picture[4, 4] == 90).all()


@pytest.mark.parametrize(("views", "count"), [("none", 1), ("flips", 4), ("d4", 8)])
def test_a_head_sees_the_tile_once_for_each_view(pair, views, count):
    pictures = view_pictures(pair[0], load_recipe("head", [f"views={views}"]), side=40)
    assert len(pictures) == count
    assert len({picture.tobytes() for picture in pictures}) == count


def test_a_mask_that_is_gone_is_told_of(pair, tmp_path):
    with pytest.raises(InputError):
        patch_pictures(pair[0], tmp_path / "gone.png", RECIPE, seed=0, count=1, side=32)
