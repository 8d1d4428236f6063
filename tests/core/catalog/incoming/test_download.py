"""DeepGlobe from Kaggle, by the real kagglehub, against a server on this machine that speaks its endpoints."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.catalog.catalogue import collections, tiles
from core.catalog.incoming import kaggle
from core.errors import InputError
from core.jobs.handover import new_pipe, offer, take
from core.progress import SilentProgress
from core.workspace import Workspace, open_workspace
from tests.core.catalog.incoming.kaggle_server import KEY, USER, KaggleServer, archive_of
from tests.core.catalog.pictures import write_pair, write_picture

ROOT = Path(__file__).parents[4]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[KaggleServer]:
    write_pair(tmp_path / "kaggle" / "train", "119")
    write_picture(tmp_path / "kaggle" / "valid" / "7_sat.jpg")
    server = KaggleServer(archive_of(tmp_path / "kaggle", padding=4 << 20))
    yield server
    server.close()


def _environment(tmp_path: Path, server: KaggleServer, *, key: str | None = KEY) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE")}
    home = {"HOME": str(tmp_path / "home")}
    account = {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": key} if key else {}
    return {**ours, **server.environment, **home, **account}


def _start(workspace: Workspace, environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "core", "download-deepglobe", "--workspace", str(workspace.root)]
    return subprocess.Popen(
        [*command, *options, "--progress", "json"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(workspace: Workspace, environment: dict[str, str], *options: str) -> tuple[int, str, str]:
    process = _start(workspace, environment, *options)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


class _Here:
    """The download in this process: quicker than a process for each, with the same client below."""

    def __init__(self, workspace: Workspace, served: KaggleServer, home: Path, patch: pytest.MonkeyPatch) -> None:
        self._workspace, self._patch = workspace, patch
        for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
            patch.delenv(name, raising=False)
        quiet = dict.fromkeys(("KAGGLEHUB_CACHE", "KAGGLEHUB_VERBOSITY", "TQDM_DISABLE"), "")
        for name, value in {**served.environment, "HOME": str(home), **quiet}.items():
            patch.setenv(name, value)  # what the download sets too, so that it is undone after the test
        kaggle.prepare_environment(workspace)

    def account(self, key: str) -> None:
        self._patch.setenv("KAGGLE_USERNAME", USER)
        self._patch.setenv("KAGGLE_KEY", key)

    def download(self) -> Path:
        from core.catalog.incoming.download import download_deepglobe

        return download_deepglobe(self._workspace, SilentProgress())

    def failure(self) -> str:
        with pytest.raises(InputError) as caught:
            self.download()
        return str(caught.value)


@pytest.fixture
def here(workspace: Workspace, served: KaggleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Here:
    return _Here(workspace, served, tmp_path / "home", monkeypatch)


def test_the_data_set_is_downloaded_unpacked_and_indexed(
    workspace: Workspace, served: KaggleServer, tmp_path: Path
) -> None:
    status, out, err = _run(workspace, _environment(tmp_path, served))
    assert status == 0, err
    assert json.loads(out.splitlines()[-1])["tiles"] == 2
    (collection,) = collections(workspace)
    assert (collection.name, collection.root) == ("deepglobe", str(workspace.imports / "deepglobe"))
    assert {row.name: row.split for row in tiles(workspace, collection.id)} == {"119": "train", "7": "val"}
    assert not kaggle.download_folder(workspace).exists(), "the archive is not kept beside the pictures"
    assert KEY not in out + err
    served.status = 500  # a second time nothing is asked
    assert _run(workspace, _environment(tmp_path, served))[0] == 0


def test_a_cancel_stops_for_real_and_the_next_start_goes_on_there(
    workspace: Workspace, served: KaggleServer, tmp_path: Path
) -> None:
    served.per_second = 2e6
    process = _start(workspace, _environment(tmp_path, served))
    for _ in range(200):
        if kaggle.downloaded_bytes(workspace) > 1 << 20:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert any('"Downloaded 0.00 of 0.00 GB"' in line for line in err.splitlines())
    here = kaggle.downloaded_bytes(workspace)
    assert 0 < here < len(served.archive)
    served.per_second = None
    assert _run(workspace, _environment(tmp_path, served))[0] == 0
    assert served.ranges[-1] == f"bytes={here}-"


def test_a_connection_that_breaks_is_one_sentence_and_is_gone_on_with(
    workspace: Workspace, served: KaggleServer, here: _Here
) -> None:
    here.account(KEY)
    served.break_after = 2 << 20
    assert "Kaggle cannot be reached" in here.failure()
    kept = kaggle.downloaded_bytes(workspace)
    assert kept > 0
    assert (here.download() / "train" / "119_sat.jpg").is_file()
    assert served.ranges[-1] == f"bytes={kept}-"


def test_refusals_are_told_apart_in_plain_sentences(workspace: Workspace, served: KaggleServer, here: _Here) -> None:
    assert "no Kaggle credentials" in here.failure()
    here.account("wrong-key")
    wrong = here.failure()
    assert "does not know this user name and key" in wrong
    assert "wrong-key" not in wrong
    here.account(KEY)
    served.status = 403
    assert "accept its terms" in here.failure()
    served.close()
    assert "Kaggle cannot be reached (no connection)" in here.failure()
    assert not (workspace.imports / "deepglobe").exists()


def test_a_disk_without_room_is_told_before_a_byte_comes(
    served: KaggleServer, here: _Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.catalog.incoming import download

    here.account(KEY)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert "GB left; free some disk space" in here.failure()
    assert served.ranges == []


def test_a_damaged_archive_is_removed_and_said(workspace: Workspace, served: KaggleServer, here: _Here) -> None:
    here.account(KEY)
    served.archive = b"no zip at all"
    assert "start the download again" in here.failure()
    assert kaggle.downloaded_bytes(workspace) == 0


def test_what_was_typed_goes_through_a_pipe_once_and_is_nowhere_else(
    workspace: Workspace, served: KaggleServer, tmp_path: Path
) -> None:
    pipe = new_pipe(workspace)
    thread = offer(pipe, {"username": USER, "key": KEY}, wanted=lambda: True)
    status, _, err = _run(workspace, _environment(tmp_path, served, key=None), "--credentials", str(pipe))
    assert status == 0, err
    thread.join(5)
    assert not pipe.exists()
    written = [path for path in workspace.root.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert written == []
    with pytest.raises(InputError, match="only once"):
        take(pipe)


def test_a_pipe_that_no_job_takes_is_removed(workspace: Workspace) -> None:
    pipe = new_pipe(workspace)
    offer(pipe, {"key": KEY}, wanted=lambda: False).join(5)
    assert not pipe.exists()


def test_credentials_are_found_where_kaggles_tools_keep_them(tmp_path: Path) -> None:
    assert kaggle.found_credentials({"HOME": str(tmp_path)}) is None
    assert "KAGGLE_KEY" in str(kaggle.found_credentials({"KAGGLE_USERNAME": "a", "KAGGLE_KEY": "b"}))
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "kaggle.json").write_text("{}")
    assert kaggle.found_credentials({"HOME": str(tmp_path)}) == str(tmp_path / ".kaggle" / "kaggle.json")
