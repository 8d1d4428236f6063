import numpy as np
import pytest
from sqlalchemy import select

from core.labels import compaction, journal, provenance, raster
from core.tables import LabelVersion, Stroke
from tests.core.labels.painting import brush, is_on_disk, new_workspace, random_brush


@pytest.fixture
def one(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "BOUND", 20)
    monkeypatch.setattr(compaction, "KEPT", 8)
    workspace, [tile] = new_workspace(tmp_path)
    return workspace, tile


@pytest.fixture
def by_hand(monkeypatch):
    """Nothing is compacted until the test says so."""
    monkeypatch.setattr(compaction, "schedule", lambda *_sheet, standing: None)


def paint(workspace, tile, strokes, *, seed=0, **options):
    """Paint until this many strokes stand; the rasters after each."""
    generator = np.random.default_rng(seed)
    seen = []
    while len(seen) < strokes:
        if journal.apply(workspace, tile.id, random_brush(generator), **options).box is not None:
            seen.append(journal.load(workspace, tile.id, opinion=options.get("opinion", "")))
    return seen


def rows_of(workspace, table):
    with workspace.database.read() as session:
        return list(session.scalars(select(table).order_by(table.id)))


def test_a_long_journal_keeps_its_rows_and_the_patches_of_the_last_strokes_only(one, by_hand):
    workspace, tile = one
    seen = paint(workspace, tile, 21)
    assert compaction.compact(workspace, tile.id)
    strokes = rows_of(workspace, Stroke)
    assert len(strokes) == 21
    assert [bool(row.after) for row in strokes] == [False] * 13 + [True] * 8
    assert all(row.geometry["points"] and row.annotator == "local" for row in strokes)
    [checkpoint] = rows_of(workspace, LabelVersion)
    assert (checkpoint.name, checkpoint.stroke_id) == (None, strokes[12].id)
    assert is_on_disk(workspace, tile, seen[-1])


def test_a_short_journal_is_left_alone(one, by_hand):
    workspace, tile = one
    paint(workspace, tile, 20)
    assert not compaction.compact(workspace, tile.id)
    assert rows_of(workspace, LabelVersion) == []


def test_undo_goes_back_to_the_checkpoint_and_redo_forward_again(one, by_hand):
    workspace, tile = one
    seen = paint(workspace, tile, 25)
    compaction.compact(workspace, tile.id)
    assert journal.state(workspace, tile.id).undo == 8
    for expected in reversed(seen[-9:-1]):
        journal.undo(workspace, tile.id)
        assert is_on_disk(workspace, tile, expected)
    assert journal.undo(workspace, tile.id).box is None
    assert journal.state(workspace, tile.id).redo == 8
    for expected in seen[-8:]:
        journal.redo(workspace, tile.id)
        assert is_on_disk(workspace, tile, expected)


def test_a_lost_mask_is_rebuilt_from_the_checkpoint(one, by_hand):
    workspace, tile = one
    seen = paint(workspace, tile, 25)
    compaction.compact(workspace, tile.id)
    raster.mask_path(workspace, tile).unlink()
    assert np.array_equal(journal.load(workspace, tile.id), seen[-1])


def test_a_second_compaction_replaces_the_first_checkpoint_and_keeps_the_origins(one, by_hand):
    workspace, tile = one
    paint(workspace, tile, 25)
    before = provenance.origins(workspace, tile.id)
    compaction.compact(workspace, tile.id)
    provenance._cache = provenance._Cache()
    assert np.array_equal(provenance.origins(workspace, tile.id), before)
    paint(workspace, tile, 15, seed=1)
    before = provenance.origins(workspace, tile.id)
    assert compaction.compact(workspace, tile.id)
    assert len(rows_of(workspace, LabelVersion)) == 1
    provenance._cache = provenance._Cache()
    assert np.array_equal(provenance.origins(workspace, tile.id), before)


def test_each_sheet_is_compacted_by_itself(one, by_hand):
    workspace, tile = one
    paint(workspace, tile, 21)
    paint(workspace, tile, 5, opinion="Ada")
    compaction.compact(workspace, tile.id)
    assert not compaction.compact(workspace, tile.id, "Ada")
    assert journal.state(workspace, tile.id).undo == 8
    assert journal.state(workspace, tile.id, opinion="Ada").undo == 5


def test_where_somebody_undid_that_far_meanwhile_nothing_is_dropped(one, by_hand, monkeypatch):
    workspace, tile = one
    seen = paint(workspace, tile, 21)
    replay = compaction.sheets.replay

    def slow(*arguments, **options):
        for _ in range(10):
            journal.undo(workspace, tile.id)
        return replay(*arguments, **options)

    monkeypatch.setattr(compaction.sheets, "replay", slow)
    assert not compaction.compact(workspace, tile.id)
    assert all(row.after for row in rows_of(workspace, Stroke))
    assert is_on_disk(workspace, tile, seen[10])


def test_the_stroke_that_passes_the_bound_has_the_journal_compacted_in_the_background(one):
    workspace, tile = one
    paint(workspace, tile, 21)
    compaction._worker.submit(lambda: None).result(timeout=30)  # the one worker has done what was asked before
    assert journal.state(workspace, tile.id).undo == 8
    journal.apply(workspace, tile.id, brush([(1, 1), (50, 30)], class_index=0))
    assert journal.state(workspace, tile.id).undo == 9
