import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import pytest

from core.catalog.pyramid import LevelCache, build_levels, cut, max_zoom
from tests.core.catalog.pictures import noise


@pytest.mark.parametrize(
    ("width", "height", "zoom"), [(2448, 2448, 4), (256, 256, 0), (257, 10, 1), (1, 1, 0), (510, 597, 2)]
)
def test_at_zoom_0_the_whole_image_fits_one_map_tile(width: int, height: int, zoom: int) -> None:
    assert max_zoom(width, height) == zoom
    levels = build_levels(np.zeros((height, width), np.uint8))
    assert len(levels) == zoom + 1
    assert max(levels[-1].shape) <= 256


def test_map_tiles_at_the_highest_zoom_put_the_image_together_again() -> None:
    picture = noise(600, 300)
    levels = build_levels(picture)
    rows = [np.hstack([cut(levels, 2, x, y) for x in range(3)]) for y in range(2)]
    assert (np.vstack(rows) == picture).all()
    assert cut(levels, 2, 2, 1).shape == (44, 88, 3)


@pytest.mark.parametrize("address", [(3, 0, 0), (2, 3, 0), (2, 0, 2), (-1, 0, 0), (2, -1, 0)])
def test_there_is_nothing_outside(address: tuple[int, int, int]) -> None:
    assert cut(build_levels(noise(600, 300)), *address) is None


def test_classes_are_never_mixed_on_the_way_down() -> None:
    raster = np.where(noise(700, 700)[..., 0] > 127, 255, 3).astype(np.uint8)
    assert set(np.unique(build_levels(raster)[-1])) <= {3, 255}


def test_sixteen_threads_that_ask_at_once_cost_one_decoding() -> None:
    cache, calls, lock = LevelCache(), [], Lock()

    def load() -> np.ndarray:
        with lock:
            calls.append(1)
        time.sleep(0.05)
        return noise()

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: cache.get("a", load), range(16)))
    assert len(calls) == 1
    assert all(result is results[0] for result in results)


def test_memory_stays_within_the_bound_and_the_least_used_goes_first() -> None:
    size = noise().nbytes
    cache = LevelCache(max_bytes=3 * size)
    for key in "abc":
        cache.get(key, noise)
    cache.get("a", lambda: pytest.fail("a was here"))
    cache.get("d", noise)
    assert cache.held_bytes() == 3 * size
    cache.get("a", lambda: pytest.fail("a was used lately and must still be here"))
    loaded = []
    cache.get("b", lambda: loaded.append(1) or noise())
    assert loaded == [1]


def test_a_failure_is_passed_on_and_not_remembered() -> None:
    cache = LevelCache()

    def fail() -> np.ndarray:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        cache.get("a", fail)
    assert (cache.get("a", noise)[0] == noise()).all()
