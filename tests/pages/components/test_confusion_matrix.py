"""The confusion matrix as a heat map."""

import numpy as np
import pytest

from pages.components.confusion_matrix import READINGS, confusion_figure


def matrix():
    counts = np.random.default_rng(0).integers(1, 5000, (6, 7))
    counts[4] = 0
    return counts


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("reading", READINGS)
def test_every_cell_says_its_value_and_absent_classes_have_no_row(reading, dark):
    heat = confusion_figure(matrix().tolist(), reading, dark=dark).data[0]
    assert "water" not in heat.y
    assert np.shape(heat.text) == (5, 7)
    assert all(text for row in heat.text for text in row)


def test_rows_add_up_by_truth_and_columns_by_prediction():
    np.testing.assert_allclose(np.sum(confusion_figure(matrix(), "by truth", dark=False).data[0].z, axis=1), 1)
    np.testing.assert_allclose(np.sum(confusion_figure(matrix(), "by prediction", dark=False).data[0].z, axis=0), 1)


def test_an_empty_unlabelled_column_is_left_out():
    counts = matrix()
    counts[:, 6] = 0
    assert "unlabelled" not in confusion_figure(counts, "pixels", dark=False).data[0].x
