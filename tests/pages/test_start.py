"""Start in Streamlit's own test harness; the jobs that it begins run to their end in processes of their own."""

import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.catalogue import collections, tiles
from core.jobs import queue, worker
from core.jobs.outcome import JobState
from core.workspace import WORKSPACE_VARIABLE, Workspace, open_workspace
from tests.core.catalog.pictures import noise, write_pair, write_picture

PAGES = Path(__file__).parents[2] / "pages"
AROUND = f"""
import streamlit as st
from pathlib import Path
pages = Path({str(PAGES)!r})
st.navigation([st.Page(pages / "start.py", default=True), *(
    st.Page(pages / f"{{name}}.py", url_path=name) for name in ("browse", "label", "train")
)]).run()
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A new workspace whose jobs are run where they are submitted, each to its end."""

    def run_now(workspace: Workspace, device: str, **_: object) -> None:
        worker.run_worker(workspace, device, idle=0.01)

    monkeypatch.setattr(worker, "ensure_running", run_now)
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "ws"))
    return open_workspace()


@pytest.fixture
def page(workspace: Workspace) -> AppTest:
    test = AppTest.from_string(AROUND, default_timeout=30).run()
    assert not test.exception
    return test


def _click(test: AppTest, label: str) -> AppTest:
    next(button for button in test.button if button.label == label).click().run()
    assert not test.exception
    return test


def _figures(test: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.metric}


def _text(test: AppTest) -> str:
    return " ".join(str(part.value) for part in (*test.markdown, *test.caption, *test.warning, *test.error))


def _open(test: AppTest, folder: Path) -> None:
    test.text_input(key="folder_path").set_value(str(folder))
    _click(test, "Open folder")


def _zip(folder: Path) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for path in folder.iterdir():
            target.write(path, f"land/{path.name}")
    return stream.getvalue()


def test_a_new_workspace_shows_the_four_steps_and_five_ways(page: AppTest) -> None:
    words = ("1. Browse", "2. Label", "3. Train", "4. Judge", "Open a folder", "Upload a zip", "the sample")
    for word in (*words, "Download DeepGlobe", "Any other layout"):
        assert word in _text(page)
    assert page.metric == []


def test_a_folder_is_opened_and_summed_up(page: AppTest, tmp_path: Path) -> None:
    for name in ("119", "2774"):
        write_pair(tmp_path / "land", name)
    (tmp_path / "land" / "3_sat.jpg").write_text("no picture")
    page.text_input(key="folder_path").set_value(f"  {tmp_path / 'land'} ")
    _click(page, "Open folder")
    figures = {"Tiles": "2", "Masks": "2", "Train": "1", "Validate": "1", "Test": "0", "Left out": "1"}
    assert _figures(page) == figures
    assert "no JPEG" in page.table[0].value.to_string()
    assert "2 of 2 tiles were new" in _text(page)


@pytest.mark.parametrize(("folder", "sentence"), [("", "Type the folder"), ("/no/such/place", "does not exist")])
def test_a_folder_that_is_not_there_is_one_sentence_at_once(page: AppTest, folder: str, sentence: str) -> None:
    page.text_input(key="folder_path").set_value(folder)
    _click(page, "Open folder")
    assert sentence in page.error[0].value
    assert page.metric == []


def test_a_job_that_fails_says_why_until_it_is_dismissed(page: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _open(page, tmp_path / "empty")
    assert "holds no image" in page.error[0].value
    later = AppTest.from_string(AROUND, default_timeout=30).run()
    assert "holds no image" in later.error[0].value, "another visitor, or this one later, is told too"
    next(button for button in later.button if button.help == "Dismiss").click().run()
    assert not later.error


def test_an_uploaded_zip_becomes_a_collection(page: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    write_pair(tmp_path / "land", "7")
    page.file_uploader[0].set_value(("my tiles.zip", _zip(tmp_path / "land"), "application/zip")).run()
    _click(page, "Unpack and open")
    (collection,) = collections(workspace)
    assert collection.root == str(workspace.imports / "my-tiles")
    assert [tile.name for tile in tiles(workspace, collection.id)] == ["7"]
    assert "2 files added" in _text(page)


def test_a_second_upload_goes_on_with_the_first(page: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    write_pair(tmp_path / "land", "7")
    page.file_uploader[0].set_value(("land.zip", _zip(tmp_path / "land"), "application/zip")).run()
    _click(page, "Unpack and open")
    (first,) = collections(workspace)
    write_pair(tmp_path / "land", "8", seed=1)
    page.file_uploader[0].set_value(("land.zip", _zip(tmp_path / "land"), "application/zip")).run()
    page.selectbox(key="upload_into_1").set_value("land").run()
    _click(page, "Unpack and open")
    (again,) = collections(workspace)
    assert again.id == first.id
    assert [tile.name for tile in tiles(workspace, again.id)] == ["7", "8"]
    assert "2 were there already" in _text(page)


def test_a_zip_that_points_outside_is_one_sentence_and_leaves_nothing(page: AppTest, workspace: Workspace) -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("../evil.jpg", b"x")
    page.file_uploader[0].set_value(("evil.zip", stream.getvalue(), "application/zip")).run()
    _click(page, "Unpack and open")
    assert "outside its folder" in page.error[0].value
    assert not any(workspace.imports.iterdir())


def test_the_sample_is_asked_for_as_a_job_and_called_synthetic(page: AppTest, workspace: Workspace) -> None:
    write_pair(workspace.sample, "1")  # as if it had been drawn: that takes too long here
    _click(page, "Draw the sample")
    assert collections(workspace)[0].synthetic
    assert "synthetic sample" in _text(page)


def test_a_folder_that_is_gone_is_said_and_looked_for_again(page: AppTest, tmp_path: Path) -> None:
    write_pair(tmp_path / "land", "1")
    _open(page, tmp_path / "land")
    (tmp_path / "land").rename(tmp_path / "away")
    page.run()
    assert "does not exist: put it back" in page.warning[0].value
    (tmp_path / "away").rename(tmp_path / "land")
    _click(page, "Look again")
    assert not page.warning
    write_picture(tmp_path / "land" / "2_sat.JPG", noise(seed=3))
    _click(page, "Look for changes")
    assert _figures(page)["Tiles"] == "2"


def test_indexing_a_folder_that_is_gone_loses_nothing(page: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    write_pair(tmp_path / "land", "1")
    _open(page, tmp_path / "land")
    shutil.rmtree(tmp_path / "land")
    queue.submit(
        workspace, kind="index", title="again", arguments=("index", "--data", str(tmp_path / "land")), device="disk"
    )
    worker.run_worker(workspace, "disk", idle=0.01)
    assert queue.jobs(workspace)[0].state is JobState.FAILED
    assert "does not exist" in (queue.jobs(workspace)[0].message or "")
    assert len(tiles(workspace, collections(workspace)[0].id)) == 1
