import cv2
import numpy as np
import pytest

from core.catalog.alike.looks import borders_of
from core.catalog.alike.neighbours import find_neighbours
from core.errors import CancelledError
from core.progress import CancelFlag, SilentProgress
from tests.core.catalog.pictures import SHARED, noise
from tests.pieces import cut, judge_pieces
from tests.scenes import small_pair

SIDE = 1024


@pytest.mark.parametrize("seed", range(3))
def test_the_tiles_of_a_scene_find_their_neighbours_among_others(seed):
    mosaic = cut(small_pair(seed, SIDE).image, 4, picture=0, quality=90)
    # Of the other scenes every second tile in a checkerboard, so that none has a neighbour.
    others = [
        piece
        for number in range(1, 4)
        for piece in cut(small_pair(seed + 10 * number, SIDE).image, 4, picture=number, quality=90)
        if (piece.row + piece.column) % 2
    ]
    found = judge_pieces([*mosaic, *others], seed)
    assert found.there == 24
    assert found.right / found.there >= 0.95
    assert found.right / found.pairs >= 0.95


def test_tiles_of_different_scenes_are_no_neighbours():
    found = judge_pieces([cut(small_pair(seed, SIDE).image, 4, picture=seed)[5] for seed in range(8)], seed=0)
    assert (found.pairs, found.there) == (0, 0)


def test_edges_meet_only_in_brightness_and_length_as_they_are():
    left, right = small_pair(0, SIDE).image[:, :512], small_pair(0, SIDE).image[:, 512:]
    borders = np.stack([borders_of(left), borders_of(right)])
    same = np.array([[SIDE, 512]] * 2)
    [pair] = find_neighbours(borders, same, SilentProgress())
    assert (pair.first, pair.second, pair.side) == (0, 1, "right")
    assert not find_neighbours(borders, np.array([[SIDE, 512], [SIDE - 1, 512]]), SilentProgress())
    brighter = np.stack([borders[0], borders[1] + np.float16(40)])
    assert not find_neighbours(brighter, same, SilentProgress())


def test_black_and_plain_edges_meet_nothing():
    black, plain = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 90, np.uint8)
    slanted = noise(64, 64)
    slanted[:, 20:] = 0  # a mosaic's margin without data: the top edges of both are black for the same two thirds
    borders = np.stack([borders_of(image) for image in (black, black, plain, plain, slanted, slanted[::-1])])
    assert not find_neighbours(borders, np.full((6, 2), 64), SilentProgress())


def test_a_cancel_stops_the_comparison():
    flag = CancelFlag()
    flag.raised = True
    with pytest.raises(CancelledError):
        find_neighbours(np.stack([borders_of(noise())] * 2), np.full((2, 2), 64), SilentProgress(flag))


@pytest.mark.real
def test_four_pairs_of_the_real_tiles_lie_side_by_side():
    paths = sorted((SHARED / "deepglobe").glob("*/*_sat.jpg"))
    if not paths:
        pytest.skip("the real tiles are not beside the project")
    names = [path.name.removesuffix("_sat.jpg") for path in paths]
    borders = np.stack([borders_of(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)) for path in paths])
    pairs = find_neighbours(borders, np.full((len(paths), 2), 2448), SilentProgress())
    assert {(names[pair.first], names[pair.second], pair.side) for pair in pairs} == {
        ("482365", "180902", "right"),  # on two sides of GLNet's split: one trains, the other validates
        ("162964", "4102", "right"),
        ("118757", "4102", "below"),
        ("8285", "999380", "below"),
    }
