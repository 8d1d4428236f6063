import numpy as np
import pytest

from core.catalog import exploring
from core.catalog.tile_filter import PRESENT, TileFilter
from core.classes import CLASS_NAMES
from core.evaluation import confusion
from core.evaluation.scores import from_confusion
from tests.core.catalog.tables import table_of

FIELD, TOWN, LAKE = [0, 0.9, 0.1, 0, 0, 0], [1.0, 0, 0, 0, 0, 0], [0, 0.25, 0, 0, 0.25, 0]


def test_shares_of_a_split_weigh_tiles_by_their_pixels_and_leave_out_what_is_unknown() -> None:
    table = table_of([FIELD, TOWN, None], splits="ttv", sides=[30, 10, 50])
    groups = {group.name: group for group in exploring.group_shares(table)}
    assert set(groups) == {"all", "train"}
    assert groups["train"].tiles == 2
    assert groups["train"].shares == pytest.approx([0.1, 0.81, 0.09, 0, 0, 0])


def test_what_occurs_together_is_counted_by_tile() -> None:
    found = exploring.together(table_of([FIELD, LAKE, LAKE, TOWN, None]))
    agriculture, water, urban = (CLASS_NAMES.index(name) for name in ("agriculture", "water", "urban"))
    assert found.tiles == 4
    assert found.counts[agriculture, water] == found.counts[water, agriculture] == 2
    assert found.shares[agriculture, water] == pytest.approx(2 / 3)
    assert found.shares[water, agriculture] == 1
    assert found.shares[urban, water] == 0
    assert np.isnan(found.shares[CLASS_NAMES.index("barren"), urban])


def test_the_filter_behind_a_figure_passes_as_many_tiles_as_it_says() -> None:
    table = table_of([FIELD, LAKE, LAKE, TOWN, None, [0.0] * 6])
    counts = exploring.tiles_by_class_count(table)
    assert counts.tolist() == [1, 1, 3, 0, 0, 0, 0]
    for number, count in enumerate(counts.tolist()):
        assert len(TileFilter(classes=(number, number)).passing(table)) == count
    pair = TileFilter(shares={"agriculture": PRESENT, "water": PRESENT})
    assert len(pair.passing(table)) == exploring.together(table).counts[1, 4]
    unknown = exploring.mostly_unknown(table)
    assert unknown.tolist() == [5]  # LAKE is exactly half labelled
    assert set(unknown) < set(TileFilter(known=(0, 50)).passing(table))


def test_a_blind_guess_scores_what_it_would_score_pixel_by_pixel() -> None:
    table = table_of([FIELD, LAKE, TOWN, FIELD, None], splits="tvvex"[:3] + "tv", sides=[10, 10, 20, 10, 10])
    found = {one.where: one for one in exploring.baselines(table)}
    assert set(found) == {"val", "all"}
    assert found["val"].guess == CLASS_NAMES.index("agriculture")
    assert (found["val"].learnt, found["val"].tiles, found["all"].tiles) == (2, 2, 4)
    truth = np.concatenate([np.repeat(np.array([1, 4, 255], np.uint8), [25, 25, 50]), np.zeros(400, np.uint8)])[None]
    direct = from_confusion(confusion.count(truth, np.full_like(truth, 1)))
    assert found["val"].scores == direct
    low, high = found["val"].interval or (1, 0)
    assert low <= (direct.miou or 0) <= high


def test_without_any_known_tile_there_is_nothing_to_guess() -> None:
    assert exploring.baselines(table_of([None, None])) == []
    assert exploring.group_shares(table_of([None])) == []


def test_patches_of_one_class_are_counted_among_those_that_are_labelled_at_all() -> None:
    raster = np.full((5, 9), 255, np.uint8)
    raster[:2, :2] = 4  # all water
    raster[:2, 2:4], raster[0, 2] = 1, 255  # agriculture, partly unlabelled
    raster[2:4, :2], raster[2, 0] = 0, 3  # two classes
    assert exploring.one_class_patches([raster], 2) == (2, 3)
    assert exploring.one_class_patches([raster], 6) == (0, 0)
