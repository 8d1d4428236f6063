"""A piece of a tile before and after its refinement."""

import numpy as np
import pytest

from core.inference.presence import mean_presence
from core.inference.preview import SIDE, cut, least_sure_places, picture, try_switches
from core.inference.switches import Switches
from core.inference.tile_prediction import MeanLook, TileImage, finish


def tile(height, width, seed=0):
    """A flat picture of which a model says rangeland nearly everywhere, with specks of doubt in one corner."""
    probabilities = np.full((6, height, width), 0.02, np.float32)
    probabilities[2] = 0.9
    specks = np.random.default_rng(seed).random((height, width)) < 0.2
    specks[: height // 2] = specks[:, : width // 2] = False
    probabilities[3][specks], probabilities[2][specks] = 0.5, 0.42
    pixels = np.full((height, width, 3), 90, np.uint8)
    return MeanLook(probabilities, mean_presence(probabilities)), TileImage(pixels, (0.5, 0.5), "print")


def test_the_least_sure_place_comes_first_and_none_comes_twice():
    said, _ = tile(2 * SIDE, 2 * SIDE + 100)
    places = least_sure_places(said.probabilities, count=3)
    assert places[0] == (SIDE, SIDE)
    assert len(set(places)) == 3


def test_a_piece_says_what_the_whole_tile_says_there():
    said, image = tile(2 * SIDE, 2 * SIDE)
    switches = Switches(refinement="guided")
    whole, _ = finish(said, image, switches)
    tried = try_switches(cut(said, image, (SIDE, SIDE)), switches)
    np.testing.assert_array_equal(tried.before, said.probabilities.argmax(axis=0)[SIDE:, SIDE:])
    np.testing.assert_array_equal(tried.after, whole[SIDE:, SIDE:])
    assert tried.changed == pytest.approx((tried.before != tried.after).mean())
    assert tried.changed > 0.1


@pytest.mark.parametrize("shape", [(1, 1), (31, 700), (SIDE, SIDE), (SIDE + 10, 2 * SIDE + 1)])
def test_tiles_of_any_size_have_a_piece(shape):
    said, image = tile(*shape)
    for place in least_sure_places(said.probabilities, count=9):
        piece = cut(said, image, place)
        tried = try_switches(piece, Switches(refinement="crf"))
        assert tried.after.shape == (min(shape[0], SIDE), min(shape[1], SIDE))
        assert picture(piece, tried.after).shape == (*tried.after.shape, 3)
        assert picture(piece, None).max() == 90
