"""A newcomer's first ten minutes, with the mouse: open, browse, label, train, evaluate, compare."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.classes import decode_colours
from tests.browser.app_server import ROOT, Server
from tests.scenes import write_pairs

REAL_TILES = ROOT.parent / "shared" / "data" / "deepglobe" / "land-train"
LEAFLET = ROOT / "assets" / "vendor" / "node_modules" / "leaflet"
TRAINED_ON, JUDGED_ON = ("119", "6399"), ("2774",)  # 2774 is of GLNet's validation split
LONG = 180_000  # milliseconds: two cores, and other work beside us

pytestmark = pytest.mark.browser


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Three real pairs where they are, else three drawn ones."""
    folder = tmp_path / "tiles"
    if not REAL_TILES.is_dir():
        write_pairs(folder, count=3, size=1024)
        return folder
    folder.mkdir()
    for name in (*TRAINED_ON, *JUDGED_ON):
        for ending in ("_sat.jpg", "_mask.png"):
            shutil.copy(REAL_TILES / f"{name}{ending}", folder)
    return folder


def test_the_whole_loop_goes_from_a_folder_to_a_comparison(page: Page, server: Server, tiles: Path) -> None:
    open_folder(page, server, tiles)
    if LEAFLET.is_dir():  # without npm the map asks for Leaflet on the internet, as it says
        browse_to_a_tile(page, server)
    label_two_classes(page, server)
    train(page, server, name="mine", source="My labels, painted here")
    train(page, server, name="given", source="The masks that came with the tiles")
    evaluate(page, server, run="given")
    compare(page, server, runs={"mine", "given"})


def open_folder(page: Page, server: Server, tiles: Path) -> None:
    page.goto(server.url)
    expect(page.get_by_text("Draw the sample")).to_be_visible(timeout=LONG)
    page.get_by_label("Folder on this machine").fill(str(tiles))
    page.get_by_role("button", name="Open folder").click()
    expect(page.get_by_text("In this workspace")).to_be_visible(timeout=LONG)


def browse_to_a_tile(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/browse")
    leaflet = page.frame_locator("iframe").first
    expect(leaflet.locator(".leaflet-tile-loaded").first).to_be_visible(timeout=LONG)
    page.get_by_text("Gallery", exact=True).click()
    card = page.get_by_role("link", name=re.compile("^Tile ")).first
    expect(card).to_be_visible(timeout=LONG)
    card.click()
    expect(page.get_by_text("Label this tile")).to_be_visible(timeout=LONG)


def label_two_classes(page: Page, server: Server) -> None:
    """Paint with brush and polygon, undo one stroke, and find the rest on disk."""
    page.goto(f"{server.url}/label")
    overlay = page.get_by_test_id("paint-overlay")
    expect(overlay).to_be_visible(timeout=LONG)
    page.wait_for_function("window.tilewrightPaint && window.tilewrightPaint.state().ready", timeout=LONG)
    brush(page, key="2", start=(300, 300), end=(700, 340))
    brush(page, key="4", start=(300, 700), end=(700, 720))
    brush(page, key="5", start=(800, 500), end=(900, 500))
    page.keyboard.press("Control+z")
    page.evaluate("window.tilewrightPaint.saved()")
    (mask,) = (server.workspace / "labels").glob("*/*_mask.png")
    with Image.open(mask) as picture:
        raster = decode_colours(np.asarray(picture.convert("RGB"))).raster
    assert raster[320, 500] == 1, "agriculture was painted here"
    assert raster[710, 500] == 3, "forest was painted here"
    assert not (raster == 4).any(), "the water was undone"
    assert set(np.unique(raster)) == {1, 3, 255}
    page.reload()
    page.wait_for_function("window.tilewrightPaint && window.tilewrightPaint.state().ready", timeout=LONG)
    assert page.evaluate("window.tilewrightPaint.classAt(500, 320)") == 1


def brush(page: Page, *, key: str, start: tuple[int, int], end: tuple[int, int]) -> None:
    """One brush stroke between two points of the tile."""
    to_screen = "([x, y]) => window.tilewrightPaint.tileToScreen(x, y)"
    first, last = (page.evaluate(to_screen, list(point)) for point in (start, end))
    page.mouse.move(first["x"], first["y"])
    page.keyboard.press(key)
    page.mouse.down()
    page.mouse.move(last["x"], last["y"], steps=8)
    page.mouse.up()
    page.evaluate("window.tilewrightPaint.saved()")


def train(page: Page, server: Server, *, name: str, source: str) -> None:
    page.goto(f"{server.url}/train")
    expect(page.get_by_text("New run")).to_be_visible(timeout=LONG)
    page.get_by_text(source, exact=True).click()
    field = page.get_by_label("Name of the run")
    expect(field).to_be_visible(timeout=LONG)
    field.fill(name)
    field.press("Enter")
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_enabled(timeout=LONG)
    page.wait_for_timeout(1500)  # the name goes to the server before the click does
    start.click()
    card = server.workspace / "runs" / name / "card.json"
    for _ in range(LONG // 500):
        if card.exists():
            break
        page.wait_for_timeout(500)
    assert json.loads(card.read_text())["state"] == "finished"
    expect(page.get_by_test_id("stEChartsChart").first).to_be_visible(timeout=LONG)


def evaluate(page: Page, server: Server, *, run: str) -> None:
    page.goto(f"{server.url}/evaluate")
    expect(page.get_by_label("Run", exact=False).first).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Evaluate on").click()
    expect(page.get_by_text("Mean IoU").first).to_be_visible(timeout=LONG)
    expect(page.get_by_text("By tile, worst first")).to_be_visible(timeout=LONG)
    page.get_by_test_id("stButtonGroup").get_by_text("Confusion", exact=True).click()
    expect(page.locator(".js-plotly-plot .heatmaplayer").first).to_be_attached(timeout=LONG)
    (kept,) = (server.workspace / "evaluations" / run).glob("*.json")
    result = json.loads(kept.read_text())
    assert sum(map(sum, result["confusion"])) > 0
    trained = json.loads((server.workspace / "runs" / run / "card.json").read_text())["training_tiles"]
    assert not set(result["measured_on"]["tiles"]) & set(trained)


def compare(page: Page, server: Server, *, runs: set[str]) -> None:
    page.goto(f"{server.url}/compare")
    expect(page.get_by_text("Who is right")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("A − B").first).to_be_attached(timeout=LONG)
    masks = list((server.workspace / "predictions").glob("*/*/*/*_mask.png"))
    assert {mask.parents[2].name for mask in masks} == runs
