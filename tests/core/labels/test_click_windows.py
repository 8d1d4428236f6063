import numpy as np
import pytest

from core.errors import InputError
from core.labels import click_windows
from core.tables import Tile


def tile(height, width):
    return Tile(name="t", height=height, width=width)


@pytest.mark.parametrize("shape", [(2448, 2448), (3000, 2000), (1900, 700), (5000, 1224)])
def test_the_finer_windows_cover_the_tile_and_lie_in_it(shape):
    covered = np.zeros(shape, bool)
    for window in click_windows.finer(tile(*shape)):
        box = window.box
        assert min(box.top, box.left) >= 0
        assert box.top + box.height <= shape[0]
        assert box.left + box.width <= shape[1]
        covered[box.slices] = True
    assert covered.all()


def test_a_deepglobe_tile_has_nine_finer_windows_and_a_small_tile_none():
    assert [window.name for window in click_windows.finer(tile(2448, 2448))][:4] == ["0,0", "0,1", "0,2", "1,0"]
    assert len(click_windows.finer(tile(2448, 2448))) == 9
    assert click_windows.finer(tile(1500, 1500)) == []


def test_a_window_is_found_by_its_name():
    large = tile(2448, 2448)
    assert click_windows.named(large, "tile") == click_windows.whole(large)
    assert click_windows.named(large, "1,2").box.left == 1224


@pytest.mark.parametrize("name", ["3,0", "x", "", "1,2,3", "../tile"])
def test_a_window_that_is_none_is_refused(name):
    with pytest.raises(InputError, match="has no window"):
        click_windows.named(tile(2448, 2448), name)
