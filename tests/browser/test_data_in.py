"""Getting data in, with the mouse: a zip by upload, a foreign layout by its mapping, and out again."""

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from core.catalog.catalogue import collections, tiles
from core.catalog.images import read_mask
from core.workspace import Workspace, open_workspace
from tests.browser.app_server import ROOT, Server, start_server, stop_server
from tests.core.catalog.pictures import noise, write_picture
from tests.scenes import write_pairs

REAL_TILES = ROOT.parent / "shared" / "data" / "deepglobe" / "land-train"
LONG = 60_000  # milliseconds: two cores, and other work beside us

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for this file, with a workspace that grows from test to test."""
    workspace = tmp_path_factory.mktemp("data-in") / "workspace"
    workspace.mkdir()
    running = start_server(workspace)
    yield running
    stop_server(running)


@pytest.fixture
def workspace(server: Server) -> Workspace:
    return open_workspace(server.workspace)


def _zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for file in sorted(folder.iterdir()):
            target.write(file, f"land/{file.name}")
    return path


def _upload(page: Page, server: Server, *files: Path) -> None:
    page.goto(server.url)
    chooser = page.get_by_test_id("stFileUploaderDropzoneInput")
    expect(chooser).to_be_attached(timeout=LONG)
    chooser.set_input_files([str(file) for file in files])
    go = page.get_by_role("button", name=re.compile("Unpack and open|Add . files"))
    expect(go).to_be_enabled(timeout=LONG)
    go.click()


def test_a_zip_of_drawn_tiles_is_uploaded_and_shown(
    page: Page, server: Server, workspace: Workspace, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "made", count=2, size=256)
    _upload(page, server, _zip(tmp_path / "made", tmp_path / "drawn tiles ä.zip"))
    expect(page.get_by_text("2 of 2 tiles were new or changed")).to_be_visible(timeout=LONG)
    assert len(tiles(workspace, collections(workspace)[0].id)) == 2
    assert collections(workspace)[0].root == str(workspace.imports / "drawn-tiles-ä")


@pytest.mark.real
@pytest.mark.skipif(not REAL_TILES.is_dir(), reason="the real tiles are not on this machine")
def test_a_zip_of_real_tiles_is_uploaded_and_browsed(
    page: Page, server: Server, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    for name in ("119", "2774"):
        for ending in ("_sat.jpg", "_mask.png"):
            shutil.copy(REAL_TILES / f"{name}{ending}", tmp_path / "real")
    _upload(page, server, _zip(tmp_path / "real", tmp_path / "real.zip"))
    expect(page.get_by_text("2 of 2 tiles were new or changed")).to_be_visible(timeout=LONG)
    rows = {row.name: row for row in tiles(workspace, collections(workspace)[0].id)}
    assert {name: (row.split, row.split_source) for name, row in rows.items()} == {
        "119": ("train", "glnet"),
        "2774": ("val", "glnet"),
    }
    page.get_by_role("button", name="Browse the tiles").click()
    expect(page.get_by_role("heading", name="Browse")).to_be_visible(timeout=LONG)


def test_a_foreign_layout_is_mapped_seen_imported_and_removed(
    page: Page, server: Server, workspace: Workspace, tmp_path: Path
) -> None:
    for name in ("7", "8"):
        write_picture(tmp_path / "LoveDA" / "Train" / "images_png" / f"{name}.png", noise(seed=int(name)))
    mask = tmp_path / "LoveDA" / "Train" / "masks_png" / "7.png"
    mask.parent.mkdir()
    mask.write_bytes(cv2.imencode(".png", np.full((48, 64), 6, np.uint8))[1].tobytes())
    page.goto(server.url)
    page.get_by_role("button", name="Map a layout").click()
    dialogue = page.get_by_role("dialog")
    folder = dialogue.get_by_label("Folder on this machine")
    folder.fill(str(tmp_path / "LoveDA"))
    folder.press("Enter")
    expect(dialogue.get_by_text("Its mask in our classes")).to_be_visible(timeout=LONG)
    expect(dialogue.get_by_text("Without", exact=True)).to_be_visible()
    dialogue.get_by_role("button", name="Import 2 tiles").click()
    expect(page.get_by_text("2 images linked, 0 made ready, 1 masks mapped")).to_be_visible(timeout=LONG)
    (imported,) = [one for one in collections(workspace) if one.name == "LoveDA"]
    seven = next(row for row in tiles(workspace, imported.id) if row.name == "7")
    assert (read_mask(Path(seven.mask_path or ""), (48, 64)).raster == 3).all(), "LoveDA's 6 is forest"
    page.get_by_role("button", name="Remove …").click()
    dialogue.get_by_text("Also delete its files").click()
    dialogue.get_by_role("button", name="Remove it").click()
    expect(dialogue).to_be_hidden(timeout=LONG)
    assert imported.id not in {one.id for one in collections(workspace)}
    assert not Path(imported.root).exists()
    assert mask.exists(), "the originals are nobody's to delete"
