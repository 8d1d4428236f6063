"""The confusion matrix as a heat map."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.classes import UNLABELLED
from pages.components.confusion_matrix import READINGS, chosen_cell, confusion_figure, largest_confusion


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


def test_a_cell_can_be_chosen_where_it_holds_errors_and_the_chosen_one_is_marked():
    counts = matrix()
    counts[0, 2] = 0
    chosen = (3, UNLABELLED)
    figure = confusion_figure(counts.tolist(), "pixels", dark=False, chosen=chosen)
    cells = [tuple(cell[:2]) for cell in figure.data[1].customdata]
    assert all(true != predicted for true, predicted in cells)
    assert (0, 2) not in cells
    assert [cells[at] for at in figure.data[1].selectedpoints] == [chosen]
    assert len(confusion_figure(counts.tolist(), "pixels", dark=False).data) == 1


def test_the_largest_confusion_is_off_the_diagonal():
    counts = np.zeros((6, 7), np.int64)
    counts[1, 1], counts[4, 3], counts[0, 6] = 900, 20, 30
    assert largest_confusion(counts.tolist()) == (0, UNLABELLED)
    assert largest_confusion(np.diag([5] * 7)[:6].tolist()) is None


def test_what_the_chart_says_was_clicked_is_a_cell_or_nothing():
    def event(points):
        return SimpleNamespace(selection=SimpleNamespace(points=points))

    assert chosen_cell(event([{"customdata": [4, 255, 12]}])) == (4, 255)
    assert chosen_cell(event([])) is None
    assert chosen_cell(None) is None
