from pathlib import Path

import pytest

from core.labels import journal, learning_tiles, work_status
from core.labels.raster import mask_path
from core.labels.work_status import Status
from core.tables import Tile
from tests.core.labels.painting import brush, new_workspace

STROKE = [(10.0, 10.0), (30.0, 20.0)]


@pytest.fixture
def collection(tmp_path):
    """Tiles 0 and 1 train, 2 and 3 validate, 3 with a given mask."""
    workspace, tiles = new_workspace(tmp_path, tiles=4)
    with workspace.database.write() as session:
        for tile in tiles[2:]:
            session.get_one(Tile, tile.id).split = "val"
        session.get_one(Tile, tiles[3].id).mask_path = str(tmp_path / "t3_mask.png")
        session.get_one(Tile, tiles[0].id).mask_path = str(tmp_path / "t0_mask.png")
    return workspace, tiles


def ids(tiles):
    return [tile.id for tile in tiles]


def look(workspace, tiles):
    found = learning_tiles.learning_tiles(workspace, tiles[0].collection_id)
    return ids(found.training), {held.tile.id: held.truth for held in found.held_out}, found.never_train


def paint(workspace, tile):
    journal.apply(workspace, tile.id, brush(STROKE))


def test_painted_tiles_train_and_given_masks_do_not(collection):
    workspace, tiles = collection
    paint(workspace, tiles[1])
    training, _, _ = look(workspace, tiles)
    assert training == [tiles[1].id]


def test_a_validation_tile_with_a_given_mask_judges_and_never_trains_even_when_it_is_painted(collection):
    workspace, tiles = collection
    paint(workspace, tiles[3])
    training, held_out, never = look(workspace, tiles)
    assert training == []
    assert held_out == {tiles[3].id: Path(workspace.root / "t3_mask.png")}
    assert never == {tiles[3].id}


def test_a_painted_validation_tile_trains_until_it_is_done_and_then_judges(collection):
    workspace, tiles = collection
    paint(workspace, tiles[2])
    work_status.set_status(workspace, tiles[2].id, Status.IN_WORK, annotator="Ada")
    assert look(workspace, tiles)[0] == [tiles[2].id]
    work_status.set_status(workspace, tiles[2].id, Status.DONE, annotator="Ada")
    training, held_out, _ = look(workspace, tiles)
    assert training == []
    assert held_out[tiles[2].id] == mask_path(workspace, tiles[2])


def test_what_a_person_finished_counts_before_the_given_mask(collection):
    workspace, tiles = collection
    paint(workspace, tiles[3])
    work_status.set_status(workspace, tiles[3].id, Status.IN_WORK, annotator="Ada")
    work_status.set_status(workspace, tiles[3].id, Status.DONE, annotator="Ada")
    assert look(workspace, tiles)[1] == {tiles[3].id: mask_path(workspace, tiles[3])}


def test_of_many_held_out_tiles_the_same_few_are_scored_and_none_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(learning_tiles, "MAX_HELD_OUT", 2)
    workspace, tiles = new_workspace(tmp_path, tiles=5)
    with workspace.database.write() as session:
        for tile in tiles:
            row = session.get_one(Tile, tile.id)
            row.split, row.mask_path = "val", "given.png"
    for tile in tiles:
        paint(workspace, tile)
    found = [learning_tiles.learning_tiles(workspace, tiles[0].collection_id) for _ in range(2)]
    assert found[0].held_out_in_all == 5
    assert found[0].training == ()
    assert len(found[0].held_out) == 2
    assert ids(h.tile for h in found[0].held_out) == ids(h.tile for h in found[1].held_out)
