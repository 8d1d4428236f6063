from pathlib import Path

import numpy as np
import pytest

from core.catalog import tile_table as module
from core.catalog.catalogue import collection
from core.catalog.tile_table import TileTable, tile_table
from core.labels import journal, work_status
from core.labels.work_status import Status
from core.tables import Collection, Tile, TileFacts
from core.workspace import Workspace
from tests.core.labels.painting import brush, new_workspace

Made = tuple[Workspace, list[Tile]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return new_workspace(tmp_path / "ws", tiles=3)


def _table(workspace: Workspace, tile: Tile) -> TileTable:
    return tile_table(workspace, collection(workspace, tile.collection_id))


def test_a_table_that_nothing_changed_is_not_read_again(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, tiles = made
    first = _table(workspace, tiles[0])
    for read in ("_read_rows", "_read_labels", "_read_opinions"):
        monkeypatch.setattr(module, read, None)
    assert _table(workspace, tiles[0]) is first


def test_a_stroke_shows_with_its_painter_its_amount_and_its_time_and_leaves_the_rest(made: Made) -> None:
    workspace, tiles = made
    before = _table(workspace, tiles[0])
    assert not before.labelled_ids
    journal.apply(workspace, tiles[1].id, brush([(20, 20)], class_index=4, radius=6), annotator="Ada")
    after = _table(workspace, tiles[0])
    assert after.labelled_ids == {tiles[1].id}
    assert after.labels.annotators == ("Ada",)
    assert after.labels.instances[1].tolist() == [0, 0, 0, 0, 1, 0]
    assert after.shares[1, 4] == pytest.approx(after.labels.pixels[1, 4] / 2400)
    assert np.isnat(after.labels.changed).tolist() == [True, False, True]
    assert after.tiles is before.tiles
    journal.undo(workspace, tiles[1].id)
    undone = _table(workspace, tiles[0])
    assert not undone.labelled_ids
    assert undone.labels.pixels.sum() == 0


def test_a_second_opinion_labels_nothing(made: Made) -> None:
    workspace, tiles = made
    journal.apply(workspace, tiles[0].id, brush([(20, 20)]), opinion="Bo", annotator="Bo")
    assert not _table(workspace, tiles[0]).labelled_ids


def test_the_work_status_follows_what_a_person_says(made: Made) -> None:
    workspace, tiles = made
    work_status.set_status(workspace, tiles[2].id, Status.DONE, annotator="Ada")
    table = _table(workspace, tiles[0])
    assert [list(Status)[code] for code in table.labels.work] == [Status.NEW, Status.NEW, Status.DONE]


def test_a_change_of_the_catalogue_is_seen_by_its_revision(made: Made) -> None:
    workspace, tiles = made
    _table(workspace, tiles[0])
    with workspace.database.write() as session:
        session.get_one(Tile, tiles[0].id).split = "test"
        session.get_one(Collection, tiles[0].collection_id).revision += 1
    assert _table(workspace, tiles[0]).tiles.splits.tolist() == [2, 0, 0]


def test_splits_and_shares_are_summed_up_over_the_pixels_of_the_tiles_with_a_mask(made: Made) -> None:
    workspace, tiles = made
    assert _table(workspace, tiles[0]).given_mean_shares is None
    with workspace.database.write() as session:
        small, large = (session.get_one(Tile, tile.id) for tile in tiles[:2])
        small.class_shares, large.class_shares = [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0.5, 0]
        large.width, large.split = 3 * large.width, ""
        session.get_one(Collection, small.collection_id).revision += 1
    table = _table(workspace, tiles[0])
    assert table.given_mean_shares == [0.25, 0, 0, 0, 0.375, 0]
    assert table.split_counts == {"train": 2, "val": 0, "test": 0}


def test_what_a_run_said_of_an_image_that_changed_since_does_not_count(made: Made) -> None:
    workspace, tiles = made
    with workspace.database.write() as session:
        for tile, of in zip(tiles, ("f0", "f9", "f2"), strict=True):
            session.add(
                TileFacts(
                    tile_id=tile.id,
                    run="f1" if tile is not tiles[2] else "",
                    fingerprint=f"{of}-weights",
                    uncertainty=0.25,
                    class_shares=[1, 0, 0, 0, 0, 0],
                    embedding=b"",
                )
            )
    opinions = _table(workspace, tiles[0]).opinions
    assert opinions.run == "f1"
    assert opinions.uncertainty[0] == 0.25
    assert np.isnan(opinions.uncertainty[1:]).all()
