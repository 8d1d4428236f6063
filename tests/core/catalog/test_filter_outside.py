from pathlib import Path

import numpy as np
import pytest

from core.catalog import filter_outside
from core.catalog.catalogue import collection
from core.catalog.filter_outside import looked_at, outside, scores_of
from core.catalog.tile_filter import TileFilter
from core.catalog.tile_table import TileTable, tile_table
from core.workspace import Workspace
from tests.core.catalog.alike.looked import look
from tests.core.labels.painting import new_workspace


@pytest.fixture
def made(tmp_path: Path) -> tuple[Workspace, TileTable]:
    workspace, _ = new_workspace(tmp_path / "ws", tiles=4)
    return workspace, tile_table(workspace, collection(workspace, 1))


def test_nothing_is_read_that_a_filter_does_not_ask_for(
    made: tuple[Workspace, TileTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filter_outside, "scored_runs", None)
    monkeypatch.setattr(filter_outside, "known_looks", None)
    found = outside(*made, TileFilter(text="1", run="f1"))
    assert (found.iou, found.alike) == (None, None)


def test_the_newest_judged_run_counts_where_none_is_named_and_is_read_again_with_a_new_evaluation(
    made: tuple[Workspace, TileTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, table = made
    names, asked = [row.name for row in table.rows], []

    def scored_runs(_workspace: Workspace, collection_id: int) -> dict[str, dict[str, float]]:
        asked.append(collection_id)
        return {"new": {names[1]: 0.5}, "old": {names[1]: 0.25, names[2]: 1.0}}

    monkeypatch.setattr(filter_outside, "scored_runs", scored_runs)
    newest, old = scores_of(workspace, table, None), scores_of(workspace, table, "old")
    np.testing.assert_equal(newest, [np.nan, 0.5, np.nan, np.nan])
    np.testing.assert_equal(old, [np.nan, 0.25, 1.0, np.nan])
    assert scores_of(workspace, table, "gone") is None
    assert len(asked) == 1
    (workspace.evaluations / "new").mkdir(parents=True)
    (workspace.evaluations / "new" / "1_plain.json").write_text("{}")
    scores_of(workspace, table, None)
    assert len(asked) == 2


def test_likeness_is_of_the_tiles_that_were_looked_at(made: tuple[Workspace, TileTable]) -> None:
    workspace, table = made
    vectors = np.array([[1, 0], [0.9, 0.1], [-1, 0]], np.float32)
    look(workspace, list(table.rows[:3]), vectors)
    assert looked_at(workspace, table) == 3
    wanted = TileFilter(alike=table.rows[0].id, order="alike", descending=True)
    alike = outside(workspace, table, wanted).alike
    assert alike is not None
    assert alike[0] == 1
    assert alike[1] > 0.9
    assert alike[2] < 0
    assert np.isnan(alike[3])
    assert wanted.passing(table, outside(workspace, table, wanted)).tolist() == [0, 1, 2, 3]
    for nobody in (table.rows[3].id, 9999):
        assert outside(workspace, table, TileFilter(alike=nobody)).alike is None
