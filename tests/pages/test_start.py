import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.catalog import sample
from core.catalog.catalogue import collections, tiles
from core.workspace import WORKSPACE_VARIABLE, Workspace, open_workspace
from tests.core.catalog.pictures import write_pair

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


def test_a_new_workspace_shows_the_four_steps_and_three_ways(page: AppTest) -> None:
    text = " ".join(str(part.value) for part in page.markdown)
    for word in ("1. Browse", "2. Label", "3. Train", "4. Judge", "Open a folder", "Upload a zip", "the sample"):
        assert word in text
    assert page.metric == []


def test_a_folder_is_opened_and_summed_up(page: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    for name in ("119", "2774"):
        write_pair(tmp_path / "land", name)
    (tmp_path / "land" / "3_sat.jpg").write_text("no picture")
    page.text_input[0].set_value(f"  {tmp_path / 'land'} ")
    _click(page, "Open folder")
    assert _figures(page) == {
        "Tiles": "2",
        "Masks": "2",
        "Train": "1",
        "Validate": "1",
        "Test": "0",
        "Left out": "1",
    }
    assert "no JPEG" in page.table[0].value.to_string()


@pytest.mark.parametrize(("folder", "sentence"), [("", "Type the folder"), ("/no/such/place", "does not exist")])
def test_a_folder_that_is_not_there_is_one_sentence(page: AppTest, folder: str, sentence: str) -> None:
    page.text_input[0].set_value(folder)
    _click(page, "Open folder")
    assert sentence in page.error[0].value
    assert page.metric == []


def test_an_uploaded_zip_becomes_a_collection(page: AppTest, workspace: Workspace, tmp_path: Path) -> None:
    write_pair(tmp_path / "land", "7")
    page.file_uploader[0].set_value(("my tiles.zip", _zip(tmp_path / "land"), "application/zip")).run()
    _click(page, "Unpack and open")
    (collection,) = collections(workspace)
    assert collection.root == str(workspace.imports / "my-tiles")
    assert [tile.name for tile in tiles(workspace, collection.id)] == ["7"]


def test_a_zip_that_points_outside_is_one_sentence_and_leaves_nothing(page: AppTest, workspace: Workspace) -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        target.writestr("../evil.jpg", b"x")
    page.file_uploader[0].set_value(("evil.zip", stream.getvalue(), "application/zip")).run()
    _click(page, "Unpack and open")
    assert "outside its folder" in page.error[0].value
    assert not workspace.imports.exists() or not any(workspace.imports.iterdir())


def test_the_sample_is_drawn_once_and_called_synthetic(
    page: AppTest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Path] = []

    def draw(folder: Path, *_: Any, **__: Any) -> None:
        drawn.append(folder)
        write_pair(folder, "1")

    monkeypatch.setattr(sample, "write_sample", draw)
    _click(page, "Draw the sample")
    _click(page, "Draw the sample")
    assert drawn == [workspace.sample]
    assert collections(workspace)[0].synthetic
    assert "synthetic sample" in " ".join(str(part.value) for part in page.markdown)


def _zip(folder: Path) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for path in folder.iterdir():
            target.write(path, f"land/{path.name}")
    return stream.getvalue()
