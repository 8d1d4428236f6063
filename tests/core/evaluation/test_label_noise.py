"""Confident disagreement with the given mask, and false positives."""

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.evaluation.label_noise import AT_MOST, confidence_sums, doubts, false_positives, thresholds

SIDE = 0.5  # metres a pixel


def sure_of(raster, confidence=0.9):
    """Probabilities of a model that is as sure everywhere of a class raster."""
    probabilities = np.full((6, *raster.shape), (1 - confidence) / 5, np.float32)
    for index in range(6):
        probabilities[index][raster == index] = confidence
    return probabilities


def scene():
    """A truth of two classes whose upper left block is labelled wrongly, and what a model that sees it says."""
    seen = np.zeros((200, 200), np.uint8)
    seen[:, 100:] = 3
    truth = seen.copy()
    truth[10:60, 10:60] = 4  # forest that was labelled water
    return seen, truth


def limits_of(probabilities, truth):
    return thresholds(confidence_sums(probabilities, truth))


def test_thresholds_are_the_mean_probability_of_a_class_over_the_pixels_labelled_so():
    seen, truth = scene()
    probabilities = sure_of(seen)
    limits = limits_of(probabilities, truth)
    assert limits[0] == pytest.approx(probabilities[0][truth == 0].mean())
    assert limits[4] == pytest.approx(probabilities[4][truth == 4].mean())
    assert np.isinf(limits[2]), "nobody labelled rangeland, so nothing can be confidently so"


def test_sums_of_tiles_add_up_to_the_sums_of_all():
    seen, truth = scene()
    probabilities = sure_of(seen)
    halves = [confidence_sums(probabilities[:, rows], truth[rows]) for rows in (slice(0, 90), slice(90, 200))]
    np.testing.assert_allclose(halves[0] + halves[1], confidence_sums(probabilities, truth), rtol=1e-6)


def test_a_block_that_was_labelled_wrongly_is_found_with_its_place_and_classes():
    seen, truth = scene()
    probabilities = sure_of(seen)
    [found] = doubts(probabilities, truth, limits_of(probabilities, truth), metres_per_pixel=SIDE)
    assert (found.true_class, found.predicted, found.pixels) == (4, 0, 2500)
    assert (found.box.top, found.box.left) == (10, 10)
    assert found.confidence == pytest.approx(0.9, abs=1e-5)
    assert found.mask.all()


def test_a_thin_strip_along_a_border_is_no_doubt_about_the_label():
    seen, truth = scene()
    truth = seen.copy()
    truth[:, 90:100] = 3  # the border was drawn 5 m further left
    probabilities = sure_of(seen)
    assert doubts(probabilities, truth, limits_of(probabilities, truth), metres_per_pixel=SIDE) == []


def test_where_the_model_is_less_sure_than_usual_there_is_no_doubt():
    seen, truth = scene()
    probabilities = sure_of(seen)
    probabilities[:, 10:60, 10:60] = sure_of(seen, 0.5)[:, 10:60, 10:60]
    assert doubts(probabilities, truth, limits_of(probabilities, truth), metres_per_pixel=SIDE) == []


def test_unlabelled_pixels_raise_no_doubt():
    seen, truth = scene()
    truth[10:60, 10:60] = UNLABELLED
    probabilities = sure_of(seen)
    assert doubts(probabilities, truth, limits_of(probabilities, truth), metres_per_pixel=SIDE) == []


def test_doubts_are_ranked_by_confidence_times_area():
    seen, truth = scene()
    truth[10:60, 10:60] = seen[10:60, 10:60]
    truth[120:160, 10:50] = 4  # 1600 pixels, very sure
    truth[10:55, 10:55] = 4  # 2025 pixels, less sure
    probabilities = sure_of(seen, 0.7)
    probabilities[:, 120:160, 10:50] = sure_of(seen, 0.99)[:, 120:160, 10:50]
    limits = np.full(6, 0.6)
    first, second = doubts(probabilities, truth, limits, metres_per_pixel=SIDE)
    assert (first.pixels, second.pixels) == (1600, 2025)
    assert first.weight > second.weight


def test_false_positives_name_the_class_that_most_of_the_region_truly_is():
    seen, truth = scene()
    alarms = [(seen == index) & (truth != index) for index in range(6)]
    [found] = false_positives(alarms, sure_of(seen), truth, metres_per_pixel=SIDE)
    assert (found.predicted, found.true_class) == (0, 4)
    [bare] = false_positives(alarms, None, truth, metres_per_pixel=SIDE)
    assert bare.confidence is None
    assert bare.weight == bare.pixels


def test_of_many_regions_the_weightiest_are_kept():
    truth = np.zeros((600, 600), np.uint8)
    alarm = np.zeros_like(truth, bool)
    for number in range(AT_MOST + 10):
        row, column = divmod(number, 8)
        alarm[row * 60 : row * 60 + 22 + number // 4, column * 60 : column * 60 + 30] = True
    none = np.zeros_like(alarm)
    found = false_positives([none, alarm, none, none, none, none], None, truth, metres_per_pixel=SIDE)
    assert len(found) == AT_MOST
    assert found[0].pixels == max(one.pixels for one in found)
