import numpy as np

from core.classes import UNLABELLED
from core.training.cell_grid import cell_grid
from core.training.cells import balanced_sample, label_cells

GRID = cell_grid((64, 64), metres_per_pixel=(0.5, 0.5), resolution_m=1.0)  # 4 x 4 cells of 16 pixels


def blank():
    return np.full((64, 64), UNLABELLED, np.uint8)


def test_unlabelled_pixels_count_in_no_cell():
    cells = label_cells(blank(), GRID)
    assert (cells.classes == UNLABELLED).all()
    assert cells.counts.sum() == 0
    assert not cells.weights.any()


def test_the_majority_of_the_labelled_pixels_names_the_cell():
    raster = blank()
    raster[0:16, 0:3] = 2
    raster[0:16, 3:5] = 4
    cells = label_cells(raster, GRID)
    assert cells.classes[0, 0] == 2
    assert cells.counts[0, 0].tolist() == [0, 0, 48, 0, 32, 0]
    assert cells.weights[0, 0] == np.float32(48 / 256)
    assert (cells.classes != UNLABELLED).sum() == 1


def test_cells_over_the_edge_weigh_by_the_pixels_they_really_have():
    raster = np.full((40, 40), 5, np.uint8)  # 20 working pixels: 2.5 cells
    cells = label_cells(raster, cell_grid((40, 40), metres_per_pixel=(0.5, 0.5), resolution_m=1.0))
    assert cells.classes.shape == (3, 3)
    assert (cells.weights == 1).all()
    assert cells.counts.sum() == 1600


def test_a_sample_takes_all_of_a_rare_class_and_shares_the_rest():
    first = np.zeros((30, 30), np.uint8)
    second = np.full((30, 30), 1, np.uint8)
    second[0, :10] = 4
    second[5] = UNLABELLED
    chosen, stands_for = balanced_sample([first, second], limit=210, generator=np.random.default_rng(0))
    taken = np.concatenate([c.ravel()[i] for c, i in zip((first, second), chosen, strict=True)])
    assert np.bincount(taken, minlength=6).tolist() == [100, 100, 0, 0, 10, 0]
    assert stands_for[[0, 4]].tolist() == [9.0, 1.0]
    assert UNLABELLED not in taken


def test_a_sample_within_the_limit_is_everything_labelled():
    classes = np.array([[0, 1], [UNLABELLED, 2]], np.uint8)
    chosen, stands_for = balanced_sample([classes], limit=100, generator=np.random.default_rng(0))
    assert chosen[0].tolist() == [0, 1, 3]
    assert (stands_for == 1).all()


def test_the_same_seed_chooses_the_same_cells():
    classes = [np.random.default_rng(1).integers(0, 6, (50, 50)).astype(np.uint8)]
    first, _ = balanced_sample(classes, limit=300, generator=np.random.default_rng(3))
    again, _ = balanced_sample(classes, limit=300, generator=np.random.default_rng(3))
    assert (first[0] == again[0]).all()
