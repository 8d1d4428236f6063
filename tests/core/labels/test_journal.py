import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from core.classes import UNLABELLED, encode_colours
from core.database import Database
from core.errors import InputError, NotSavedError
from core.labels import journal, raster, versions
from core.labels.rasterising import rasterise
from core.labels.strokes import FillStroke, Guard, VersionStroke
from core.tables import LabelOperation, LabelVersion
from core.tables import Stroke as StrokeRow
from core.workspace import Workspace
from tests.core.labels.painting import brush, is_on_disk, new_workspace, random_brush

ROOT = Path(__file__).parents[3]


@pytest.fixture
def one(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    return workspace, tile


def strokes_of(workspace, tile):
    with workspace.database.read() as session:
        return list(session.scalars(select(StrokeRow).where(StrokeRow.tile_id == tile.id).order_by(StrokeRow.id)))


def test_a_stroke_is_on_disk_when_apply_returns(one):
    workspace, tile = one
    stroke = brush([(10, 10), (40, 30)], class_index=4)
    change = journal.apply(workspace, tile.id, stroke)
    box, mask = rasterise(stroke, (40, 60))
    expected = np.full((40, 60), UNLABELLED, np.uint8)
    expected[box.slices][mask] = 4
    assert change.box == box
    assert np.array_equal(change.patch, expected[box.slices])
    assert is_on_disk(workspace, tile, expected)
    assert change.state.counts["water"].pixels == mask.sum()
    assert (change.state.undo, change.state.redo) == (1, 0)


def test_a_stroke_sent_twice_counts_once_and_gets_the_same_answer(one):
    workspace, tile = one
    stroke = brush([(10, 10)], key="same-key-1")
    first = journal.apply(workspace, tile.id, stroke)
    second = journal.apply(workspace, tile.id, stroke)
    assert len(strokes_of(workspace, tile)) == 1
    assert second.box == first.box
    assert np.array_equal(second.patch, first.patch)
    assert second.state == first.state


def test_an_undo_sent_twice_undoes_once(one):
    workspace, tile = one
    for x in (10, 30):
        journal.apply(workspace, tile.id, brush([(x, 10)]))
    journal.undo(workspace, tile.id, "same-key-2")
    assert journal.undo(workspace, tile.id, "same-key-2").state.undo == 1


def test_a_stroke_that_changes_nothing_leaves_no_entry(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    change = journal.apply(workspace, tile.id, brush([(10, 10)]))
    assert change.box is None
    assert change.state.undo == 1


@pytest.mark.parametrize("seed", range(3))
def test_undo_and_redo_walk_the_same_way_back_and_forth_to_the_pixel(one, seed):
    workspace, tile = one
    generator = np.random.default_rng(seed)
    seen = [journal.load(workspace, tile.id)]
    while len(seen) < 15:
        if journal.apply(workspace, tile.id, random_brush(generator)).box is not None:
            seen.append(journal.load(workspace, tile.id))
    for expected in reversed(seen[:-1]):
        journal.undo(workspace, tile.id)
        assert is_on_disk(workspace, tile, expected)
    assert journal.undo(workspace, tile.id).box is None
    for expected in seen[1:]:
        journal.redo(workspace, tile.id)
        assert is_on_disk(workspace, tile, expected)
    assert journal.redo(workspace, tile.id).box is None


def test_a_new_stroke_overtakes_what_was_undone(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    journal.undo(workspace, tile.id)
    change = journal.apply(workspace, tile.id, brush([(40, 20)], class_index=2))
    assert (change.state.undo, change.state.redo) == (1, 0)
    assert [row.state for row in strokes_of(workspace, tile)] == ["dropped", "done"]
    assert journal.redo(workspace, tile.id).box is None


def test_an_unknown_tile_is_one_sentence(one):
    workspace, _ = one
    for act in (journal.load, journal.state, journal.undo, journal.redo):
        with pytest.raises(InputError, match="There is no tile 77"):
            act(workspace, 77)


def test_a_stroke_key_of_another_tile_is_refused(tmp_path):
    workspace, [first, second] = new_workspace(tmp_path, tiles=2)
    journal.apply(workspace, first.id, brush([(10, 10)], key="same-key-3"))
    with pytest.raises(InputError, match="used on another tile"):
        journal.apply(workspace, second.id, brush([(10, 10)], key="same-key-3"))


# ---- crashes ----


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


# ---- several at once ----


def paint_many(workspace, tile_id, generator, times):
    for _ in range(times):
        journal.apply(workspace, tile_id, random_brush(generator))


def replayed(workspace, tile):
    """What the strokes say by themselves, painted again from their geometry."""
    expected = np.full((tile.height, tile.width), UNLABELLED, np.uint8)
    for row in strokes_of(workspace, tile):
        stroke = brush([tuple(p) for p in row.geometry["points"]], radius=row.geometry["radius"])
        box, mask = rasterise(stroke, expected.shape)
        expected[box.slices][mask] = row.class_index
    return expected


def test_threads_that_paint_at_once_lose_no_stroke(one):
    workspace, tile = one
    threads = [
        threading.Thread(target=paint_many, args=(workspace, tile.id, np.random.default_rng(seed), 10))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(strokes_of(workspace, tile)) >= 30  # some may change nothing
    assert is_on_disk(workspace, tile, replayed(workspace, tile))


PAINTER = """
import sys
from pathlib import Path
import numpy as np
from core.labels import journal
from core.workspace import open_workspace
from tests.core.labels.painting import random_brush
workspace = open_workspace(Path(sys.argv[1]))
generator = np.random.default_rng(int(sys.argv[3]))
print("ready", flush=True)
for _ in range(int(sys.argv[4])):
    stroke = random_brush(generator)
    journal.apply(workspace, int(sys.argv[2]), stroke)
    print(stroke.client_key, flush=True)
"""


def start_painter(workspace, tile, *, seed, times):
    command = [sys.executable, "-c", PAINTER, str(workspace.root), str(tile.id), str(seed), str(times)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."})


def test_processes_that_paint_at_once_lose_no_stroke(one):
    workspace, tile = one
    painters = [start_painter(workspace, tile, seed=seed, times=12) for seed in range(2)]
    keys = {key for painter in painters for key in painter.communicate()[0].split()[1:]}
    assert all(painter.returncode == 0 for painter in painters)
    assert len(keys) == 24
    assert {row.client_key for row in strokes_of(workspace, tile)} <= keys
    assert is_on_disk(workspace, tile, replayed(workspace, tile))


def test_a_killed_painter_loses_no_stroke_that_was_reported_saved(one):
    workspace, tile = one
    for seed in range(4):
        painter = start_painter(workspace, tile, seed=seed, times=10_000)
        reported = [painter.stdout.readline().strip() for _ in range(3 + 2 * seed)][1:]
        painter.kill()
        reported += painter.communicate()[0].split("\n")[:-1]  # whole lines that were still on their way
        current = journal.load(workspace, tile.id)
        assert is_on_disk(workspace, tile, current)
        with workspace.database.read() as session:
            known = set(session.scalars(select(LabelOperation.client_key)))
        changed = [key for key in reported if key in known]
        assert len(changed) >= len(reported) - 2  # only those that changed no pixel have no entry
    journal.apply(workspace, tile.id, brush([(1, 1), (59, 39)], class_index=0))
    journal.apply(workspace, tile.id, brush([(1, 1), (59, 39)], class_index=1))
    assert [path.name for path in raster.mask_path(workspace, tile).parent.iterdir()] == ["t0_mask.png"]


# ---- sheets, guards, many strokes ----


def test_a_second_opinion_is_a_raster_of_its_own_with_its_own_undo(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    change = journal.apply(workspace, tile.id, brush([(30, 20)], class_index=2), opinion="Ada", annotator="Ada")
    assert (change.state.undo, change.previous) == (1, 0)
    assert set(np.unique(journal.load(workspace, tile.id))) == {1, UNLABELLED}
    assert set(np.unique(journal.load(workspace, tile.id, opinion="Ada"))) == {2, UNLABELLED}
    assert (journal.load(workspace, tile.id, opinion="Ben") == UNLABELLED).all()
    journal.undo(workspace, tile.id, opinion="Ada")
    assert journal.undo(workspace, tile.id, opinion="Ada").box is None
    assert journal.state(workspace, tile.id).undo == 1
    assert journal.redo(workspace, tile.id, opinion="Ada").state.undo == 1
    files = sorted(path.parent.parent.parent.name for path in workspace.root.rglob("t0_mask.png"))
    assert len(files) == 2
    assert "opinions" in files


def test_a_lost_second_opinion_is_rebuilt_from_its_own_strokes(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    journal.apply(workspace, tile.id, brush([(30, 20)], class_index=2), opinion="Ada")
    expected = journal.load(workspace, tile.id, opinion="Ada")
    raster.mask_path(workspace, tile, "Ada").unlink()
    assert np.array_equal(journal.load(workspace, tile.id, opinion="Ada"), expected)


def test_a_stroke_key_of_the_other_sheet_is_refused(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], key="same-key-4"))
    with pytest.raises(InputError, match="used on another tile"):
        journal.apply(workspace, tile.id, brush([(10, 10)], key="same-key-4"), opinion="Ada")


def test_strokes_say_who_made_them(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)]), annotator="Ada")
    journal.apply(workspace, tile.id, brush([(30, 10)]))
    assert [row.annotator for row in strokes_of(workspace, tile)] == ["Ada", "local"]


def test_a_stroke_of_which_the_guard_leaves_nothing_changes_nothing(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    before = journal.load(workspace, tile.id)
    spared = brush([(10, 10)], class_index=2, radius=3).model_copy(update={"guard": Guard(protect=[1])})
    change = journal.apply(workspace, tile.id, spared)
    assert (change.box, change.state.undo) == (None, 1)
    assert is_on_disk(workspace, tile, before)


def test_a_guarded_stroke_changes_only_what_it_may_and_its_undo_gives_just_that_back(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    before = journal.load(workspace, tile.id)
    around = brush([(14, 10)], class_index=2).model_copy(update={"guard": Guard(over="unlabelled")})
    journal.apply(workspace, tile.id, around)
    after = journal.load(workspace, tile.id)
    assert np.array_equal(after == 1, before == 1)
    assert (after == 2).any()
    journal.undo(workspace, tile.id)
    assert is_on_disk(workspace, tile, before)


def test_a_fill_reads_the_raster_that_it_changes(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)], class_index=1))
    before = journal.load(workspace, tile.id)
    fill = FillStroke(client_key="fill-0001", tool="fill", class_index=3, points=[(10, 10)])
    journal.apply(workspace, tile.id, fill)
    assert np.array_equal(journal.load(workspace, tile.id) == 3, before == 1)


def test_250_strokes_are_undone_and_redone_by_servers_that_were_started_anew(tmp_path):
    workspace, [tile] = new_workspace(tmp_path, width=30, height=20)
    generator = np.random.default_rng(0)
    seen = [journal.load(workspace, tile.id)]
    while len(seen) <= 250:
        stroke = random_brush(generator, width=30, height=20)
        if journal.apply(workspace, tile.id, stroke).box is not None:
            seen.append(journal.load(workspace, tile.id))
    for start in range(250, 0, -50):
        anew = Workspace(workspace.root, Database(workspace.root / "workspace.db"))
        for expected in reversed(seen[start - 50 : start]):
            journal.undo(anew, tile.id)
            assert np.array_equal(journal.load(anew, tile.id), expected)
        anew.database.close()
    assert journal.state(workspace, tile.id).redo == 250
    for expected in seen[1:11]:
        journal.redo(workspace, tile.id)
        assert np.array_equal(journal.load(workspace, tile.id), expected)


def test_a_stroke_that_is_sent_again_needs_no_longer_what_it_was_made_from(one):
    workspace, tile = one
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    version = versions.save(workspace, tile.id, "first")
    journal.undo(workspace, tile.id)
    copy = VersionStroke(client_key="copy-0001", tool="version", version=version.id, mode="all", class_index=UNLABELLED)
    first = journal.apply(workspace, tile.id, copy)
    with workspace.database.write() as session:
        session.delete(session.get_one(LabelVersion, version.id))
    assert journal.apply(workspace, tile.id, copy).state == first.state
