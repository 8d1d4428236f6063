"""Uploads: several zips and pictures into one import, gone on with, and never over what is there."""

import os
import time
import zipfile
from pathlib import Path

import pytest

from core.catalog.catalogue import index_folder, tiles
from core.catalog.incoming.added_files import add_files, imports, new_upload, upload_path
from core.errors import CancelledError, InputError
from core.progress import CancelFlag, SilentProgress
from core.workspace import Workspace, open_workspace
from tests.core.catalog.pictures import noise, write_pair, write_picture


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


def _zip(path: Path, *files: tuple[Path, str]) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for file, name in files:
            target.write(file, name)
    return path


def _inside(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _pair(folder: Path, name: str, seed: int = 0) -> tuple[Path, Path]:
    image = write_pair(folder, name, seed)
    return image, image.with_name(f"{name}_mask.png")


def test_images_masks_and_zips_become_one_import(workspace: Workspace, tmp_path: Path) -> None:
    image, mask = _pair(tmp_path / "made", "1")
    other, other_mask = _pair(tmp_path / "made", "2", seed=1)
    upload = new_upload(workspace, "one")
    for file, name in ((image, "1_SAT.JPG"), (mask, "1_mask.png")):
        upload_path(upload, name).write_bytes(file.read_bytes())
    _zip(upload / "more tiles.ZIP", (other, "land/2_sat.jpg"), (other_mask, "land/2_mask.png"), (mask, "land/.x.png"))
    done = add_files(upload, workspace.imports / "mine", SilentProgress())
    assert (done.added, done.already, done.skipped, done.findings) == (4, 0, 1, ())
    assert not upload.exists()
    assert imports(workspace) == ["mine"]
    report = index_folder(workspace, done.folder, SilentProgress())
    assert (report.tiles, report.with_mask) == (2, 2)


def test_zips_named_images_and_masks_fit_together(workspace: Workspace, tmp_path: Path) -> None:
    image, mask = _pair(tmp_path / "made", "1")
    upload = new_upload(workspace, "one")
    _zip(upload / "images.zip", (image, "a.jpg"))
    _zip(upload / "masks.zip", (mask, "masks/a.png"))
    folder = add_files(upload, workspace.imports / "mine", SilentProgress()).folder
    assert _inside(folder) == {"images/a.jpg", "masks/a.png"}
    assert index_folder(workspace, folder, SilentProgress()).with_mask == 1


def test_an_upload_that_broke_off_is_gone_on_with_and_replaces_nothing(workspace: Workspace, tmp_path: Path) -> None:
    image, mask = _pair(tmp_path / "made", "1")
    into = workspace.imports / "mine"
    first = new_upload(workspace, "one")
    upload_path(first, "1_sat.jpg").write_bytes(image.read_bytes())
    add_files(first, into, SilentProgress())
    second = new_upload(workspace, "two")
    for name, content in (("1_sat.jpg", image), ("1_mask.png", mask)):
        upload_path(second, name).write_bytes(content.read_bytes())
    done = add_files(second, into, SilentProgress())
    assert (done.added, done.already) == (1, 1)
    third = new_upload(workspace, "three")
    write_picture(third / "1_sat.jpg", noise(seed=9))
    done = add_files(third, into, SilentProgress())
    assert (done.added, len(done.findings)) == (0, 1)
    assert "is there with other content and was not replaced" in done.findings[0].sentence
    assert (into / "1_sat.jpg").read_bytes() == image.read_bytes()


def test_one_refused_zip_adds_nothing_and_names_itself(workspace: Workspace, tmp_path: Path) -> None:
    image, _ = _pair(tmp_path / "made", "1")
    upload = new_upload(workspace, "one")
    _zip(upload / "good.zip", (image, "1_sat.jpg"))
    with zipfile.ZipFile(upload / "outer.zip", "w") as target:
        target.write(_zip(tmp_path / "inner.zip", (image, "2_sat.jpg")), "inner.zip")
    with pytest.raises(InputError, match=r"outer\.zip: The archive holds other archives"):
        add_files(upload, workspace.imports / "mine", SilentProgress())
    assert list(workspace.imports.iterdir()) == []


def test_an_upload_without_a_picture_is_refused(workspace: Workspace) -> None:
    upload = new_upload(workspace, "one")
    (upload / "readme.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no image"):
        add_files(upload, workspace.imports / "mine", SilentProgress())
    with pytest.raises(InputError, match="upload the files again"):
        add_files(upload, workspace.imports / "mine", SilentProgress())


def test_a_cancelled_upload_can_be_tried_again(workspace: Workspace, tmp_path: Path) -> None:
    image, _ = _pair(tmp_path / "made", "1")
    upload = new_upload(workspace, "one")
    _zip(upload / "land.zip", (image, "1_sat.jpg"))
    stop = CancelFlag()
    stop.raised = True
    with pytest.raises(CancelledError):
        add_files(upload, workspace.imports / "mine", SilentProgress(stop))
    assert add_files(upload, workspace.imports / "mine", SilentProgress()).added == 1


def test_names_from_a_browser_stay_in_the_upload(workspace: Workspace) -> None:
    upload = new_upload(workspace, "../x")
    assert upload.parent == workspace.imports
    for name in ("../../etc/passwd.png", "C:\\a\\b.png", ".hidden.png", "a\x00b.png", "..", "ä ö.png"):
        path = upload_path(upload, name)
        path.touch()
        assert path.parent == upload
        assert not path.name.startswith(".")
    assert upload_path(upload, "ä ö.png").name == "ä ö (2).png"


def test_uploads_that_nobody_took_are_forgotten_after_a_day(workspace: Workspace) -> None:
    old = new_upload(workspace, "old")
    half_done = workspace.imports / ".LoveDA.x1"
    half_done.mkdir()
    mapping = workspace.imports / ".mapping-1.json"
    mapping.touch()
    for path in (old, half_done, mapping):
        os.utime(path, (time.time() - 90_000,) * 2)
    (workspace.imports / "mine").mkdir()
    os.utime(workspace.imports / "mine", (0, 0))
    new_upload(workspace, "new")
    assert {path.name for path in workspace.imports.iterdir()} == {".upload-new", "mine"}


def test_files_of_a_collection_stay_tiles_when_more_come(workspace: Workspace, tmp_path: Path) -> None:
    image, _ = _pair(tmp_path / "made", "1")
    ids = []
    for token, name in (("a", "1_sat.jpg"), ("b", "2_sat.jpg")):
        upload = new_upload(workspace, token)
        upload_path(upload, name).write_bytes(image.read_bytes())
        done = add_files(upload, workspace.imports / "mine", SilentProgress())
        report = index_folder(workspace, done.folder, SilentProgress())
        ids.append({row.name: row.id for row in tiles(workspace, report.collection_id)})
    assert ids[0].items() <= ids[1].items()
    assert set(ids[1]) == {"1", "2"}
