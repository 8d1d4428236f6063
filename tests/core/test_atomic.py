import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.atomic import atomic_file, write_bytes, write_json, write_text
from core.errors import InputError

PROJECT = Path(__file__).resolve().parents[2]


def disk_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_written_is_there_whole_and_nothing_else(tmp_path):
    write_bytes(tmp_path / "new folder" / "a", b"\x00\xff")
    write_text(tmp_path / "b", "rivière\n")
    write_json(tmp_path / "c", {"miou": 0.5})
    assert (tmp_path / "new folder" / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_text(encoding="utf-8") == "rivière\n"
    assert json.loads((tmp_path / "c").read_text()) == {"miou": 0.5}
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a", "b", "c"]


def test_the_file_can_be_read_by_others_as_an_ordinary_one_can(tmp_path):
    write_bytes(tmp_path / "a", b"x")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "fdopen"])
def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch, step):
    target = tmp_path / "mask.png"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, disk_full)
    with pytest.raises(InputError, match=r"mask\.png: No space left on device; nothing was changed.*Free some"):
        write_bytes(target, b"new" * 1000)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_fills_up_while_writing_leaves_the_old_file_and_says_so(tmp_path):
    target = tmp_path / "mask.png"
    target.write_bytes(b"old")
    code = (
        "import resource, sys; from pathlib import Path; from core.atomic import write_bytes\n"
        "from core.errors import InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "try: write_bytes(Path(sys.argv[1]), bytes(1_000_000))\n"
        "except InputError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, target], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "nothing was changed there" in told.stdout
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="choose another folder"):
        write_bytes(tmp_path / "file" / "a", b"x")


def test_an_error_in_the_block_passes_through_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def half_a_file():
        with atomic_file(target) as stream:
            stream.write(b"half")
            raise KeyError("ours")

    with pytest.raises(KeyError):
        half_a_file()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_is_missing_inside_the_block_is_not_reported_as_a_full_disk(tmp_path):
    def copy_what_is_not_there():
        with atomic_file(tmp_path / "a") as stream:
            stream.write((tmp_path / "missing").read_bytes())

    with pytest.raises(FileNotFoundError):
        copy_what_is_not_there()
    assert not list(tmp_path.iterdir())


def test_a_reader_sees_the_old_file_or_the_new_one_and_never_a_half(tmp_path):
    target = tmp_path / "a"
    sizes = (100_000, 200_000)
    write_bytes(target, b"0" * sizes[0])
    stop = threading.Event()

    def write():
        turn = 0
        while not stop.is_set():
            turn += 1
            write_bytes(target, b"%d" % (turn % 2) * sizes[turn % 2])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [target.read_bytes() for _ in range(300)]
    finally:
        stop.set()
        writer.join()
    assert {(len(s), len(set(s))) for s in seen} <= {(size, 1) for size in sizes}


def test_two_writers_of_one_file_leave_one_of_the_two_contents(tmp_path):
    target = tmp_path / "a"
    contents = [bytes([n]) * 50_000 for n in range(4)]
    writers = [threading.Thread(target=write_bytes, args=(target, content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert target.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [target]
