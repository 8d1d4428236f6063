"""Test-time augmentation moves pixels there and exactly back."""

import numpy as np
import pytest

from core.errors import InputError
from core.inference.tta import SCALES, TTA_NAMES, Dihedral, View, transforms, views

SHAPES = [(5, 5), (3, 7), (6, 2), (1, 1)]


@pytest.mark.parametrize(("name", "count"), [("none", 1), ("flips", 4), ("d4", 8)])
def test_each_set_has_its_number_of_different_symmetries(name, count):
    image = np.arange(25).reshape(5, 5)
    seen = {symmetry.forward(image).tobytes() for symmetry in transforms(name)}
    assert len(transforms(name)) == len(seen) == count


@pytest.mark.parametrize("symmetry", transforms("d4"), ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_going_back_restores_every_pixel(symmetry: Dihedral, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    moved = symmetry.forward(image)
    assert moved.shape[:2] == (shape[::-1] if symmetry.swaps_axes else shape)
    back = symmetry.inverse(np.ascontiguousarray(moved.transpose(2, 0, 1)))
    np.testing.assert_array_equal(back.transpose(1, 2, 0), image)


@pytest.mark.parametrize("symmetry", transforms("d4"), ids=str)
def test_results_are_contiguous_so_that_torch_can_wrap_them(symmetry: Dihedral):
    assert symmetry.forward(np.zeros((4, 6, 3), np.float32)).flags.c_contiguous
    assert symmetry.inverse(np.zeros((6, 4, 6), np.float32)).flags.c_contiguous


@pytest.mark.parametrize("symmetry", transforms("d4"), ids=str)
def test_a_plane_without_channels_moves_like_an_image(symmetry: Dihedral):
    plane = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(symmetry.forward(plane), symmetry.forward(plane[..., None])[..., 0])


@pytest.mark.parametrize("name", ["none", "flips", "d4"])
def test_the_first_symmetry_leaves_the_image_alone(name):
    image = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(transforms(name)[0].forward(image), image)


def test_flips_keep_the_shape_of_a_tile_that_is_not_square():
    assert not any(symmetry.swaps_axes for symmetry in transforms("flips"))


def test_averaging_over_d4_undoes_what_depends_on_the_orientation():
    image = np.random.default_rng(1).random((6, 6, 1))
    ramp = np.linspace(-1, 1, 6)[None, :]  # a network that leans towards the right-hand side

    def network(moved):
        return (moved[..., 0] + ramp)[None]

    mean = np.mean([s.inverse(network(s.forward(image))) for s in transforms("d4")], axis=0)
    np.testing.assert_allclose(mean[0], image[..., 0], atol=1e-12)


def test_an_unknown_name_is_refused_with_the_choices():
    with pytest.raises(InputError, match="none, flips, d4"):
        transforms("rotate")


@pytest.mark.parametrize("name", TTA_NAMES)
def test_the_first_view_leaves_the_tile_as_it_is(name):
    image = np.random.default_rng(0).integers(0, 256, (17, 30, 3), np.uint8)
    np.testing.assert_array_equal(views(name)[0].forward(image, (17, 30)), image)


def test_all_views_are_every_symmetry_at_every_scale():
    assert len(set(views("all"))) == 8 * len(SCALES) == 24
    assert {view.scale for view in views("scales")} == set(SCALES)
    assert views("flips") == tuple(View(symmetry) for symmetry in transforms("flips"))


@pytest.mark.parametrize("view", views("all"), ids=str)
def test_maps_come_back_to_their_place_from_every_scale(view: View):
    """A bright corner of the tile is bright there again, and shares of classes still sum to 1."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :20] = 255
    seen = view.forward(image, (40, 60))
    bright = seen[..., 0].astype(np.float32) / 255
    back = view.inverse(np.stack([bright, 1 - bright]), (40, 60))
    assert (back.shape, back.dtype) == ((2, 40, 60), np.float32)
    assert back.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(back.sum(axis=0), 1, atol=1e-6)
    assert back[0, :18, :18].min() > 0.99
    assert back[0, 22:, :].max() == back[0, :, 22:].max() == 0


def test_a_scaled_view_takes_its_pixels_straight_from_the_tile():
    """Seen at a half of its pixels but twice as large, the tile is as it is: nothing is shrunk and enlarged again."""
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(View(transforms("none")[0], 2.0).forward(image, (8, 8)), image)


def test_a_tile_of_one_pixel_has_every_view():
    image = np.full((1, 1, 3), 7, np.uint8)
    for view in views("all"):
        assert view.inverse(view.forward(image, (1, 1)).transpose(2, 0, 1).astype(np.float32), (1, 1)).ravel()[0] == 7


def test_an_unknown_set_of_views_is_refused_with_the_choices():
    with pytest.raises(InputError, match="none, flips, d4, scales, all"):
        views("rotate")
