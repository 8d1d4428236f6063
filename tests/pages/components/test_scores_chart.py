"""Scores by class, drawn and tabled."""

import numpy as np

from core.evaluation.boundaries import count_boundaries
from core.evaluation.compare import compare_confusions
from core.evaluation.confusion import count
from core.evaluation.evaluate import TileCounts, summarise, summarise_counts
from pages.components.scores_chart import (
    borders_table,
    difference_table,
    scores_figure,
    scores_table,
    spread_figure,
)
from tests.core.evaluation.masks import blobs, worsen


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


def test_a_difference_that_cannot_be_told_says_how_many_tiles_it_would_take():
    table = difference_table(compare_confusions(list("abcdef"), matrices(), matrices())).set_index("class")
    assert table["tiles to tell"].isna().all()
    noisy = [one.copy() for one in matrices()]
    for index, one in enumerate(noisy):
        moved = one[:, 0] // (3 if index % 2 else 30)
        one[:, 0] -= moved
        one[:, 1 if index % 3 else 2] += moved
    told = difference_table(compare_confusions(list("abcdef"), matrices(), noisy))
    unknown = told["A is"] == "cannot tell"
    assert told[unknown]["tiles to tell"].notna().any()


def counted():
    tiles = [(blobs(i), worsen(blobs(i), 0.3, seed=i)) for i in range(5)]
    return summarise_counts(list("abcde"), [TileCounts(count(*tile), count_boundaries(*tile)) for tile in tiles])


def test_every_tile_is_a_dot_and_the_mean_comes_first():
    result = counted()
    figure = spread_figure(result)
    assert figure.data[0].name == "mean"
    assert list(figure.data[0].text) == list("abcde")
    assert [box.name for box in figure.data[1:]] == list(result["spread"]["iou"])
    assert figure.layout.title.text
    assert figure.layout.yaxis.title.text


def test_the_table_has_the_mean_first_and_boundary_scores_where_they_were_counted():
    result = counted()
    table = scores_table(result).set_index("class")
    assert table.index[0] == "mean"
    assert table.loc["mean", "boundary IoU"] == result["boundary"]["mbiou"]
    assert table.loc["mean", "5th %"] == result["spread"]["miou"]["p5"]
    assert "boundary IoU" not in scores_table(summarise(list("abcdef"), matrices())).columns


def test_the_bands_stand_above_the_score_of_all_pixels():
    result = counted()
    table = borders_table(result).set_index("pixels")
    assert table.loc["all", "mIoU"] == result["miou"]
    assert list(table["share"]) == sorted(table["share"])
