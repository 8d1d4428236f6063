from pathlib import Path

import numpy as np
import pytest

from core.classes import UNLABELLED
from core.database import Database
from core.errors import InputError
from core.labels import journal, raster, versions
from core.labels.rasterising import rasterise
from core.labels.strokes import FillStroke, Guard, VersionStroke
from core.tables import LabelVersion
from core.workspace import Workspace
from tests.core.labels.painting import brush, is_on_disk, new_workspace, random_brush, strokes_of

ROOT = Path(__file__).parents[3]


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
