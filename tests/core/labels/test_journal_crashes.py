"""A server that dies, a disk that is full, a mask that another program wrote: what the journal makes of it."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.classes import UNLABELLED, encode_colours
from core.errors import NotSavedError
from core.labels import journal, raster
from tests.core.labels.painting import brush, is_on_disk, new_workspace, random_brush, strokes_of

ROOT = Path(__file__).parents[3]


def test_a_lost_or_older_mask_file_is_rebuilt_from_the_journal(one):
    workspace, tile = one
    path = raster.mask_path(workspace, tile)
    generator = np.random.default_rng(5)
    journal.apply(workspace, tile.id, random_brush(generator))
    older = path.read_bytes()
    for _ in range(3):
        journal.apply(workspace, tile.id, random_brush(generator))
    journal.undo(workspace, tile.id)
    expected = journal.load(workspace, tile.id)
    path.unlink()
    assert np.array_equal(journal.load(workspace, tile.id), expected)
    assert is_on_disk(workspace, tile, expected)
    path.write_bytes(older)
    assert np.array_equal(journal.load(workspace, tile.id), expected)
    assert is_on_disk(workspace, tile, expected)


@contextmanager
def dying_before_the_commit(monkeypatch):
    """The file is written, and the transaction never commits."""
    write = raster.save

    def crash(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(raster, "save", crash)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.mark.parametrize("step", ["undo", "redo"])
def test_an_undo_or_redo_that_died_before_its_commit_is_made_good_for(one, monkeypatch, step):
    workspace, tile = one
    for x in (10, 20, 30):
        journal.apply(workspace, tile.id, brush([(x, 20)], class_index=1))
    journal.undo(workspace, tile.id)
    with dying_before_the_commit(monkeypatch):
        getattr(journal, step)(workspace, tile.id, "in-the-air-1")
    state = getattr(journal, step)(workspace, tile.id, "in-the-air-1").state  # the browser sends it again
    assert (state.undo, state.redo) == {"undo": (1, 2), "redo": (3, 0)}[step]
    assert [row.tool for row in strokes_of(workspace, tile)] == ["brush"] * 3
    for _ in range(state.redo):
        journal.redo(workspace, tile.id)
    assert journal.state(workspace, tile.id).counts["agriculture"].instances == 3


def test_a_stroke_that_died_before_its_commit_keeps_who_drew_it_with_what(one, monkeypatch):
    workspace, tile = one
    with dying_before_the_commit(monkeypatch):
        journal.apply(workspace, tile.id, brush([(30, 20)], class_index=3), annotator="Anna")
    journal.load(workspace, tile.id)
    [row] = strokes_of(workspace, tile)
    assert (row.tool, row.class_index, row.annotator) == ("brush", 3, "Anna")


def test_a_crash_between_file_and_commit_keeps_the_stroke_once(one, monkeypatch):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    before = journal.load(workspace, tile.id)
    stroke = brush([(30, 20)], class_index=3, key="in-the-air-1")
    with dying_before_the_commit(monkeypatch):
        journal.apply(workspace, tile.id, stroke)
    change = journal.apply(workspace, tile.id, stroke)  # the browser sends it again
    assert change.state.undo == 2
    assert is_on_disk(workspace, tile, journal.load(workspace, tile.id))
    assert journal.load(workspace, tile.id)[20, 30] == 3
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, before)


def test_a_failed_write_leaves_file_and_journal_as_they_were(one, monkeypatch):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    before = journal.load(workspace, tile.id)

    def full(*_arguments):
        raise NotSavedError("Could not write: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(raster, "save", full)
        with pytest.raises(NotSavedError):
            journal.apply(workspace, tile.id, brush([(30, 20)], class_index=2))
    assert len(strokes_of(workspace, tile)) == 1
    assert is_on_disk(workspace, tile, before)
    journal.apply(workspace, tile.id, brush([(30, 20)], class_index=2))
    assert journal.load(workspace, tile.id)[20, 30] == 2


def test_a_mask_changed_by_another_program_is_taken_in_as_one_undoable_stroke(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    ours = journal.load(workspace, tile.id)
    theirs = ours.copy()
    theirs[5:20, 30:50] = 5
    Image.fromarray(encode_colours(theirs)).save(raster.mask_path(workspace, tile))
    change = journal.apply(workspace, tile.id, brush([(15, 30)], class_index=2))
    assert change.previous != 1, "a browser must notice that it missed something"
    assert [row.tool for row in strokes_of(workspace, tile)] == ["brush", "outside", "brush"]
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, theirs)
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, ours)


def test_labels_that_were_there_before_the_journal_are_kept(one):
    workspace, tile = one
    theirs = np.full((40, 60), 2, np.uint8)
    path = raster.mask_path(workspace, tile)
    path.parent.mkdir(parents=True)
    Image.fromarray(encode_colours(theirs)).save(path)
    assert np.array_equal(journal.load(workspace, tile.id), theirs)
    assert journal.state(workspace, tile.id).counts["rangeland"].instances == 1


def test_a_mask_file_copied_from_another_tile_is_taken_in_too(tmp_path):
    workspace, [first, second] = new_workspace(tmp_path, tiles=2)
    journal.apply(workspace, first.id, brush([(10, 10)], class_index=1))
    copy = raster.mask_path(workspace, second)
    copy.write_bytes(raster.mask_path(workspace, first).read_bytes())
    assert np.array_equal(journal.load(workspace, second.id), journal.load(workspace, first.id))
    journal.undo(workspace, second.id)
    assert (journal.load(workspace, second.id) == UNLABELLED).all()
