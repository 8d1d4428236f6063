"""The node's side by itself: a process in a folder with the job, on a machine that shares nothing but is this one."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from core.cluster import package
from core.cluster.node_log import NodeLog
from core.cluster.watching import take_back
from core.errors import InputError

PROJECT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "core.cluster.on_node"]


def job_folder(folder, *arguments, carried=None, probe="/nowhere/.probe"):
    """What Ray unpacks for a job; the code in it is that of this checkout, packed."""
    job = {
        "submission": "tilewright-1", "arguments": list(arguments), "probe": str(probe), "workspace": "/nowhere",
        "code_version": "0.1.0+1234567", "carried": {str(path): name for name, path in (carried or {}).items()},
    }  # fmt: skip
    name, content = package.pack(job, carried or {})
    folder.mkdir()
    (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / name) as archive:
        archive.extractall(folder)
    return folder


def said_by(folder):
    done = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    log = NodeLog()
    log.feed(done.stdout)
    assert log.exit_status == done.returncode, done.stderr
    return log


def test_the_package_holds_our_code_the_job_and_small_inputs_and_nothing_else(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "1_mask.png").write_bytes(b"png")
    folder = job_folder(tmp_path / "job", "fit", carried={"4-labels": tmp_path / "labels"})
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".zip") == [
        "assets", "carried", "core", "job.json", "models", "pyproject.toml",
    ]  # fmt: skip
    assert (folder / "carried" / "4-labels" / "1_mask.png").read_bytes() == b"png"
    assert {path.suffix for path in (folder / "core").rglob("*") if path.is_file()} == {".py"}
    assert sum(path.stat().st_size for path in folder.glob("*.zip")) < 1 << 20


def test_an_input_that_is_not_there_and_a_command_that_needs_a_shared_disk_are_told(tmp_path):
    log = said_by(job_folder(tmp_path / "a", "fit", "--data", "/nowhere", "--out", "/nowhere/run"))
    assert log.exit_status == 2
    assert "/nowhere, which --data names, is not there" in log.verdict[1]
    log = said_by(job_folder(tmp_path / "b", "predict", "--data", str(tmp_path), "--out", "/nowhere/masks"))
    assert "needs a disk that the cluster's nodes share" in log.verdict[1]


def test_a_node_knows_the_submitters_disk_by_the_probe(tmp_path):
    probe = tmp_path / ".tilewright-1"
    probe.write_text("tilewright-1")
    assert said_by(job_folder(tmp_path / "a", "fit", "--data", "/nowhere", probe=probe)).shared is True
    probe.write_text("another")
    assert said_by(job_folder(tmp_path / "b", "fit", "--data", "/nowhere", probe=probe)).shared is False


def test_a_path_of_the_node_is_told_as_the_place_that_it_will_come_to(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    log = said_by(job_folder(tmp_path / "a", "ablate", "--data", str(empty), "--out", "/home/me/table.txt"))
    assert log.verdict == ("error", "--out is the study's file and ends in .json; /home/me/table.txt does not.")


def test_a_stop_before_the_command_begins_ends_it_as_cancelled(tmp_path):
    folder = job_folder(tmp_path / "a", "fit", "--data", str(tmp_path), "--out", "/nowhere/run")
    process = subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.PIPE, text=True)
    said = process.stdout.readline()
    os.kill(process.pid, signal.SIGTERM)
    log = NodeLog()
    log.feed(said + process.stdout.read())
    assert process.wait(60) != 0
    assert log.exit_status in (130, -15)  # our own word, or that of a Python that had just started


@pytest.mark.parametrize("name", ["../table.json", "table.py", "a/table.json"])
def test_files_come_back_beside_the_output_and_only_such_as_a_study_writes(tmp_path, name):
    folder = tmp_path / "out"
    take_back(returned({"table.json": "{}", "table.md": "| a |"}, tmp_path), folder / "table.json")
    assert sorted(path.name for path in folder.iterdir()) == ["table.json", "table.md"]
    with pytest.raises(InputError, match="no study writes"):
        take_back(returned({name: "x"}, tmp_path), folder / "table.json")


def returned(files, scratch):
    """A log in which these files have come back."""
    packed = scratch / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    content = packed.read_bytes()
    events = [
        {"event": "node", "host": "n", "shared": False},
        {"event": "returned", "kind": "files", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        {"event": "part", "data": base64.b64encode(content).decode()},
    ]
    log = NodeLog()
    log.feed("".join(json.dumps(event) + "\n" for event in events))
    return log
