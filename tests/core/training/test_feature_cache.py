import os

import numpy as np
import pytest

from core.training.feature_cache import FeatureCache

SHAPE = (3, 4, 5)


class Computed:
    """Counts how often features had to be computed."""

    def __init__(self, value=1.0):
        self.times = 0
        self.value = value

    def __call__(self):
        self.times += 1
        return np.full(SHAPE, self.value, np.float16)


def fetch(cache, compute, fingerprint="aa", identity="lite0-1m"):
    return cache.fetch(fingerprint=fingerprint, extractor_identity=identity, shape=SHAPE, compute=compute)


def test_features_are_computed_once(tmp_path):
    cache, compute = FeatureCache(tmp_path), Computed()
    first, again = fetch(cache, compute), fetch(cache, compute)
    assert compute.times == 1
    assert (first == again).all()
    assert again.dtype == np.float16


def test_another_tile_or_another_extractor_has_features_of_its_own(tmp_path):
    cache = FeatureCache(tmp_path)
    assert fetch(cache, Computed(1))[0, 0, 0] == 1
    assert fetch(cache, Computed(2), fingerprint="bb")[0, 0, 0] == 2
    assert fetch(cache, Computed(3), identity="lite2-1m")[0, 0, 0] == 3


def test_mapped_features_are_the_same_and_stay_on_disk(tmp_path):
    cache, compute = FeatureCache(tmp_path), Computed(3.0)
    for _ in range(2):
        found = cache.fetch(fingerprint="aa", extractor_identity="x", shape=SHAPE, compute=compute, mapped=True)
        assert isinstance(found, np.memmap)
        assert (found == 3).all()
    assert compute.times == 1


def test_mapped_features_outlive_their_file(tmp_path):
    cache = FeatureCache(tmp_path)
    found = cache.fetch(fingerprint="aa", extractor_identity="x", shape=SHAPE, compute=Computed(3.0), mapped=True)
    next(tmp_path.glob("*.npy")).unlink()  # another process made room
    assert (found == 3).all()


def test_superpixels_are_kept_beside_the_features(tmp_path):
    cache, times = FeatureCache(tmp_path), []

    def cut():
        times.append(1)
        return np.arange(6, dtype=np.uint16).reshape(2, 3)

    for _ in range(2):
        found = cache.fetch_pieces(fingerprint="aa", identity="superpixels", shape=(2, 3), compute=cut)
        assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert len(times) == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "shape", "dtype", "pickle", "archive"])
def test_a_damaged_or_foreign_file_is_computed_anew(tmp_path, damage):
    cache, compute = FeatureCache(tmp_path), Computed()
    fetch(cache, compute)
    (file,) = tmp_path.glob("*.npy")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif damage in {"empty", "foreign"}:
        file.write_bytes(b"" if damage == "empty" else b"hello")
    elif damage == "archive":
        with file.open("wb") as stream:
            np.savez(stream, a=np.zeros(3))
    else:
        replacement = {
            "shape": np.zeros((3, 4, 4), np.float16),
            "dtype": np.zeros(SHAPE, np.float32),
            "pickle": np.array([object()]),
        }[damage]
        np.save(file, replacement, allow_pickle=True)
    assert (fetch(cache, compute) == 1).all()
    assert compute.times == 2
    assert (fetch(cache, compute) == 1).all()
    assert compute.times == 2


def test_the_files_unused_for_longest_go_when_the_cache_is_full(tmp_path):
    fetch(FeatureCache(tmp_path), Computed(), "first")
    size = next(tmp_path.glob("*.npy")).stat().st_size
    cache = FeatureCache(tmp_path, limit_bytes=2 * size)
    fetch(cache, Computed(), "second")
    for age, name in ((200, "first"), (100, "second")):
        (file,) = tmp_path.glob(f"{name}-*")
        os.utime(file, (file.stat().st_atime - age, file.stat().st_mtime - age))
    fetch(cache, Computed(), "first")  # used again: now the second is the oldest
    fetch(cache, Computed(), "third")
    assert sorted(f.name.split("-")[0] for f in tmp_path.iterdir()) == ["first", "third"]


def test_a_tile_larger_than_the_whole_cache_is_kept_until_the_next(tmp_path):
    cache, compute = FeatureCache(tmp_path, limit_bytes=1), Computed()
    fetch(cache, compute)
    fetch(cache, compute)
    assert compute.times == 1


def test_no_part_of_a_file_is_left_when_computing_fails(tmp_path):
    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        fetch(FeatureCache(tmp_path), fail)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_would_leave_the_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="file's name"):
        fetch(FeatureCache(tmp_path), Computed(), fingerprint="../../etc/passwd")
