from pathlib import Path

import numpy as np
import pytest

from core.catalog.catalogue import collection, index_folder
from core.catalog.maps.map_layouts import map_layout
from core.catalog.tile_filter import TileFilter
from core.catalog.tile_table import TileLabels, TileOpinions, TileRows, TileTable, tile_table
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from pages.components import map_colours
from pages.components.browsing import Browsing
from pages.components.map_colours import Colouring, chosen_colouring, colourings
from pages.components.map_layers import GIVEN, layer_names, map_layer
from pages.components.map_message import message
from tests.core.catalog.pictures import write_pair, write_picture

NAN = float("nan")


def _table(uncertainty: list[float], shares: list[list[float]], splits: list[int]) -> TileTable:
    count = len(splits)
    rows = tuple(Tile(id=number + 1, name=f"t{number}", width=10, height=10) for number in range(count))
    given = np.array(shares, np.float64)
    tiles = TileRows(
        rows=rows,
        ids=np.arange(1, count + 1),
        splits=np.array(splits, np.int8),
        has_mask=~np.isnan(given).any(axis=1),
        given_shares=given,
        pixels=np.full(count, 100),
        has_problem=np.zeros(count, np.bool_),
    )
    none = np.zeros((count, 6), np.int64)
    labels = TileLabels(
        labelled=np.zeros(count, np.bool_),
        instances=none,
        pixels=none,
        work=np.zeros(count, np.int8),
        changed=np.full(count, "NaT", "datetime64[s]"),
        annotators=(),
        painters=np.zeros((count, 0), np.bool_),
    )
    return TileTable(1, "mark", tiles, labels, TileOpinions("first", np.array(uncertainty), np.full((count, 6), NAN)))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


@pytest.fixture
def table() -> TileTable:
    unknown, forest = [NAN] * 6, [0.1, 0, 0, 0.7, 0.2, 0]
    return _table([0.1, 0.2, NAN, 0.4], [unknown, forest, forest, [0.0] * 6], [0, 1, 2, -1])


def _said(colouring: Colouring) -> list[str]:
    return [colouring.labels[code] for code in colouring.codes]


def test_each_choice_says_what_it_is_called(workspace: Workspace, table: TileTable, monkeypatch) -> None:
    monkeypatch.setattr(map_colours, "judged_runs", lambda *_: {"first": {}, "other": {}})
    found = colourings(workspace, table)
    assert [title for title, _ in found.values()] == [
        "Split", "Label status", "Work status", "Main class", "Uncertainty of first", "IoU of first", "IoU of other",
    ]  # fmt: skip
    assert chosen_colouring(found, "what an old link says").title == "Split"
    for _, make in found.values():
        colouring = make()
        assert len(colouring.colours) == len(colouring.labels) > colouring.codes.max()
        assert colouring.codes.min() >= 0


def test_a_tile_in_no_split_and_one_of_which_nothing_is_known_are_said_to_be_that(
    workspace: Workspace, table: TileTable
) -> None:
    found = colourings(workspace, table)
    assert _said(found["split"][1]()) == ["train", "val", "test", "in no split"]
    main = found["class"][1]()
    assert _said(main) == ["nothing known", "forest", "forest", "nothing known"]
    assert main.percents is not None
    np.testing.assert_allclose(main.percents, [NAN, 70, 70, NAN])


def test_scores_are_in_fifths_of_the_scale_and_uncertainty_in_fifths_of_the_tiles(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = _table([0.01, 0.02, 0.03, 0.04, 0.05], [[NAN] * 6] * 5, [0] * 5)
    monkeypatch.setattr(map_colours, "judged_runs", lambda *_: {"first": {}})
    monkeypatch.setattr(map_colours, "scores_of", lambda *_: np.array([0.0, 0.2, 0.61, 1.0, NAN]))
    found = colourings(workspace, table)
    scores = found["iou first"][1]()
    assert _said(scores) == ["0 to 20 %", "20 to 40 %", "60 to 80 %", "80 to 100 %", "not judged"]
    assert "4 of 5 tiles" in scores.told
    assert found["uncertainty"][1]().codes.tolist() == [0, 1, 2, 3, 4]


@pytest.fixture
def browsing(workspace: Workspace, tmp_path: Path) -> Browsing:
    write_pair(tmp_path / "data", "1")
    write_picture(tmp_path / "data" / "2_sat.jpg")
    index_folder(workspace, tmp_path / "data", SilentProgress())
    shown = collection(workspace, 1)
    table = tile_table(workspace, shown)
    return Browsing(workspace, shown, table, TileFilter(), np.array([1]), table.rows[0])


def test_the_message_has_a_mark_a_tile_and_addresses_that_change_with_what_they_lead_to(browsing: Browsing) -> None:
    codes, percents = np.array([1, 0], np.int8), np.array([50, NAN])
    colouring = Colouring("Score", ("low", "high"), ("#000000", "#ffffff"), codes, percents)
    layout = map_layout(browsing.workspace, browsing.collection, browsing.table, "name")
    layer, told = map_layer(browsing, {}, GIVEN, "name", layout)
    said = message(browsing, "name", layout, colouring, layer)
    assert [ord(mark) - 48 for mark in said["marks"]] == [2, 1]  # colour 1, dimmed; colour 0, shown
    assert said["values"] == chr(210) + "~"
    assert said["selected"] == browsing.table.rows[0].id
    assert said["images"].startswith("/map/1/{z}/{x}/{y}.jpg?layout=name&v=")
    assert said["overlay"]["address"].startswith("/map/1/mask/{z}/{x}/{y}.png?layout=name&v=")
    assert told == "1 of 2 tiles came with a mask."


def test_only_layers_that_there_are_can_be_chosen(browsing: Browsing) -> None:
    assert layer_names(browsing, {}) == {"": "nothing", "masks": "given masks"}
    layout = map_layout(browsing.workspace, browsing.collection, browsing.table, "name")
    assert map_layer(browsing, {}, "gone/plain", "name", layout) == (None, "")
