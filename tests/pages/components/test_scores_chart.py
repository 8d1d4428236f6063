"""Scores by class, drawn and tabled."""

import numpy as np

from core.evaluation.compare import compare_confusions
from core.evaluation.evaluate import summarise
from pages.components.scores_chart import difference_table, scores_figure, scores_table


def matrices(seed=0):
    found = [np.random.default_rng([seed, tile]).integers(1, 500, (6, 7)) for tile in range(6)]
    for one in found:
        one[4] = 0
    return found


def test_bars_show_the_classes_of_the_truth_and_iou_has_whiskers():
    figure = scores_figure(summarise(list("abcdef"), matrices()))
    assert [bar.name for bar in figure.data] == ["IoU", "Precision", "Recall", "F1"]
    assert list(figure.data[0].x) == ["urban", "agriculture", "rangeland", "forest", "barren"]
    assert min(figure.data[0].error_y.array) >= 0
    assert figure.data[1].error_y.array is None


def test_an_absent_class_has_a_row_without_figures():
    table = scores_table(summarise(list("abcdef"), matrices())).set_index("class")
    assert np.isnan(table.loc["water", "IoU"])
    assert table.loc["water", "true pixels"] == 0


def test_a_difference_always_stands_with_its_interval_and_verdict():
    a = matrices()
    b = [one.copy() for one in a]
    table = difference_table(compare_confusions(list("abcdef"), a, b)).set_index("class")
    assert table.index[0] == "mean"
    assert set(table["A is"]) == {"cannot tell"}
    assert table.loc["mean", "95 % interval"] == "+0.000 to +0.000"
