"""What surrounds a patch: the right part of the tile, at the right scale, whatever the symmetry."""

import numpy as np
import pytest
import torch

from core.inference.tta import transforms
from core.training.context_crops import make_tile_context
from models.network_context import GLOBAL_SIDE, join_contexts


def ramp(height=256, width=192):
    """An image whose red tells the row and whose green tells the column, within 256."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(height)[:, None] * 255 // height
    image[..., 1] = np.arange(width) * 255 // width
    return image


def test_boxes_are_shares_of_the_tile_and_statistics_are_of_all_of_it():
    image = ramp()
    context = make_tile_context(image, "none").cut([(64, 48), (0, 0)], (32, 48))
    assert torch.allclose(context.boxes, torch.tensor([[0.25, 0.25, 0.375, 0.5], [0, 0, 0.125, 0.25]]))
    assert context.images is None
    assert np.allclose(context.mean, image.reshape(-1, 3).mean(axis=0), atol=1e-3)
    assert np.allclose(context.deviation, image.reshape(-1, 3).std(axis=0), atol=1e-3)
    assert context.mean.shape == context.deviation.shape == (2, 3)


def test_the_whole_tile_made_small_is_the_same_for_every_patch():
    context = make_tile_context(ramp(), "global").cut([(0, 0), (64, 64)], (32, 32))
    assert context.images.shape == (2, 3, GLOBAL_SIDE, GLOBAL_SIDE)
    assert context.images.dtype == torch.uint8
    assert torch.equal(context.images[0], context.images[1])
    assert abs(int(context.images[0, 0, GLOBAL_SIDE // 2, 0]) - 127) <= 1


@pytest.mark.parametrize(("level", "scale"), [(0, 2), (1, 4)])
def test_surroundings_show_their_extent_around_the_same_centre(level, scale):
    """A working pixel's red is its row: so the reds of the surroundings tell which rows they show."""
    corner, size = (104, 80), (32, 24)
    around = make_tile_context(ramp(), "two-scales").cut([corner], size).images[0, level]
    assert around.shape == (3, *size)
    rows = (np.arange(size[0]) + 0.5) * scale + corner[0] + size[0] / 2 - scale * size[0] / 2 - 0.5
    columns = (np.arange(size[1]) + 0.5) * scale + corner[1] + size[1] / 2 - scale * size[1] / 2 - 0.5
    assert np.abs(around[0].numpy() - rows[:, None] * 255 / 256).max() <= scale
    assert np.abs(around[1].numpy() - columns * 255 / 192).max() <= scale * 255 / 192


def test_beyond_the_edge_the_tile_is_mirrored():
    tile = make_tile_context(ramp(64, 64), "two-scales")
    around = tile.cut([(0, 0)], (64, 64)).images[0]
    # Twice the tile's own extent: a quarter beyond each edge, at half the size.
    assert torch.equal(around[0, :, :16], around[0, :, 16:32].flip(-2))
    # Four times: mirrored again beyond the mirror.
    assert torch.equal(around[1, :, 8:24], around[1, :, 24:40].flip(-2))
    assert torch.equal(around[1, :, 40:56], around[1, :, 24:40].flip(-2))
    assert torch.equal(around[1, :, 56:], around[1, :, 48:56].flip(-2))


@pytest.mark.parametrize("surroundings", ["none", "global", "two-scales"])
@pytest.mark.parametrize("transform", transforms("d4"))
def test_a_moved_context_is_the_context_of_the_moved_tile(surroundings, transform):
    """Patches lie on a grid of 8, so that every symmetry moves whole pixels of the reduced tiles too."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (256, 256, 3), np.uint8)
    top, left, side = 96, 128, 64
    frame = np.zeros((256, 256, 1), np.uint8)
    frame[top : top + side, left : left + side] = 1
    moved_frame = np.argwhere(transform.forward(frame)[..., 0])
    corner = tuple(int(v) for v in moved_frame.min(axis=0))
    expected = make_tile_context(transform.forward(image), surroundings).cut([corner], (side, side))
    context = make_tile_context(image, surroundings).cut([(top, left)], (side, side))
    found = context.moved(transform.quarter_turns, mirrored=transform.mirrored)
    assert torch.allclose(found.boxes, expected.boxes)
    if surroundings != "none":
        assert torch.equal(found.images, expected.images)


def test_contexts_are_joined_in_order():
    tile = make_tile_context(ramp(), "two-scales")
    joined = join_contexts([tile.cut([(0, 0)], (32, 32)), tile.cut([(64, 32), (8, 8)], (32, 32))])
    whole = tile.cut([(0, 0), (64, 32), (8, 8)], (32, 32))
    assert all(torch.equal(a, b) for a, b in zip(joined, whole, strict=True))
    with pytest.raises(ValueError, match="either all"):
        join_contexts([joined, make_tile_context(ramp(), "none").cut([(0, 0)], (32, 32))])
