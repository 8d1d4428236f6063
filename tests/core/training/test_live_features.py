from dataclasses import dataclass

import numpy as np
import pytest
import torch

from core.progress import SilentProgress
from core.tables import Tile
from core.training.live_features import LiveFeatures

SHAPE = (4, 6, 7)
BYTES = 4 * 6 * 7 * 2
TABLE_BYTES = 4 * 7 * 8 * 8


@dataclass
class Source:
    """Stands for the cache on disk, and counts how often it is read."""

    reads: list

    def read(self, tile, _progress):
        self.reads.append(tile.name)
        return np.random.default_rng(int(tile.name)).normal(size=SHAPE).astype(np.float16)


def tile(number):
    return Tile(name=str(number), fingerprint=f"print-{number}")


@pytest.fixture
def source():
    return Source([])


def test_features_in_memory_are_bounded_and_those_used_longest_ago_go(source):
    features = LiveFeatures(source, SilentProgress(), feature_bytes=2 * BYTES)
    for number in (1, 2, 1, 3, 1, 2):
        features.of(tile(number))
        assert features.held_bytes <= 2 * BYTES
    assert source.reads == ["1", "2", "3", "2"]


def test_vectors_are_the_same_with_and_without_the_running_sums(source):
    features = LiveFeatures(source, SilentProgress())
    cells = torch.tensor([0, 11, 41])
    before = features.vectors(tile(1), cells, (1, 3))
    features.prepare(tile(1))
    assert torch.equal(features.vectors(tile(1), cells, (1, 3)), before)
    assert features.held_bytes == BYTES + TABLE_BYTES


def test_running_sums_are_kept_for_the_last_tiles_only(source):
    features = LiveFeatures(source, SilentProgress(), table_bytes=TABLE_BYTES)
    for number in (1, 2, 3):
        features.prepare(tile(number))
    assert features.held_bytes == 3 * BYTES + TABLE_BYTES


def test_one_tile_too_large_for_the_bound_is_still_worked_on(source):
    features = LiveFeatures(source, SilentProgress(), feature_bytes=1, table_bytes=1)
    for _ in range(2):
        features.prepare(tile(1))
    assert source.reads == ["1"]
