"""Test-time augmentation moves pixels there and exactly back."""

import numpy as np
import pytest

from core.errors import InputError
from core.inference.tta import Dihedral, transforms

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
