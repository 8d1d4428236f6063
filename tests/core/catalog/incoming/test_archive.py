import stat
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from core.catalog.incoming import archive
from core.catalog.incoming.archive import import_folder, unpack_zip
from core.errors import CancelledError, InputError
from core.progress import CancelFlag, SilentProgress
from core.workspace import open_workspace


def _zip(*members: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_STORED) -> BytesIO:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", packed) as target:
        for name, content in members:
            target.writestr(name, content)
    stream.seek(0)
    return stream


def _refused(source: BytesIO, into: Path, match: str) -> None:
    with pytest.raises(InputError, match=match):
        unpack_zip(source, into, SilentProgress())
    assert list(into.parent.iterdir()) == []


def test_images_masks_and_text_are_unpacked_and_the_rest_is_counted(tmp_path: Path) -> None:
    source = _zip(
        ("land/1_sat.jpg", b"a"),
        ("land/1_mask.PNG", b"b"),
        ("land/readme.txt", b"c"),
        ("land/run.exe", b"d"),
        ("__MACOSX/land/._1_sat.jpg", b"e"),
        ("land/.hidden.png", b"f"),
    )
    done = unpack_zip(source, tmp_path / "in", SilentProgress())
    assert (done.files, done.skipped) == (3, 3)
    found = {str(path.relative_to(tmp_path / "in")) for path in (tmp_path / "in").rglob("*") if path.is_file()}
    assert found == {"land/1_sat.jpg", "land/1_mask.PNG", "land/readme.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("name", ["../out.jpg", "a/../../out.jpg", "/etc/out.jpg", "..\\out.jpg", "C:\\out.jpg"])
def test_a_member_that_points_outside_is_refused_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    (tmp_path / "ws").mkdir()
    _refused(_zip(("good.jpg", b"x"), (name, b"x")), tmp_path / "ws" / "in", "outside its folder")
    assert not (tmp_path / "out.jpg").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("passwd.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    _refused(_zip(("good.jpg", b"x"), (link, b"/etc/passwd")), tmp_path / "in", "a link or special file")


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    bomb = _zip(("a.tif", b"\0" * (archive.RATIO_FREE_BYTES + 1)), packed=zipfile.ZIP_DEFLATED)
    _refused(bomb, tmp_path / "in", "times its size")


def test_too_much_too_many_and_too_little_space_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _zip(("a.jpg", b"x" * 100), ("b.jpg", b"x" * 100))
    with monkeypatch.context() as patched:
        patched.setattr(archive, "MAX_BYTES", 150)
        _refused(source, tmp_path / "in", "unpacks to")
    with monkeypatch.context() as patched:
        patched.setattr(archive, "MAX_MEMBERS", 1)
        _refused(source, tmp_path / "in", "holds 2 files")
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("core.catalog.incoming.archive.shutil.disk_usage", lambda _: usage)
    _refused(source, tmp_path / "in", "free some disk space")


def test_a_disk_that_fills_while_unpacking_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.catalog.incoming.archive.shutil.copyfileobj", full)
    _refused(_zip(("a.jpg", b"x")), tmp_path / "in", "No space left on device")


def _damage(content: bytearray) -> None:
    content[content.index(b"PAYLOAD")] ^= 0xFF


def _cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


@pytest.mark.parametrize("harm", [_damage, _cut])
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, harm: Callable[[bytearray], None]) -> None:
    content = bytearray(_zip(("a.jpg", b"x"), ("b.jpg", b"PAYLOAD" * 9)).getvalue())
    harm(content)
    _refused(BytesIO(bytes(content)), tmp_path / "in", "damaged or no zip")


def test_what_is_no_zip_or_holds_no_image_is_refused(tmp_path: Path) -> None:
    _refused(BytesIO(b"hello"), tmp_path / "in", "no zip")
    _refused(_zip(("notes.txt", b"x")), tmp_path / "in", "holds no image")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    content = bytearray(_zip(("a.jpg", b"x")).getvalue())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    _refused(BytesIO(bytes(content)), tmp_path / "in", "encrypted")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    _refused(_zip(("a.jpg", b"x"), ("a.jpg", b"y")), tmp_path / "in", "twice")


def test_a_cancel_leaves_nothing(tmp_path: Path) -> None:
    cancel = CancelFlag()
    cancel.raised = True
    with pytest.raises(CancelledError):
        unpack_zip(_zip(("a.jpg", b"x")), tmp_path / "in", SilentProgress(cancel))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="exists already"):
        unpack_zip(_zip(("a.jpg", b"x")), tmp_path / "in", SilentProgress())


def test_an_archives_name_becomes_a_safe_new_folder(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "ws")
    assert import_folder(workspace, "../..//etc/my tiles (1).zip") == workspace.imports / "my-tiles-1"
    (workspace.imports / "tiles").mkdir(parents=True)
    assert import_folder(workspace, "tiles.zip").name == "tiles-2"
    assert import_folder(workspace, "....zip").parent == workspace.imports
