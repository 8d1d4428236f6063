from dataclasses import replace
from datetime import date

import numpy as np

from core.catalog.filter_words import asked, figures, percent, short
from core.catalog.tile_filter import PRESENT, Outside, TileFilter
from tests.core.catalog.tables import table_of

FULL = TileFilter(
    text="12",
    split="val",
    labels="mask given",
    work="done",
    shares={"water": (5, float("inf")), "barren": PRESENT, "urban": (0, 20)},
    classes=(1, 1),
    known=(10, 50),
    instances=(3, float("inf")),
    annotator="Ada",
    since=date(2026, 3, 1),
    uncertainty=(20, 100),
    run="f1",
    iou=(0, 40),
    problems=True,
    alike=101,
    order="alike",
    descending=True,
)


def test_each_part_is_said_and_can_be_taken_off_by_itself() -> None:
    parts = asked(FULL, {101: "lake"})
    assert [part.words for part in parts] == [
        "id has '12'", "val", "mask given", "work: done", "water ≥ 5 %", "barren present", "urban ≤ 20 %", "1 class",
        "10 to 50 % of the tile labelled", "≥ 3 instances", "by Ada", "labelled since 2026-03-01", "uncertainty ≥ 20 %",
        "IoU of f1 ≤ 40 %", "with problems", "looks like lake",
    ]  # fmt: skip
    for number, part in enumerate(parts):
        left = [other.words for other in asked(part.without, {101: "lake"})]
        assert left == [other.words for place, other in enumerate(parts) if place != number]


def test_without_likeness_the_order_by_it_goes_too_and_another_order_stays() -> None:
    assert asked(FULL, {})[-1].without.order == "name"
    assert asked(replace(FULL, order="water"), {})[-1].without.order == "water"


def test_a_tile_says_what_it_has_of_what_is_asked() -> None:
    table = table_of([[0, 0.5, 0, 0, 0.123, 0.001], None])
    outside = Outside(iou=np.array([0.41, np.nan]), alike=np.array([-0.3, np.nan]))
    assert figures(TileFilter(order="water"), table, outside, 0) == ["water 12 %"]
    assert figures(TileFilter(shares={"barren": PRESENT}, order="iou"), table, outside, 0) == [
        "barren < 1 %",
        "IoU .41",
    ]
    assert figures(TileFilter(order="alike", alike=100), table, outside, 0) == ["likeness -.30"]
    for wanted in (TileFilter(order="water"), TileFilter(order="iou"), TileFilter(order="alike")):
        assert figures(wanted, table, outside, 1) == []
    assert figures(TileFilter(order="labels"), table, outside, 1) == ["0 instances"]


def test_shares_and_scores_are_written_short() -> None:
    assert [percent(share) for share in (0.0, 0.001, 0.121, 1.0)] == ["0 %", "< 1 %", "12 %", "100 %"]
    assert [short(value) for value in (0.414, 1.0, -0.2)] == [".41", "1.00", "-.20"]
