"""Counting near the borders of classes."""

import json

import cv2
import numpy as np
import pytest

from core.evaluation.boundaries import (
    BoundaryCounts,
    boundary_ious,
    contour_distance,
    count_boundaries,
    near_other_class,
)
from core.evaluation.boundary_scores import boundary_summary
from core.evaluation.confusion import count
from tests.core.evaluation.masks import blobs, worsen


def published_boundary(mask, distance):
    """``mask_to_boundary`` of the program that the authors published (Cheng et al. 2021), step by step."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)
    return mask - eroded[1:-1, 1:-1]


def published_iou(truth, prediction, distance):
    a, b = (published_boundary(mask.astype(np.uint8), distance) for mask in (truth, prediction))
    return (a & b).sum() / (a | b).sum()


def square(size=40, low=10, high=30):
    raster = np.zeros((size, size), np.uint8)
    raster[low:high, low:high] = 4
    return raster


@pytest.mark.parametrize("distance", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_class_equals_the_published_program(seed, distance):
    drawn = (np.random.default_rng([seed, i]).integers(0, 6, (7, 6), dtype=np.uint8) for i in (0, 1))
    truth, prediction = (np.kron(one, np.ones((9, 11), np.uint8)) for one in drawn)
    found = boundary_ious(count_boundaries(truth, prediction, distance=distance).contours, "counts as wrong")
    for index in range(6):
        assert found[index] == pytest.approx(published_iou(truth == index, prediction == index, distance), abs=1e-12)


def test_a_square_that_is_shifted_by_one_pixel_has_the_boundary_iou_of_pencil_and_paper():
    truth, prediction = square(), np.roll(square(), 1, axis=1)
    # A ring 1 px wide of a 20 x 20 square has 76 pixels; shifted by one to the right, the two share 19 of the top row,
    # 19 of the bottom row, and none of the 18 between of either side.
    counts = count_boundaries(truth, prediction, distance=1)
    assert counts.contours[4].tolist() == [76, 0, 76, 38]
    assert boundary_ious(counts.contours, "counts as wrong")[4] == pytest.approx(38 / (76 + 76 - 38))


def test_a_perfect_prediction_has_a_boundary_iou_of_one_whatever_it_says_where_the_truth_is_unknown():
    truth = blobs(3, (96, 80))
    prediction = np.where(truth == 255, np.random.default_rng(0).integers(0, 6, truth.shape), truth).astype(np.uint8)
    found = boundary_ious(count_boundaries(truth, prediction).contours, "counts as wrong")
    assert set(found[~np.isnan(found)]) == {1.0}


def test_where_a_class_meets_the_unlabelled_is_no_contour():
    truth = np.full((30, 30), 255, np.uint8)
    truth[10:20, 10:20] = 2
    assert not near_other_class(truth, 3, edge=True).any()
    truth[10:20, 20] = 3
    assert near_other_class(truth, 3, edge=True)[10:20, 17:21].all()
    assert not near_other_class(truth, 3, edge=True)[10:20, 10:17].any()


def test_an_absent_class_has_no_boundary_iou_and_an_unknown_tile_none_at_all():
    found = boundary_ious(count_boundaries(square(), square()).contours, "counts as wrong")
    assert np.isnan(found[[1, 2, 3, 5]]).all()
    unknown = np.full((8, 8), 255, np.uint8)
    summary = boundary_summary([count_boundaries(unknown, square(8, 2, 6))], [count(unknown, square(8, 2, 6))])
    assert (summary["mbiou"], summary["biou"], summary["interval"]["mbiou"]) == (None, {}, None)
    assert summary["bands"]["3"]["miou"] is None


def test_one_pixel_is_all_contour():
    truth = square(20, 10, 11)
    counts = count_boundaries(truth, np.zeros_like(truth), distance=2)
    assert counts.contours[4].tolist() == [1, 0, 0, 0]
    assert boundary_ious(counts.contours, "counts as wrong")[4] == 0


def test_a_pixel_predicted_unlabelled_is_a_miss_or_left_out_by_the_rule():
    truth, prediction = square(), square()
    prediction[10:30, 10] = 255  # a side of the ring
    contours = count_boundaries(truth, prediction, distance=1).contours
    wrong, left_out = (boundary_ious(contours, rule)[4] for rule in ("counts as wrong", "left out"))
    assert contours[4][:2].tolist() == [76, 20]
    assert wrong < left_out


def test_bands_hold_the_pixels_on_both_sides_of_a_border():
    truth = np.zeros((40, 40), np.uint8)
    truth[:, 20:] = 1
    prediction = truth.copy()
    prediction[:, 20:22] = 0  # two columns too far to the right
    bands = count_boundaries(truth, prediction).bands
    assert [band.sum() for band in bands] == [6 * 40, 10 * 40, 20 * 40]
    assert all(band[1, 0] == 80 for band in bands)
    assert bands[0][0].tolist() == [120, 0, 0, 0, 0, 0, 0]


def test_the_edge_of_the_image_is_a_contour_but_no_border_of_the_truth():
    plain = np.zeros((12, 12), np.uint8)
    counts = count_boundaries(plain, plain, distance=1)
    assert counts.contours[0][0] == 44
    assert counts.bands.sum() == 0


def test_counts_add_up_over_tiles_and_survive_json():
    tiles = [(blobs(i), worsen(blobs(i), 0.2, seed=i)) for i in range(4)]
    counts = [count_boundaries(*tile) for tile in tiles]
    back = [BoundaryCounts.from_dict(json.loads(json.dumps(one.as_dict()))) for one in counts]
    matrices = [count(*tile) for tile in tiles]
    summary = boundary_summary(back, matrices)
    assert summary == boundary_summary(counts, matrices)
    total = boundary_ious(sum(one.contours for one in counts), "counts as wrong")
    assert summary["mbiou"] == pytest.approx(np.nanmean(total))
    low, high = summary["interval"]["mbiou"]
    assert low < summary["mbiou"] < high


def test_the_distance_is_a_share_of_the_diagonal_and_at_least_a_pixel():
    assert contour_distance((2448, 2448)) == 17
    assert contour_distance((10, 10)) == 1
    with pytest.raises(ValueError, match="at least 1"):
        count_boundaries(square(), square(), distance=0)
