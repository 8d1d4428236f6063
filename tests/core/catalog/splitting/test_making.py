from collections import Counter

import numpy as np
import pytest

from core.catalog.splitting.balance import balance
from core.catalog.splitting.groups import groups_of_file
from core.catalog.splitting.making import Groups, SplitRequest, make_split, told
from core.catalog.splitting.plans import Place, keep
from core.catalog.splitting.regions import parse_regions, regions_by_place
from core.errors import InputError
from core.tables import Tile
from tests.core.catalog.splitting.split_tables import table_of, workspace_of


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return workspace_of(tmp_path_factory.mktemp("ws"), 60, masks=40)


@pytest.fixture(scope="module")
def table(workspace):
    return table_of(workspace)


def _sides(members):
    return Counter(place.split for place in members.values())


@pytest.mark.parametrize("method", ["random", "stratified"])
def test_tiles_with_and_without_a_mask_are_dealt_in_the_same_parts(table, method):
    members = make_split(table, SplitRequest(method), "x").members
    assert _sides({name: place for name, place in members.items() if int(name) < 40}) == {
        "train": 28,
        "val": 6,
        "test": 6,
    }
    assert _sides(members) == {"train": 42, "val": 9, "test": 9}


def test_pairs_that_stay_together_never_part(table):
    together = [(1, 2), (2, 3), (50, 7), (20, 21)]
    for method in ("random", "stratified"):
        new = make_split(table, SplitRequest(method, together=together), "x")
        assert all(new.members[str(a - 1)] == new.members[str(b - 1)] for a, b in together)
        assert new.parameters["together"] == 4
        assert max(abs(_sides(new.members)[side] - size) for side, size in zip(_SIDES, (42, 9, 9), strict=True)) <= 2


_SIDES = ("train", "val", "test")


def test_folds_hold_every_tile_once_and_the_test_tiles_are_in_none(table):
    new = make_split(table, SplitRequest("stratified", shares=(0.8, 0.0, 0.2), folds=4), "x")
    folds = Counter(place.fold for place in new.members.values())
    assert folds == {0: 12, 1: 12, 2: 12, 3: 12, None: 12}
    assert new.judge == 0
    assert {place.split for place in new.members.values() if place.fold == 0} == {"val"}
    assert {place.split for place in new.members.values() if place.fold is None} == {"test"}


def test_whole_groups_go_to_a_side_and_tiles_in_none_are_left_out(table):
    groups = Groups("nine regions", {str(number): f"r{number % 9}" for number in range(54)})
    new = make_split(table, SplitRequest("grouped", groups=groups, together=[(1, 2)]), "x")
    assert len(new.members) == 54
    sides = {
        group: {new.members[name].split for name, g in groups.of_tile.items() if g == group} for group in ("r0", "r1")
    }
    assert all(len(side) == 1 for side in sides.values())
    assert sides["r0"] == sides["r1"], "tiles 0 and 1 belong together, and so do their regions"
    assert balance(table, new.members).left_out == 6


def test_one_region_is_held_out_whole(table):
    groups = Groups("two regions", {str(number): "north" if number < 20 else "south" for number in range(60)})
    new = make_split(table, SplitRequest("hold out", groups=groups, held_out="north", held_side="test"), "x")
    assert {name for name, place in new.members.items() if place.split == "test"} == {str(n) for n in range(20)}
    with pytest.raises(InputError, match="no group 'west' to hold out; choose one of: north, south"):
        make_split(table, SplitRequest("hold out", groups=groups, held_out="west"), "x")


def test_lists_and_hands_keep_to_the_tiles_that_are_here(table):
    base = {"0": Place("train"), "1": Place("val"), "2": Place(""), "elsewhere": Place("test")}
    new = make_split(table, SplitRequest("by hand", base=base, source="as it came"), "x")
    assert new.members == {"0": Place("train"), "1": Place("val")}


def test_glnets_lists_need_a_tile_that_is_in_them(table):
    with pytest.raises(InputError, match="No tile of this collection is in GLNet's lists"):
        make_split(table, SplitRequest("glnet"), "x")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (SplitRequest("random", shares=(0.5, 0.2, 0.2)), "sum to 100 %"),
        (SplitRequest("random", shares=(0.0, 0.5, 0.5)), "nothing to train on"),
        (SplitRequest("random", folds=1), "2 to 20 folds, not to 1"),
        (SplitRequest("random", shares=(0.0, 0.0, 1.0), folds=5), "none for folds"),
        (SplitRequest("grouped"), "in any of these groups"),
        (SplitRequest("glnet", folds=5), "are for tiles that are dealt"),
        (SplitRequest("alphabetical"), "is no way to split"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(table, request_, said):
    with pytest.raises(InputError, match=said):
        make_split(table, request_, "x")


def test_nothing_labelled_cannot_be_stratified(tmp_path):
    with pytest.raises(InputError, match="split it at random"):
        make_split(table_of(workspace_of(tmp_path, 5, masks=0)), SplitRequest("stratified"), "x")


def test_a_split_says_how_it_was_made(workspace, table):
    row = keep(workspace, 1, make_split(table, SplitRequest("stratified", seed=3, together=[(1, 2)]), "said"))
    assert told(row) == "Alike in class shares, 70 / 15 / 15 %, related tiles kept together (1 pairs), seed 3."
    row = keep(workspace, 1, make_split(table, SplitRequest("random", shares=(0.9, 0, 0.1), folds=5), "folds"))
    assert told(row) == "Random, 5 folds of whole tiles, 10 % kept for the test, seed 0."


def test_the_balance_counts_tiles_and_weighs_class_shares_by_labelled_pixels(table):
    places = {"0": Place("train"), "1": Place("train"), "2": Place("val"), "59": Place("val")}
    found = balance(table, places)
    assert [(side.name, side.tiles, side.labelled) for side in found.sides] == [
        ("train", 2, 2),
        ("val", 2, 1),
        ("test", 0, 0),
    ]
    shares = np.array([row.class_shares for row in table.rows[:3]])
    assert found.sides[0].shares == pytest.approx(shares[:2].mean(axis=0), abs=1e-5)
    assert found.overall == pytest.approx(shares.mean(axis=0), abs=1e-5)
    assert (found.measured, found.left_out) == (3, 56)
    median, low, high = found.random
    assert low <= median <= high
    assert low - 1e-9 <= found.deviation <= high + 1e-9, "three ways to choose, all drawn"


def test_a_file_of_regions_is_read_for_the_tiles_that_are_here(table):
    content = "\ufefftile,region,note\n0,north,a\n1, south ,b\n99,west,c\n2,,d\n".encode()
    groups = groups_of_file(table, content, "regions.csv")
    assert groups == Groups("2 regions of regions.csv", {"0": "north", "1": "south"})
    for wrong in (b"name,place\n1,x", b"\xff\xfe"):
        with pytest.raises(
            InputError, match=r"regions\.csv cannot be read as a CSV file with the columns tile and region"
        ):
            parse_regions(wrong, "regions.csv")


def _placed(name, crs, east, north):
    transform = None if crs is None else [1.0, 0.0, east, 0.0, -1.0, north]
    return Tile(name=name, crs=crs, transform=transform, width=100, height=100)


def test_places_are_grouped_across_zones_and_the_date_line():
    # Fiji lies on the date line, where UTM 60S and 1S meet; Vienna and Bratislava are 60 km apart.
    fiji = [_placed("suva", "EPSG:32760", 690_000, 7_990_000), _placed("taveuni", "EPSG:32701", 190_000, 8_130_000)]
    austria = [_placed("vienna", "EPSG:32633", 602_000, 5_340_000), _placed("by degrees", "EPSG:4326", 17.1, 48.1)]
    regions = regions_by_place([*fiji, *austria, _placed("nowhere", None, 0, 0)], 2, seed=0)
    assert set(regions) == {"suva", "taveuni", "vienna", "by degrees"}
    assert regions["suva"] == regions["taveuni"] != regions["vienna"] == regions["by degrees"]
    with pytest.raises(InputError, match="2 of these tiles say where they lie"):
        regions_by_place(fiji, 3, seed=0)
    with pytest.raises(InputError, match="at least two, not 1"):
        regions_by_place(fiji, 1, seed=0)


def test_a_coordinate_system_that_nobody_understands_is_named():
    tiles = [_placed("odd", "no such CRS", 0, 0), _placed("other", "EPSG:4326", 1, 1)]
    with pytest.raises(InputError, match="coordinate system of tile odd is not understood"):
        regions_by_place(tiles, 2, seed=0)
