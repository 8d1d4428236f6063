from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from core.catalog import catalogue
from core.catalog.catalogue import index_folder, problems, tile, tiles
from core.catalog.discover import discover
from core.catalog.images import write_mask
from core.classes import encode_colours
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from core.tables import Stroke, Tile
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import SHARED, blocks, noise, write_pair, write_picture


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        write_pair(tmp_path / "data", str(number), seed=number)
    return tmp_path / "data"


class _CancelAfter:
    def __init__(self, calls: int) -> None:
        self.calls = calls

    def update(self, done: float, total: float, message: str) -> None:
        self.calls -= 1
        if self.calls < 0:
            raise CancelledError

    def metrics(self, values: dict[str, Any]) -> None: ...


def _index(workspace: Workspace, folder: Path) -> catalogue.IndexReport:
    return index_folder(workspace, folder, SilentProgress())


def _paint(workspace: Workspace, row: Tile) -> None:
    fields: dict[str, Any] = dict.fromkeys(("top", "left", "class_index"), 0) | {"height": 1, "width": 1}
    with workspace.database.write() as session:
        session.add(
            Stroke(
                tile_id=row.id,
                client_key=row.name,
                annotator="me",
                tool="brush",
                geometry={},
                before=b"",
                after=b"",
                **fields,
            )
        )


def test_a_folder_becomes_tiles_with_class_shares_and_thumbnails(workspace: Workspace, folder: Path) -> None:
    report = _index(workspace, folder)
    assert (report.tiles, report.with_mask, report.read, report.findings) == (5, 5, 5, ())
    assert sum(report.by_split.values()) == 5
    rows = tiles(workspace, report.collection_id)
    assert [row.name for row in rows] == ["0", "1", "2", "3", "4"]
    expected = [(blocks() == index).mean() for index in range(6)]
    assert rows[0].class_shares == pytest.approx(expected, abs=1e-6)
    assert len(list(workspace.thumbnails.rglob("*-256.jpg"))) == 5


def test_indexing_again_changes_nothing_and_decodes_nothing(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _index(workspace, folder)
    before = {row.name: row.id for row in tiles(workspace, first.collection_id)}
    monkeypatch.setattr(catalogue, "read_mask", lambda *_: pytest.fail("decoded a mask again"))
    second = _index(workspace, folder)
    assert second.collection_id == first.collection_id
    assert (second.read, second.removed) == (0, 0)
    assert {row.name: row.id for row in tiles(workspace, first.collection_id)} == before


def test_what_was_said_of_an_unchanged_mask_is_still_said(workspace: Workspace, folder: Path) -> None:
    rgb = encode_colours(blocks())
    rgb[0, 0] = (255, 0, 0)
    write_picture(folder / "0_mask.png", rgb)
    first, second = _index(workspace, folder), _index(workspace, folder)
    assert len(first.findings) == 1
    assert second.findings == first.findings
    write_mask(folder / "0_mask.png", blocks())
    assert _index(workspace, folder).findings == ()


def test_off_palette_pixels_are_counted_with_their_share(workspace: Workspace, folder: Path) -> None:
    rgb = encode_colours(blocks())
    rgb[0, :30] = (10, 250, 250)
    write_picture(folder / "0_mask.png", rgb)
    (finding,) = _index(workspace, folder).findings
    assert (finding.tile_name, finding.severity) == ("0", "warning")
    assert "30 pixels (0.98%)" in finding.sentence


def test_a_mask_of_foreign_indices_is_reported_and_left_out(workspace: Workspace, folder: Path) -> None:
    Image.fromarray(np.full((48, 64), 90, np.uint8)).save(folder / "0_mask.png")
    report = _index(workspace, folder)
    row = tiles(workspace, report.collection_id)[0]
    assert (row.mask_path, row.class_shares) == (None, None)
    assert [finding.severity for finding in report.findings] == ["error"]
    assert problems(workspace, report.collection_id, "0")[0].path.endswith("0_mask.png")


def test_a_picture_damaged_behind_a_good_header_is_reported_and_left_out(workspace: Workspace, folder: Path) -> None:
    path = write_picture(folder / "9_sat.png", noise(300, 300))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    report = _index(workspace, folder)
    assert report.tiles == 5
    assert [finding.path.name for finding in report.findings] == ["9_sat.png"]


def test_a_changed_image_keeps_its_id_and_gets_a_new_fingerprint(workspace: Workspace, folder: Path) -> None:
    cid = _index(workspace, folder).collection_id
    before = tiles(workspace, cid)[0]
    write_picture(folder / "0_sat.jpg", noise(seed=77))
    assert _index(workspace, folder).read == 1
    after = tiles(workspace, cid)[0]
    assert after.id == before.id
    assert after.fingerprint != before.fingerprint


def test_a_vanished_tile_is_forgotten_unless_somebody_labelled_it(workspace: Workspace, folder: Path) -> None:
    cid = _index(workspace, folder).collection_id
    painted, filed, _bare = tiles(workspace, cid)[:3]
    _paint(workspace, painted)
    write_mask(workspace.labels(cid) / f"{filed.name}_mask.png", blocks())
    for name in "012":
        (folder / f"{name}_sat.jpg").unlink()
        (folder / f"{name}_mask.png").unlink()
    report = _index(workspace, folder)
    assert report.removed == 1
    assert [row.name for row in tiles(workspace, cid)] == ["0", "1", "3", "4"]
    assert [finding.tile_name for finding in report.findings] == ["0", "1"]
    assert "labels were made on it and are kept" in report.findings[0].sentence
    with workspace.database.read() as session:
        assert session.scalars(select(Stroke.tile_id)).all() == [painted.id]


def test_a_rule_does_not_move_tiles_when_others_join(workspace: Workspace, folder: Path) -> None:
    cid = _index(workspace, folder).collection_id
    before = {row.name: row.split for row in tiles(workspace, cid)}
    for number in range(10, 30):
        write_pair(folder, f"later {number}", seed=number)
    dealt_anew = {file.name: file.split for file in discover(folder).tiles}
    assert any(dealt_anew[name] != split for name, split in before.items()), "the names no longer test anything"
    _index(workspace, folder)
    after = {row.name: row.split for row in tiles(workspace, cid)}
    assert {name: after[name] for name in before} == before


def test_a_cancel_keeps_what_was_done_and_the_next_index_goes_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "BATCH", 4)
    for number in range(20):
        write_pair(tmp_path / "many", str(number), seed=number)
    with pytest.raises(CancelledError):
        index_folder(workspace, tmp_path / "many", _CancelAfter(10))
    (collection,) = catalogue.collections(workspace)
    kept = {row.name: row.id for row in tiles(workspace, collection.id)}
    assert len(kept) == 9
    report = _index(workspace, tmp_path / "many")
    assert (report.tiles, report.read) == (20, 20 - len(kept))
    assert kept.items() <= {row.name: row.id for row in tiles(workspace, collection.id)}.items()


def test_tiles_can_be_asked_for_by_split_and_mask(workspace: Workspace, folder: Path) -> None:
    write_picture(folder / "bare_sat.jpg")
    cid = _index(workspace, folder).collection_id
    assert [row.name for row in tiles(workspace, cid, with_mask=False)] == ["bare"]
    assert {row.split for row in tiles(workspace, cid, split="val")} == {"val"}


def test_painted_tiles_are_known(workspace: Workspace, folder: Path) -> None:
    cid = _index(workspace, folder).collection_id
    row = tiles(workspace, cid)[2]
    _paint(workspace, row)
    assert catalogue.labelled_tile_ids(workspace, cid) == {row.id}


def test_only_the_workspaces_own_sample_is_taken_for_synthetic(workspace: Workspace, folder: Path) -> None:
    write_pair(workspace.sample, "1")
    drawn, real = _index(workspace, workspace.sample), _index(workspace, folder)
    assert catalogue.collection(workspace, drawn.collection_id).synthetic
    assert not catalogue.collection(workspace, real.collection_id).synthetic


def test_an_unknown_id_is_refused(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="no tile 41"):
        tile(workspace, 41)
    with pytest.raises(InputError, match="no collection 7"):
        catalogue.collection(workspace, 7)


@pytest.mark.real
def test_the_real_pairs_are_indexed_without_a_finding(workspace: Workspace, tmp_path: Path) -> None:
    source = SHARED / "deepglobe/land-train"
    if not source.is_dir():
        pytest.skip("the real tiles are not beside this checkout")
    (tmp_path / "two").mkdir()
    for name in ("119", "2774"):
        for ending in ("sat.jpg", "mask.png"):
            (tmp_path / "two" / f"{name}_{ending}").symlink_to((source / f"{name}_{ending}").resolve())
    report = _index(workspace, tmp_path / "two")
    assert (report.tiles, report.with_mask, report.findings) == (2, 2, ())
    assert report.by_split == {"train": 1, "val": 1, "test": 0}
