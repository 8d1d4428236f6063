import numpy as np
import pytest

from core.catalog.alike.likeness_grid import ASSIGNED_AT_ONCE, grid_by_likeness, snap_to_grid
from tests.core.catalog.alike.looked import two_kinds


@pytest.mark.parametrize(("count", "columns"), [(0, 1), (1, 1), (7, 3), (59, 8), (ASSIGNED_AT_ONCE * 3 + 7, 47)])
def test_every_point_gets_one_cell(count, columns):
    points = np.random.default_rng(0).normal(size=(count, 2))
    assert sorted(snap_to_grid(points, columns).tolist()) == list(range(count))


@pytest.mark.parametrize("count", [60, ASSIGNED_AT_ONCE * 4])
def test_points_on_a_grid_stay_where_they_are(count):
    columns = round(np.sqrt(count))
    cells = np.arange(count)
    points = np.stack([cells % columns, cells // columns], axis=1) * 3.0
    mixed = np.random.default_rng(0).permutation(count)
    np.testing.assert_array_equal(mixed[snap_to_grid(points[mixed], columns)], cells)


@pytest.mark.parametrize("count", [24, 80])
def test_tiles_of_one_kind_lie_together(count):
    columns = round(np.sqrt(count))
    vectors = two_kinds(count) - two_kinds(count).mean(axis=0)
    order = grid_by_likeness(vectors, columns)
    kinds = order < count // 2
    beside = [kinds[cell] == kinds[cell + 1] for cell in range(count - 1) if (cell + 1) % columns]
    below = [kinds[cell] == kinds[cell + columns] for cell in range(count - columns)]
    assert np.mean([*beside, *below]) > 0.65  # one border between two halves; chance is a half
    np.testing.assert_array_equal(order, grid_by_likeness(vectors, columns))
