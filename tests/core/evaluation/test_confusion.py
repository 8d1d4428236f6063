"""Counting pixels into a confusion matrix."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from core.evaluation import confusion
from core.evaluation.confusion import count


def random_raster(seed, shape=(37, 53)):
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 3, 4, 5, 255], np.uint8), shape)


def test_it_counts_what_scikit_learn_counts():
    truth, prediction = random_raster(0), random_raster(1)
    labels = [0, 1, 2, 3, 4, 5, 255]
    expected = confusion_matrix(truth.ravel(), prediction.ravel(), labels=labels)[:6]
    np.testing.assert_array_equal(count(truth, prediction), expected)
    assert count(truth, prediction).dtype == np.int64


def test_pixels_without_truth_leave_the_count():
    truth = np.full((4, 4), 255, np.uint8)
    truth[0, 0] = 3
    assert count(truth, np.full((4, 4), 3, np.uint8)).sum() == 1


def test_a_pixel_predicted_as_unlabelled_lands_in_the_last_column():
    matrix = count(np.array([[4]], np.uint8), np.array([[255]], np.uint8))
    assert matrix.shape == (6, 7)
    assert matrix[4, 6] == matrix.sum() == 1


def test_chunks_add_up(monkeypatch):
    truth, prediction = random_raster(2), random_raster(3)
    whole = count(truth, prediction)
    monkeypatch.setattr(confusion, "_CHUNK", 100)
    np.testing.assert_array_equal(count(truth, prediction), whole)


def test_a_strided_view_counts_like_its_copy():
    truth, prediction = random_raster(4)[::2, ::3], random_raster(5)[::2, ::3]
    np.testing.assert_array_equal(count(truth, prediction), count(truth.copy(), prediction.copy()))


def test_more_pixels_than_float32_can_count_are_counted_exactly():
    raster = np.full(((1 << 24) + 3, 1), 2, np.uint8)
    assert count(raster, raster)[2, 2] == (1 << 24) + 3


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.int64), np.full((2, 2), 6, np.uint8)]
)
def test_rasters_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match=r"class rasters|truth is"):
        count(np.zeros((2, 2), np.uint8), wrong)
