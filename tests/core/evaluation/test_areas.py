"""Class areas from a map and its confusion matrix."""

import numpy as np
import pytest

from core.classes import CLASS_NAMES, UNLABELLED
from core.evaluation.areas import estimate_areas, stratified_areas, stratum_pixels

# Olofsson et al. 2014, section 5: pixels of 30 m mapped as deforestation, forest gain, stable forest and stable
# non-forest, and the sample of 640 (its table 8; rows the map, columns the reference).
PAPER_MAPPED = np.array([200_000, 150_000, 3_200_000, 6_450_000]) * 0.09
PAPER_MATRIX = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]], float)


def confusion(seed, *, pixels=10_000, right=0.8):
    """A tile's (6, 7) matrix: most pixels right, the others anywhere."""
    generator = np.random.default_rng(seed)
    truth = generator.dirichlet(np.ones(6))
    cells = np.array(
        [truth[i] * (right * np.eye(7)[i] + (1 - right) * generator.dirichlet(np.ones(7))) for i in range(6)]
    )
    return np.round(pixels * cells).astype(np.int64)


def test_the_worked_example_of_the_paper_comes_out_to_the_hectare():
    found = stratified_areas(PAPER_MAPPED, PAPER_MATRIX)
    assert found.areas.round().tolist() == [21_158, 11_686, 285_770, 581_386]
    assert (1.96 * found.errors).round().tolist() == [6_158, 3_756, 15_510, 16_282]


def test_a_map_without_errors_is_estimated_as_it_was_counted():
    matrices = [np.eye(6, 7, dtype=np.int64) * 100 for _ in range(6)]
    mapped = np.array([1, 2, 3, 4, 5, 6, 0]) * 1e4
    found = estimate_areas(mapped, matrices)
    assert [one.name for one in found.classes] == list(CLASS_NAMES)
    for one in found.classes:
        assert one.estimated == pytest.approx(one.counted)
        assert one.over_tiles == pytest.approx((one.counted, one.counted))
        assert one.by_formula == pytest.approx((one.counted, one.counted))
    assert found.total == pytest.approx(21)


def test_a_class_that_is_often_missed_is_estimated_larger_than_it_was_counted():
    matrix = np.zeros((6, 7), np.int64)
    matrix[3, 3], matrix[3, 1], matrix[1, 1] = 50, 50, 100  # half of the forest is taken for agriculture
    mapped = np.array([0, 150, 0, 50, 0, 0, 0]) * 1e4
    by_name = {one.name: one for one in estimate_areas(mapped, [matrix] * 6).classes}
    assert by_name["forest"].counted == pytest.approx(50)
    assert by_name["forest"].estimated == pytest.approx(100)
    assert by_name["agriculture"].estimated == pytest.approx(100)
    assert by_name["forest"].counted_is == "too small"
    assert "agriculture too large, forest too small" in estimate_areas(mapped, [matrix] * 6).sentence


def test_tiles_that_differ_too_much_to_say_anything_are_told_loudly():
    matrices = []
    for land in range(6):  # every tile is of another class, and half of each is taken for urban
        matrix = np.zeros((6, 7), np.int64)
        matrix[land, land], matrix[land, 0] = 50, 50
        matrices.append(matrix)
    found = estimate_areas(np.array([60, 10, 10, 10, 10, 10, 0]) * 1e4, matrices)
    assert any("judge more tiles before you use them" in note for note in found.notes)


def test_estimated_areas_sum_to_the_whole_and_lie_in_their_intervals():
    mapped = np.array([5, 40, 20, 10, 3, 8, 4]) * 1e4
    found = estimate_areas(mapped, [confusion(seed) for seed in range(8)])
    assert sum(one.estimated for one in found.classes) == pytest.approx(found.total)
    for one in found.classes:
        assert 0 <= one.over_tiles[0] <= one.estimated <= one.over_tiles[1] <= found.total
        assert one.by_formula[0] <= one.estimated <= one.by_formula[1]


def test_tiles_of_many_alike_pixels_make_the_formula_far_more_confident_than_the_tiles_do():
    mapped = np.array([5, 40, 20, 10, 3, 8, 0]) * 1e4
    matrices = [confusion(seed, pixels=6_000_000, right=0.5 + 0.05 * seed) for seed in range(8)]
    for one in estimate_areas(mapped, matrices).classes:
        assert one.over_tiles[1] - one.over_tiles[0] > 20 * (one.by_formula[1] - one.by_formula[0])


def test_the_interval_over_tiles_holds_the_true_area_about_as_often_as_it_says():
    """Ten judged tiles of a population of many; the map is counted on all of it."""
    population = np.stack([confusion(seed, right=0.6 + 0.3 * (seed % 10) / 10) for seed in range(400)])
    mapped, true = population.sum(axis=(0, 1)) * 1.0, population.sum(axis=(0, 2)) / 1e4
    inside = []
    for trial in range(120):
        drawn = np.random.default_rng(trial).choice(len(population), 10, replace=False)
        found = estimate_areas(mapped, list(population[drawn]))
        inside += [
            one.over_tiles[0] <= area <= one.over_tiles[1] for one, area in zip(found.classes, true, strict=True)
        ]
    assert 0.9 <= np.mean(inside) <= 1.0


def test_one_judged_tile_says_nothing_of_others():
    found = estimate_areas(np.array([5, 40, 20, 10, 3, 8, 0]) * 1e4, [confusion(1)])
    assert found.classes[0].over_tiles == (0.0, found.total)
    assert "1 tile only" in found.notes[0]


def test_a_class_that_was_never_judged_stays_as_counted_and_is_told():
    matrix = np.zeros((6, 7), np.int64)
    matrix[0, 0], matrix[1, 1] = 50, 50
    found = estimate_areas(np.array([10, 10, 0, 0, 7, 0, 0]) * 1e4, [matrix] * 5)
    assert {one.name: one.estimated for one in found.classes}["water"] == pytest.approx(7)
    assert any("predicted as water" in note for note in found.notes)


def test_pixels_left_unlabelled_are_shared_out_as_the_judged_ones_were():
    matrix = np.zeros((6, 7), np.int64)
    matrix[0, 0], matrix[0, 6] = 50, 10  # all that was left unlabelled is truly urban
    found = estimate_areas(np.array([10, 0, 0, 0, 0, 0, 5]) * 1e4, [matrix] * 5)
    assert found.unmapped == pytest.approx(5)
    assert found.classes[0].estimated == pytest.approx(15)


def test_nothing_judged_or_nothing_mapped_is_refused():
    with pytest.raises(ValueError, match="judged pixels"):
        estimate_areas(np.ones(7), [np.zeros((6, 7), np.int64)])
    with pytest.raises(ValueError, match="judged pixels"):
        estimate_areas(np.zeros(7), [confusion(0)])


def test_pixels_are_counted_by_what_they_are_mapped_as():
    raster = np.array([[0, 0, 5], [UNLABELLED, 1, 5]], np.uint8)
    assert stratum_pixels(raster).tolist() == [2, 1, 0, 0, 0, 2, 1]
