from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from core.catalog.splits import SPLITS
from core.catalog.tile_filter import FILTER_KEYS, Outside, TileFilter, from_query, parse_range, range_text
from core.catalog.tile_table import TileLabels, TileOpinions, TileRows, TileTable
from core.classes import CLASS_NAMES
from core.labels.work_status import Status
from core.tables import Tile

NAMES = ("12", "Área 7", "field", "lake")
INFINITE = float("inf")


def make_table() -> TileTable:
    """Four tiles: a field with a mask, one labelled here, one with both, and a bare one."""
    shares = np.full((4, 6), np.nan)
    shares[0], shares[2] = [0, 0.9, 0.1, 0, 0, 0], [0.2, 0.5, 0, 0, 0.3, 0]
    pixels = np.zeros((4, 6), np.int64)
    pixels[1, 4] = pixels[2, 1] = 50
    rows = TileRows(
        rows=tuple(Tile(id=10 + number, name=name, fingerprint=name) for number, name in enumerate(NAMES)),
        ids=np.arange(10, 14),
        splits=np.array([0, 1, 0, 2], np.int8),
        has_mask=np.array([True, False, True, False]),
        given_shares=shares,
        pixels=np.full(4, 100),
        has_problem=np.array([False, True, False, False]),
    )
    order = list(Status)
    labels = TileLabels(
        labelled=np.array([False, True, True, False]),
        instances=np.sign(pixels),
        pixels=pixels,
        work=np.array([order.index(Status.NEW)] + [order.index(Status.DONE)] * 2 + [0], np.int8),
        changed=np.array(["NaT", "2026-03-01T23:59", "2026-03-02T00:00", "NaT"], "datetime64[s]"),
        annotators=("Ada", "Bo"),
        painters=np.array([[False, False], [True, False], [True, True], [False, False]]),
    )
    predicted = np.full((4, 6), np.nan)
    predicted[3] = [0, 0, 0, 0, 1, 0]
    return TileTable(1, "m", rows, labels, TileOpinions("f1", np.array([0.4, np.nan, 0.1, 0.9]), predicted))


TABLE = make_table()


def passing(outside: Outside | None = None, **wanted: object) -> list[str]:
    found = TileFilter(**wanted).passing(TABLE, outside or Outside())  # type: ignore[arg-type]
    return [NAMES[number] for number in found]


def test_an_empty_filter_passes_all_by_name() -> None:
    assert passing() == list(NAMES)
    assert not TileFilter(order="water", descending=True, alike=11).asks


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"text": "áREA"}, ["Área 7"]),
        ({"split": "train"}, ["12", "field"]),
        ({"labels": "mask given"}, ["12", "field"]),
        ({"labels": "labelled here"}, ["Área 7", "field"]),
        ({"labels": "no labels yet"}, ["lake"]),
        ({"work": "done"}, ["Área 7", "field"]),
        ({"shares": {"water": (5, INFINITE)}}, ["Área 7", "field"]),
        ({"shares": {"water": (5, INFINITE), "urban": (1, 100)}}, ["field"]),
        ({"shares": {"water": (5, INFINITE)}, "predicted": True}, ["lake"]),
        ({"instances": (1, INFINITE)}, ["Área 7", "field"]),
        ({"annotator": "Bo"}, ["field"]),
        ({"annotator": "nobody"}, []),
        ({"until": date(2026, 3, 1)}, ["Área 7"]),
        ({"since": date(2026, 3, 2)}, ["field"]),
        ({"uncertainty": (30, 100)}, ["12", "lake"]),
        ({"iou": (0, 50)}, []),
        ({"problems": True}, ["Área 7"]),
        ({"split": "train", "labels": "labelled here"}, ["field"]),
    ],
)
def test_each_part_of_a_filter_leaves_the_tiles_that_have_it(wanted: dict[str, object], left: list[str]) -> None:
    assert passing(**wanted) == left


def test_shares_are_of_the_given_mask_and_else_of_what_was_labelled() -> None:
    assert TABLE.shares[2, 1] == 0.5  # not the .5 / 100 that was painted over it
    assert TABLE.shares[1, 4] == 0.5
    assert np.isnan(TABLE.shares[3]).all()


def test_tiles_without_the_figure_come_last_in_both_directions() -> None:
    assert passing(order="uncertainty", descending=True) == ["lake", "12", "field", "Área 7"]
    assert passing(order="uncertainty") == ["field", "12", "lake", "Área 7"]
    assert passing(order="changed", descending=True) == ["field", "Área 7", "12", "lake"]


def test_scores_and_likeness_come_from_outside() -> None:
    outside = Outside(iou=np.array([np.nan, 0.2, 0.6, 0.4]), alike=np.array([0.1, 1.0, 0.3, 0.5]))
    assert passing(outside, iou=(0, 50), order="iou") == ["Área 7", "lake"]
    assert passing(outside, order="alike", descending=True) == ["Área 7", "lake", "field", "12"]


FULL = TileFilter(
    text="7",
    split="val",
    labels="labelled here",
    work="sent back",
    shares={"water": (5.0, INFINITE), "barren": (0.0, 12.5)},
    predicted=True,
    instances=(3.0, 3.0),
    annotator="Ada Lovelace",
    since=date(2026, 1, 2),
    until=date(2026, 3, 4),
    uncertainty=(20.0, 80.0),
    run="f1",
    iou=(0.0, 40.0),
    problems=True,
    alike=12,
    order="water",
    descending=False,
)


@pytest.mark.parametrize("wanted", [TileFilter(), FULL, replace(FULL, descending=True), TileFilter(descending=True)])
def test_an_address_says_exactly_the_filter(wanted: TileFilter) -> None:
    query = wanted.to_query()
    assert from_query(query) == (wanted, [])
    assert set(query) <= set(FILTER_KEYS)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("split", "trian"),
        ("labels", "<b>"),
        ("water", "a-b"),
        ("water", "9-5"),
        ("water", "-"),
        ("since", "yesterday"),
        ("alike", "-1"),
        ("alike", "9" * 30),
        ("order", "secret"),
        ("down", "2"),
        ("instances", "nan-nan"),
    ],
)
def test_a_part_of_an_address_that_makes_no_sense_is_named_and_the_rest_holds(key: str, text: str) -> None:
    wanted, wrong = from_query({key: text, "annotator": "Ada"})
    assert wanted == TileFilter(annotator="Ada")
    assert len(wrong) == 1
    assert f"{key}=" in wrong[0]


def test_orders_begin_with_what_one_looks_for() -> None:
    assert from_query({"order": "water"})[0].descending
    assert not from_query({"order": "iou"})[0].descending
    assert from_query({"order": "iou", "down": "1"})[0].descending


@pytest.mark.parametrize("text", ["5-20", "0-20", "5-", "0.5-1.25"])
def test_ranges_read_as_they_are_written(text: str) -> None:
    assert range_text(parse_range(text)) == text


def test_every_order_is_one_that_can_be_asked_for() -> None:
    outside = Outside(iou=np.zeros(4), alike=np.zeros(4))
    for order in ("name", "labels", "changed", "uncertainty", "iou", "alike", *CLASS_NAMES):
        assert sorted(passing(outside, order=order)) == sorted(NAMES)
    assert SPLITS == ("train", "val", "test")
