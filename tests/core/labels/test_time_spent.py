from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from core.labels import journal, time_spent
from core.labels.time_spent import FIRST_STROKE_SECONDS, PAUSE_SECONDS
from core.tables import LabelOperation
from tests.core.labels.painting import brush, new_workspace

START = datetime(2026, 1, 1, 9)


@pytest.fixture
def diary(tmp_path):
    """Strokes of (seconds after nine, tile, annotator), in this order."""
    workspace, tiles = new_workspace(tmp_path, tiles=2)

    def write(*strokes):
        for number, (_, tile, name) in enumerate(strokes):
            journal.apply(workspace, tiles[tile].id, brush([(10, 10)], class_index=number % 6), annotator=name)
        with workspace.database.write() as session:
            operations = session.scalars(select(LabelOperation).order_by(LabelOperation.id)).all()
            for operation, (seconds, _, _) in zip(operations, strokes, strict=True):
                operation.created = START + timedelta(seconds=seconds)
        return workspace, tiles

    return write


def test_time_between_strokes_counts_and_the_first_counts_the_stated_default(diary):
    workspace, tiles = diary((0, 0, "Ada"), (20, 0, "Ada"), (50, 0, "Ada"))
    assert time_spent.seconds_per_tile(workspace, 1) == {tiles[0].id: FIRST_STROKE_SECONDS + 50}


def test_a_pause_does_not_count_and_work_begins_anew_after_it(diary):
    workspace, _ = diary((0, 0, "Ada"), (PAUSE_SECONDS, 0, "Ada"), (2 * PAUSE_SECONDS + 1, 0, "Ada"))
    assert time_spent.labelled_seconds(workspace, 1) == 2 * FIRST_STROKE_SECONDS + PAUSE_SECONDS


def test_two_people_at_once_both_count_and_a_change_of_tile_counts_for_the_new_one(diary):
    workspace, tiles = diary((0, 0, "Ada"), (1, 1, "Ben"), (30, 1, "Ada"), (31, 1, "Ben"))
    assert time_spent.seconds_per_tile_and_annotator(workspace, 1) == {
        (tiles[0].id, "Ada"): FIRST_STROKE_SECONDS,
        (tiles[1].id, "Ada"): 30,
        (tiles[1].id, "Ben"): FIRST_STROKE_SECONDS + 30,
    }


def test_undo_and_redo_are_work_imports_and_second_opinions_are_not(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    journal.replace(workspace, tile.id, journal.load(workspace, tile.id) * 0, tool="import")
    journal.apply(workspace, tile.id, brush([(10, 10)]), opinion="Ben", annotator="Ben")
    assert time_spent.labelled_seconds(workspace, 1) == 0
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=3))
    journal.undo(workspace, tile.id)
    with workspace.database.write() as session:
        *_, stroke, undo = session.scalars(select(LabelOperation).order_by(LabelOperation.id))
        stroke.created, undo.created = START, START + timedelta(seconds=7)
    assert time_spent.labelled_seconds(workspace, 1) == FIRST_STROKE_SECONDS + 7


def test_nobody_has_spent_time_on_a_collection_without_strokes(tmp_path):
    workspace, _ = new_workspace(tmp_path)
    assert time_spent.labelled_seconds(workspace, 1) == 0
