"""Nothing drawn is lost: not to a killed server or browser, a second tab, a failing disk, or four people at once."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from core.tables import Tile
from core.workspace import Workspace
from tests.benchmarks.labelling.dying_server import MOMENTS
from tests.benchmarks.labelling.http_painter import NoAnswerError, Operation
from tests.benchmarks.labelling.kill_nine import KillingSpree
from tests.benchmarks.labelling.label_server import LabelServer, free_port
from tests.benchmarks.labelling.scratch_tiles import grey_tiles
from tests.browser.app_server import CHROMIUM_ARGUMENTS, ROOT
from tests.browser.install import find_browser
from tests.browser.painting import switch_learning_off

pytestmark = pytest.mark.browser

SIZE = (200, 300)  # height, width
PATIENCE = 120_000  # milliseconds: two cores, and other work beside us
URBAN, WATER, UNLABELLED = 0, 4, 255


# ---- kill -9 of the server ----


def test_a_server_that_is_killed_at_random_moments_loses_nothing_that_it_answered(tmp_path):
    report = KillingSpree(tmp_path, sizes=((600, 700), (544, 509))).run(6)
    assert report.problems == []
    assert report.kills == 6
    assert report.answered > 20
    assert report.unanswered > 0, "no kill came while something was in the air"


@pytest.mark.parametrize("kind", ["strokes", "undo"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_killed_in_the_middle_of_a_write_has_it_wholly_or_not_at_all(tmp_path, moment, kind):
    spree = KillingSpree(tmp_path, sizes=((120, 160),))
    [painter] = spree.painters
    spree.server.dies = (moment, 4)
    try:
        spree.server.start()
        for left in (10, 50, 90):
            painter.send(rectangle(left, class_index=left // 40))
        painter.pending = painter.step("undo") if kind == "undo" else rectangle(30, class_index=5)
        with pytest.raises(NoAnswerError):
            painter.send(painter.pending)
        spree.server.kill()
        spree.server.dies = None
        spree.open_files()
        spree.server.start()
        spree.check_after_start(painter)
    finally:
        spree.server.kill()
    assert spree.report.problems == []


def rectangle(left: int, *, class_index: int) -> Operation:
    """A stroke of 40 x 60 pixels."""
    body = {"tool": "rectangle", "class_index": class_index, "points": [[left, 20], [left + 40, 80]]}
    return Operation("strokes", {"client_key": f"rectangle-{left}", **body})


# ---- the browser ----


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabelServer, Workspace, Iterator[Tile]]]:
    """The whole app, and tiles of which each test takes one for itself."""
    workspace, tiles = grey_tiles(tmp_path_factory.mktemp("safety"), (SIZE,) * 6)
    switch_learning_off(workspace)
    server = LabelServer(workspace.root, free_port(), whole_app=True)
    server.start()
    yield server, workspace, iter(tiles)
    server.kill()


def open_canvas(context: BrowserContext, server: LabelServer, tile: Tile) -> Page:
    page = context.new_page()
    page.goto(f"{server.url}/label?tile={tile.id}", timeout=PATIENCE)
    wait_ready(page)
    return page


def wait_ready(page: Page) -> None:
    page.wait_for_function("window.tilewrightPaint?.state().ready", timeout=PATIENCE)
    page.wait_for_function("window.tilewrightPaint.state().lock.mine !== null", timeout=PATIENCE)


def draw(page: Page, y: int, *, key: str = "1") -> None:
    """A brush stroke along a row."""
    page.keyboard.press(key)
    page.keyboard.press("b")
    for step, x in enumerate((80, 140, 200)):
        place = page.evaluate("([x, y]) => window.tilewrightPaint.tileToScreen(x, y)", [x, y])
        page.mouse.move(place["x"], place["y"], steps=3)
        if step == 0:
            page.mouse.down()
    page.mouse.up()


def saved(page: Page) -> None:
    page.wait_for_function("!window.tilewrightPaint.state().busy", timeout=PATIENCE)


def on_disk(workspace: Workspace, tile: Tile) -> np.ndarray:
    path = workspace.labels(tile.collection_id) / f"{tile.name}_mask.png"
    if not path.exists():
        return np.full(SIZE, UNLABELLED, np.uint8)
    with Image.open(path) as image:
        return np.array(image)


def seen(page: Page, x: int, y: int) -> int:
    return page.evaluate("([x, y]) => window.tilewrightPaint.classAt(x, y)", [x, y])


def test_strokes_drawn_while_the_server_is_down_survive_a_reload_and_are_saved_when_it_is_back(chromium, tmp_path):
    workspace, [tile] = grey_tiles(tmp_path, (SIZE,))
    switch_learning_off(workspace)
    server = LabelServer(workspace.root, free_port(), whole_app=True)
    server.start()
    context = chromium.new_context()
    try:
        page = open_canvas(context, server, tile)
        draw(page, 40)
        saved(page)
        server.kill()
        draw(page, 80)
        draw(page, 120, key="5")
        page.wait_for_function("window.tilewrightPaint.state().trouble !== null", timeout=PATIENCE)
        with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
            page.reload()
        server.start()
        page.close()
        page = open_canvas(context, server, tile)
        until(lambda: on_disk(workspace, tile)[120, 140] == WATER, "what was drawn meanwhile is on disk")
        saved(page)
        raster = on_disk(workspace, tile)
        assert (raster[40, 140], raster[80, 140], raster[120, 140]) == (URBAN, URBAN, WATER)
        assert (seen(page, 140, 40), seen(page, 140, 80), seen(page, 140, 120)) == (URBAN, URBAN, WATER)
        page.keyboard.press("Control+z")
        saved(page)
        assert on_disk(workspace, tile)[120, 140] == UNLABELLED, "undo reaches across the reload"
    finally:
        context.close()
        server.kill()


def test_a_browser_that_is_killed_loses_at_most_the_stroke_in_the_air(chromium, app, tmp_path):
    server, workspace, tiles = app
    tile = next(tiles)
    page = open_canvas(own_browser(chromium, tmp_path), server, tile)
    draw(page, 40)
    saved(page)
    draw(page, 90, key="5")
    kill_browser(tmp_path)
    context = own_browser(chromium, tmp_path)
    page = open_canvas(context, server, tile)
    work_here(page)
    saved(page)
    raster = on_disk(workspace, tile)
    assert raster[40, 140] == URBAN
    stroke = raster[85:95, 85:195]
    assert (stroke == WATER).all() or (stroke == UNLABELLED).all(), "the second stroke is half there"
    assert (seen(page, 140, 40), seen(page, 140, 90)) == (URBAN, raster[90, 140])
    context.close()


def test_a_browser_that_is_closed_while_the_server_is_away_saves_what_was_drawn_when_both_are_back(
    chromium, app, tmp_path
):
    server, workspace, tiles = app
    tile = next(tiles)
    context = own_browser(chromium, tmp_path)
    page = open_canvas(context, server, tile)
    context.set_offline(True)
    draw(page, 40)
    draw(page, 90, key="5")
    page.wait_for_function("window.tilewrightPaint.state().trouble !== null", timeout=PATIENCE)
    context.close()
    context = own_browser(chromium, tmp_path)
    page = open_canvas(context, server, tile)
    work_here(page)
    until(lambda: on_disk(workspace, tile)[90, 140] == WATER, "what was drawn offline is on disk")
    assert on_disk(workspace, tile)[40, 140] == URBAN
    context.close()


def own_browser(chromium: Browser, folder: Path) -> BrowserContext:
    """A browser with a profile on disk, which can be killed and opened again."""
    return chromium.browser_type.launch_persistent_context(
        folder / "profile", executable_path=find_browser(), args=CHROMIUM_ARGUMENTS
    )


def work_here(page: Page) -> None:
    """Take the tile over from one's own tab that is gone, if its lock still stands."""
    if page.evaluate("window.tilewrightPaint.state().lock.mine") is False:
        page.get_by_role("button", name=re.compile("^Work here")).click()
    page.wait_for_function("window.tilewrightPaint.state().lock.mine", timeout=PATIENCE)


def kill_browser(folder: Path) -> None:
    """Kill -9 of the one browser that has the profile in this folder."""
    for process in psutil.process_iter(["cmdline"]):
        if f"--user-data-dir={folder / 'profile'}" in (process.info["cmdline"] or ()):
            process.kill()
            process.wait()


def test_a_page_that_is_closed_right_after_a_stroke_still_saves_it(chromium, app):
    server, workspace, tiles = app
    tile = next(tiles)
    context = chromium.new_context()
    page = open_canvas(context, server, tile)
    draw(page, 60)
    page.close()
    until(lambda: on_disk(workspace, tile)[60, 140] == URBAN, "the stroke is on disk")
    context.close()


def until(done: Callable[[], bool], what: str) -> None:
    """Wait for something that comes without our doing."""
    end = time.monotonic() + PATIENCE / 1000
    while not done():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


# ---- several tabs and people ----


def test_a_second_tab_of_one_person_is_told_and_may_take_the_tile_over(chromium, app):
    server, workspace, tiles = app
    tile = next(tiles)
    context = chromium.new_context()
    first = open_canvas(context, server, tile)
    draw(first, 40)
    saved(first)
    second = open_canvas(context, server, tile)
    banner = second.locator("[data-part=banner]")
    expect(banner).to_contain_text("open in another tab")
    draw(second, 80, key="5")
    second.wait_for_timeout(500)
    assert on_disk(workspace, tile)[80, 140] == UNLABELLED, "a tab that does not hold the tile paints nothing"
    banner.get_by_role("button", name=re.compile("^Work here")).click()
    second.wait_for_function("window.tilewrightPaint.state().lock.mine", timeout=PATIENCE)
    draw(second, 120, key="5")
    saved(second)
    first.bring_to_front()
    draw(first, 160)  # the first tab did not know yet: its stroke is kept, and said to be unsaved
    expect(first.locator("[data-part=banner]")).to_contain_text("not saved", timeout=PATIENCE)
    raster = on_disk(workspace, tile)
    assert (raster[40, 140], raster[120, 140], raster[160, 140]) == (URBAN, WATER, UNLABELLED)
    first.get_by_role("button", name=re.compile("^Work here")).click()
    saved(first)
    raster = on_disk(workspace, tile)
    assert (raster[40, 140], raster[120, 140], raster[160, 140]) == (URBAN, WATER, URBAN), "and nothing was lost"
    context.close()


def test_four_people_label_at_once_without_a_lost_update_and_respect_the_lock():
    command = [sys.executable, "-m", "tests.benchmarks.labelling.four_people", "--seconds", "8"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    assert ended.stdout, ended.stderr[-3000:]
    report = json.loads(ended.stdout)
    assert report["problems"] == []
    assert min(report["saved"].values()) > 0
    assert "Cem" in report["told"]
    assert report["order_on_shared_tile"] == ["Cem", "Dot", "Cem"]


# ---- bad luck ----


@pytest.mark.parametrize(("failure", "words"), [("ENOSPC", "No space left"), ("EROFS", "Read-only file system")])
def test_a_disk_that_fails_is_said_in_a_sentence_and_loses_nothing(chromium, failing_app, failure, words):
    server, workspace, tiles, failing = failing_app
    tile = next(tiles)
    context = chromium.new_context()
    page = open_canvas(context, server, tile)
    draw(page, 40)
    saved(page)
    failing.write_text(failure)
    draw(page, 80)
    status = page.get_by_test_id("paint-status")
    expect(status).to_contain_text("Not saved", timeout=PATIENCE)
    expect(status).to_contain_text(words)
    draw(page, 120, key="5")
    assert on_disk(workspace, tile)[80, 140] == UNLABELLED
    failing.unlink()
    saved(page)
    raster = on_disk(workspace, tile)
    assert (raster[40, 140], raster[80, 140], raster[120, 140]) == (URBAN, URBAN, WATER)
    expect(status).to_contain_text("Saved")
    context.close()


@pytest.fixture(scope="module")
def failing_app(tmp_path_factory: pytest.TempPathFactory):
    """The whole app on a disk that fails while the file that is given back is there."""
    folder = tmp_path_factory.mktemp("failing")
    workspace, tiles = grey_tiles(folder, (SIZE,) * 2)
    switch_learning_off(workspace)
    server = LabelServer(workspace.root, free_port(), failure=folder / "failure")
    server.start()
    yield server, workspace, iter(tiles), folder / "failure"
    server.kill()


def test_an_image_that_does_not_load_is_said_and_comes_when_it_can_while_painting_goes_on(chromium, app):
    server, workspace, tiles = app
    tile = next(tiles)
    context = chromium.new_context()
    pictures = re.compile(rf"/tiles/{tile.id}/\d+/\d+/\d+")
    context.route(pictures, lambda route: route.abort())
    page = open_canvas(context, server, tile)
    notice = page.locator("[data-part=notice]")
    expect(notice).to_have_text("A part of the image could not be loaded; trying again.")
    draw(page, 60)
    saved(page)
    assert on_disk(workspace, tile)[60, 140] == URBAN
    context.unroute(pictures)
    page.wait_for_function(IMAGE_SHOWN, timeout=PATIENCE)
    context.close()


IMAGE_SHOWN = """() => {
  const find = (root) => root.querySelector("[data-part=picture]")
    ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
  const canvas = find(document);
  return canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2 + 40, 1, 1).data[3] === 255;
}"""
