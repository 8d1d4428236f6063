from pathlib import Path

import numpy as np
import pytest

from core.catalog import exploring_files
from core.catalog.alike.looks import look_mark
from core.catalog.catalogue import collection, index_folder
from core.catalog.exploring_files import notable, patch_counts, seen, sizes
from core.catalog.tile_table import TileTable, tile_table
from core.progress import SilentProgress
from core.tables import TileLook
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import noise, write_pair, write_picture

NAMES = ("1", "2", "3", "4", "5")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for seed, name in enumerate(NAMES):
        write_pair(tmp_path / "land", name, seed=seed)
    write_picture(tmp_path / "land" / "odd_sat.jpg", noise(80, 40, seed=9))
    (tmp_path / "land" / "copy_sat.jpg").write_bytes((tmp_path / "land" / "1_sat.jpg").read_bytes())
    (tmp_path / "land" / "broken_sat.jpg").write_bytes(b"")
    found = open_workspace(tmp_path / "ws")
    index_folder(found, tmp_path / "land", SilentProgress())
    return found


def look_at_all(workspace: Workspace, table: TileTable, colours: dict[str, list[float]]) -> None:
    """What the job would keep of these tiles, by name, with instances of water of 100 and 400 pixels on each mask."""
    with workspace.database.write() as session:
        for row in table.rows:
            if row.name in colours:
                session.add(
                    TileLook(
                        tile_id=row.id,
                        fingerprint=look_mark(row.fingerprint, row.mask_fingerprint) + "encoder",
                        embedding=np.eye(8, dtype=np.float32)[row.id % 8].tobytes(),
                        pixels=row.fingerprint,
                        outline=b"",
                        borders=b"",
                        colours=colours[row.name],
                        sizes={"water": [100, 400]} if row.mask_path else {},
                    )
                )


def table_now(workspace: Workspace) -> TileTable:
    return tile_table(workspace, collection(workspace, 1))


def test_what_stands_out_is_named_with_its_tile(workspace: Workspace) -> None:
    table = table_now(workspace)
    plain = {name: [40.0 + number / 10, 9, 1, 2, 3, 4] for number, name in enumerate(NAMES)}
    look_at_all(workspace, table, plain | {"odd": [95.0, 9, 1, 2, 3, 4], "copy": [40.0, 0.2, 1, 2, 3, 4]})
    found = {(one.kind, one.tile): one for one in notable(workspace, table_now(workspace))}
    ids = {row.name: row.id for row in table.rows}
    assert found["left out", "broken"].tile_id is None
    assert "80 x 40" in found["odd size", "odd"].sentence
    assert found["same file", "copy"].tile_id == ids["copy"] or found["same file", "1"].tile_id == ids["1"]
    assert found["odd colours", "odd"].tile_id == ids["odd"]
    assert "lightness, 95.0" in found["odd colours", "odd"].sentence
    assert found["blank", "copy"].tile_id == ids["copy"]
    assert not {("odd colours", name) for name in NAMES} & found.keys()


def test_instances_are_measured_on_the_ground_and_of_tiles_as_they_are_now(workspace: Workspace) -> None:
    table = table_now(workspace)
    look_at_all(workspace, table, {name: [40.0, 9, 1, 2, 3, 4] for name in NAMES})
    with workspace.database.write() as session:
        stale = session.get_one(TileLook, table.rows[0].id)
        stale.fingerprint = "of another image"
    known = seen(workspace, table_now(workspace))
    assert (len(known.numbers), known.masks) == (4, 4)
    assert known.areas["water"].tolist() == [25.0, 100.0] * 4


def test_patches_are_cut_from_a_sample_of_the_masks(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploring_files, "PATCH_SIDES", (8, 4096))
    monkeypatch.setattr(exploring_files, "PATCH_SAMPLE", 3)
    small, large = patch_counts(workspace, table_now(workspace))
    assert (small.tiles, large.every) == (3, 0)
    assert 0 < small.single <= small.every == 3 * 7 * 6  # the last of eight columns is unlabelled


def test_the_commonest_size_comes_first(workspace: Workspace) -> None:
    assert sizes(table_now(workspace))[0] == ("64 x 48 at 0.5 m", 6)
