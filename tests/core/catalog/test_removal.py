"""A collection leaves the workspace; the labels that were made on it do not."""

from pathlib import Path

import pytest

from core.catalog.catalogue import UnknownIdError, collections, index_folder, tiles
from core.catalog.images import write_mask
from core.catalog.removal import plan_removal, remove_collection
from core.errors import InputError
from core.progress import SilentProgress
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import blocks, write_pair


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


def _index(workspace: Workspace, folder: Path, *names: str) -> int:
    for number, name in enumerate(names):
        write_pair(folder, name, seed=number)
    return index_folder(workspace, folder, SilentProgress()).collection_id


def test_labels_are_kept_and_named_and_nothing_is_left_under_the_number(workspace: Workspace, tmp_path: Path) -> None:
    number = _index(workspace, tmp_path / "my land", "1", "2")
    write_mask(workspace.labels(number) / "1_mask.png", blocks())
    write_mask(workspace.opinions(number, "ann") / "1_mask.png", blocks())
    left = (
        workspace.predictions / "run" / "key" / str(number) / "1_mask.png",
        workspace.evaluations / "run" / f"{number}_key.json",
        workspace.evaluations / "run" / "drift" / f"{number}.json",
        workspace.evaluations / "run" / "hold-out" / f"{number}-ab12.json",
    )
    stays = (
        workspace.evaluations / "run" / f"{number}{number}_key.json",
        workspace.evaluations / str(number) / "9_key.json",  # a run of that name
    )
    for path in (*left, *stays):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    plan = plan_removal(workspace, number)
    assert (plan.tiles, plan.labelled, plan.imported) == (2, 1, None)
    kept = remove_collection(workspace, number, delete_import=False)
    assert kept is not None
    assert kept.name.startswith("my-land-")
    assert {path.relative_to(kept).as_posix() for path in kept.rglob("*.png")} == {
        "labels/1_mask.png",
        "opinions/ann/1_mask.png",
    }
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in stays)
    assert (tmp_path / "my land" / "1_sat.jpg").exists()
    assert collections(workspace) == []
    again = _index(workspace, tmp_path / "my land")
    assert len(tiles(workspace, again)) == 2
    assert again > number, "what is kept by the old number is nobody's"
    with pytest.raises(UnknownIdError):
        plan_removal(workspace, 99)


def test_the_files_of_an_import_go_only_when_asked(workspace: Workspace) -> None:
    number = _index(workspace, workspace.imports / "land", "1")
    assert plan_removal(workspace, number).imported == workspace.imports / "land"
    assert remove_collection(workspace, number, delete_import=False) is None
    number = _index(workspace, workspace.imports / "land")
    remove_collection(workspace, number, delete_import=True)
    assert not (workspace.imports / "land").exists()


def test_a_folder_that_moved_keeps_its_tiles_and_another_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    number = _index(workspace, tmp_path / "land", "1", "2")
    before = {row.name: row.id for row in tiles(workspace, number)}
    (tmp_path / "land").rename(tmp_path / "elsewhere")
    write_pair(tmp_path / "wrong", "9")
    with pytest.raises(InputError, match="holds no tile of land"):
        index_folder(workspace, tmp_path / "wrong", SilentProgress(), moved=number)
    report = index_folder(workspace, tmp_path / "elsewhere", SilentProgress(), moved=number)
    assert (report.collection_id, report.removed, report.read) == (number, 0, 0)
    assert {row.name: row.id for row in tiles(workspace, number)} == before
    other = _index(workspace, tmp_path / "wrong")
    with pytest.raises(InputError, match="is the collection wrong already"):
        index_folder(workspace, tmp_path / "wrong", SilentProgress(), moved=number)
    assert other != number
