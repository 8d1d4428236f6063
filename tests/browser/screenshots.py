"""Make the README's pictures on the synthetic sample: ``python -m tests.browser.screenshots``.

DeepGlobe's imagery must not be published, so the pictures never show it.
"""

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from core.catalog.catalogue import index_folder, tiles
from core.catalog.sample import write_sample
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from tests.browser import test_whole_loop as loop
from tests.browser.app_server import CHROMIUM_ARGUMENTS, ROOT, Server, start_server, stop_server
from tests.browser.install import find_browser

OUT = ROOT / "assets" / "screenshots"
WIDTH = 1100  # pixels of the saved picture
_SURFACES = 32  # colours of the palette that are kept exactly
STROKES = (  # class key, from, to, in pixels of the first scene of seed 0
    ("2", (500, 420), (900, 520)),
    ("4", (150, 900), (420, 1050)),
    ("5", (1110, 400), (1360, 535)),
    ("1", (560, 1500), (900, 1640)),
    ("3", (1700, 1300), (2050, 1250)),
    ("6", (120, 2250), (520, 2370)),
)


def main() -> None:
    """Draw, paint, train, judge, and keep a picture of every page."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        workspace = open_workspace(Path(scratch) / "sample-workspace")
        write_sample(workspace.sample, tiles=6, size=2448, seed=0, progress=SilentProgress())
        report = index_folder(workspace, workspace.sample, SilentProgress(), synthetic=True)
        with workspace.database.write() as session:  # the painted tile is to train, not to judge
            session.get_one(Tile, tiles(workspace, report.collection_id)[0].id).split = "train"
        browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_ARGUMENTS)
        server = start_server(workspace.root)
        try:
            page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
            page.set_default_timeout(loop.LONG)
            _tour(page, server, workspace, report.collection_id)
        finally:
            browser.close()
            stop_server(server)


def _tour(page: Page, server: Server, workspace: Workspace, collection_id: int) -> None:
    first = tiles(workspace, collection_id)[0].id
    page.goto(server.url)
    expect(page.get_by_text("In this workspace")).to_be_visible(timeout=loop.LONG)
    _keep(page, "start")
    page.goto(f"{server.url}/browse?tile={first}")
    expect(page.get_by_role("heading", name="Predictions")).to_be_visible(timeout=loop.LONG)
    _keep(page, "browse")
    for view in ("gallery", "explore", "splits"):
        page.goto(f"{server.url}/browse?view={view.title()}")
        _keep(page, view)
    page.goto(f"{server.url}/label?tile={first}")
    page.wait_for_function("window.tilewrightPaint?.state().ready", timeout=loop.LONG)
    for key, start, end in STROKES:
        loop.brush(page, key=key, start=start, end=end)
    page.wait_for_function("window.tilewrightPaint.state().suggestion", timeout=loop.LONG)
    _keep(page, "label")
    loop.train(page, server, name="few-strokes", source="My labels, painted here")
    loop.train(page, server, name="whole-masks", source="The masks that came with the tiles")
    page.wait_for_timeout(4000)
    page.mouse.move(700, 300)
    page.mouse.wheel(0, -5000)
    _keep(page, "train")
    loop.evaluate(page, server, run="whole-masks")
    _keep(page, "evaluate")
    loop.compare(page, server, runs={"few-strokes", "whole-masks"})
    _keep(page, "compare")


def _keep(page: Page, name: str) -> None:
    """A small PNG of what the window shows once the page stands."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=loop.LONG)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(5000)  # maps and panels fade in
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    OUT.mkdir(parents=True, exist_ok=True)
    small.quantize(palette=_palette(small), dither=Image.Dither.NONE).save(OUT / f"{name}.png", optimize=True)


def _palette(picture: Image.Image) -> Image.Image:
    """256 colours: the commonest, so that surfaces stay what they are, and others as far apart as those in the picture.

    The class colours are few pixels: the usual median cut would dull them.
    """
    common = sorted(picture.getcolors(picture.width * picture.height), reverse=True)[:_SURFACES]
    apart = picture.quantize(256 - _SURFACES, method=Image.Quantize.MAXCOVERAGE).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(value for _, colour in common for value in colour), *apart[: 3 * (256 - _SURFACES)]])
    return palette


if __name__ == "__main__":
    main()
