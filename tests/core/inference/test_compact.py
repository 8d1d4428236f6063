"""What is kept of probabilities, and how near it comes to them."""

import numpy as np
import pytest

from core.inference.compact import CompactProbabilities, pack, read_compact, unpack, write_compact
from core.inference.predict import upsampled_probabilities
from core.training.cell_grid import cell_grid


def random_probabilities(shape):
    logits = np.random.default_rng(0).normal(0, 3, (6, *shape)).astype(np.float32)
    return np.exp(logits) / np.exp(logits).sum(axis=0)


def test_of_cells_the_pixels_come_back_as_the_head_itself_would_draw_them():
    import torch

    grid = cell_grid((100, 80), metres_per_pixel=(0.5, 0.5), resolution_m=1.0)
    logits = np.random.default_rng(1).normal(0, 4, (6, *grid.cells)).astype(np.float32)
    drawn = upsampled_probabilities(torch.from_numpy(logits), grid)
    by_cell = np.asarray(torch.from_numpy(logits).softmax(dim=0))
    kept = unpack(pack(CompactProbabilities.by_cell(by_cell, grid)))
    assert np.allclose(kept.expand(), drawn, atol=1e-5)


def test_of_pixels_they_come_back_to_a_hundredth_and_small_ones_far_closer():
    probabilities = random_probabilities((40, 50))
    back = unpack(pack(CompactProbabilities.by_pixel(probabilities))).expand()
    assert np.abs(back - probabilities).max() < 0.01
    small = probabilities < 0.001
    assert np.abs(back - probabilities)[small].max() < 2e-4
    assert np.allclose(back.sum(axis=0), 1, atol=1e-5)
    sure = np.sort(probabilities, axis=0)[-1] - np.sort(probabilities, axis=0)[-2] > 0.02
    assert np.array_equal(back.argmax(axis=0)[sure], probabilities.argmax(axis=0)[sure])


def test_what_a_presence_head_said_is_kept_with_them():
    presence = np.linspace(0, 1, 6, dtype=np.float32)
    kept = CompactProbabilities.by_pixel(random_probabilities((4, 4)), presence)
    assert np.array_equal(unpack(pack(kept)).presence, presence)


def test_a_file_that_is_cut_short_or_gone_counts_as_missing(tmp_path):
    path = tmp_path / "one.look"
    assert read_compact(path) is None
    write_compact(path, CompactProbabilities.by_pixel(random_probabilities((8, 8))))
    assert read_compact(path) is not None
    path.write_bytes(path.read_bytes()[:-40])
    assert read_compact(path) is None
    with pytest.raises(ValueError, match=r"pickled|probabilities"):
        unpack(b"nothing")
