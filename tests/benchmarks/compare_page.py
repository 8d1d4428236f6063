"""How long a person waits on Compare: real Chromium, a real server process, two runs on the real tiles.

All predictions are kept beforehand: what is measured is how soon something that is computed already is seen. Times are
taken in the page, to the frame after the one that shows both sides; of an opening from the start of the navigation.
"""

import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from core.catalog.catalogue import index_folder, tiles
from core.inference.store import Predictor
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.tables import Tile
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.workspace import Workspace, open_workspace
from tests.benchmarks.amount import Amount
from tests.benchmarks.real_tiles import ABSENT, REAL_TILES
from tests.browser.app_server import CHROMIUM_ARGUMENTS, start_server, stop_server
from tests.browser.install import find_browser

TRAINED_ON = {"one": ("119", "266", "855"), "other": ("3484", "6399", "10233")}
CRF = Switches(refinement="crf")
WINDOW = {"width": 1366, "height": 768}
PATIENCE = 120_000  # milliseconds
STILL = 2500  # milliseconds: what the next tile needs is fetched when a person has looked this long
TIMES = 10
SEEN = 4  # tiles: three that are gone to, and the one that is fetched ahead

OPEN, NEXT, NEXT_AT_ONCE = "open the page", "next tile, after a look", "next tile, at once"
SWITCH, BACK = "a switch, first time", "a switch, back again"
BARS = {OPEN: 2000, SWITCH: 300, BACK: 300, NEXT: 1000, NEXT_AT_ONCE: 1000}
"""Milliseconds, of issue 6."""

_WATCH = """() => {
  window.shownLog = [];
  const look = () => {
    const shown = window.tilewrightCompare?.root.dataset.shown;
    const note = () => window.shownLog.push([shown, performance.now()]);
    if (shown && shown !== window.shownLast) requestAnimationFrame(note);
    window.shownLast = shown;
    requestAnimationFrame(look);
  };
  look();
}"""
_PRESS = (
    "([selector, key]) => { window.began = performance.now(); const root = window.tilewrightCompare.root; "
    "if (selector) root.querySelector(selector).click(); "
    "else root.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); }"
)


def chapter(amount: Amount) -> str:
    """The chapter, in Markdown."""
    title = "## Compare: how long a person waits\n\n"
    if not REAL_TILES.is_dir():
        return title + ABSENT
    times = 2 if amount.quick else TIMES
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        workspace = _workspace(Path(scratch), amount)
        found = _measure(workspace, times)
    rows = [
        f"| {what} | {statistics.median(values):.0f} | {min(values):.0f} to {max(values):.0f} | {BARS[what]} |"
        for what, values in found.items()
    ]
    return (
        f"{title}Real tiles of 2448 x 2448, two runs, all predictions kept; window of {WINDOW['width']} x "
        f"{WINDOW['height']}; headless Chromium draws in software on the same {os.cpu_count()} cores as the server. "
        f"Milliseconds, medians of {times}, each in a page of its own without a cache.\n\n"
        "| what | median | range | bar |\n|---|---|---|---|\n" + "\n".join(rows)
    )


def _workspace(folder: Path, amount: Amount) -> Workspace:
    """The real tiles, two quick runs, and their predictions of the tiles that are seen."""
    workspace = open_workspace(folder / "workspace")
    report = index_folder(workspace, REAL_TILES, SilentProgress())
    for name, names in TRAINED_ON.items():
        recipe = load_recipe("head", [f"train_tiles={','.join(names)}"])
        out = workspace.runs / name
        fit(FitRequest(data=REAL_TILES, out=out, recipe=recipe, device="cpu", cache=amount.cache), SilentProgress())
        predictor = Predictor(workspace, name)
        for tile in _in_order(tiles(workspace, report.collection_id))[:SEEN]:
            for switches in (Switches(), CRF):
                predictor.compute(tile, switches, SilentProgress())
    return workspace


def _measure(workspace: Workspace, times: int) -> dict[str, list[float]]:
    server = start_server(workspace.root)
    found: dict[str, list[float]] = {what: [] for what in BARS}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_ARGUMENTS)
            for number in range(times + 1):  # the first loads the server's libraries, and does not count
                page = browser.new_context(viewport=WINDOW).new_page()
                page.set_default_timeout(PATIENCE)
                page.add_init_script(f"({_WATCH})()")
                one = _one_visit(page, server.url, tiles(workspace, 1))
                page.context.close()
                for what, milliseconds in one.items() if number else ():
                    found[what].append(milliseconds)
            browser.close()
    finally:
        stop_server(server)
    return found


def _in_order(rows: Sequence[Tile]) -> list[Tile]:
    """Those that neither run trained on, as the page steps through them."""
    trained = {name for names in TRAINED_ON.values() for name in names}
    return [tile for tile in rows if tile.name not in trained]


def _one_visit(page: Page, url: str, rows: Sequence[Tile]) -> dict[str, float]:
    """Milliseconds of one person's visit, by what was done."""
    order = [tile.id for tile in _in_order(rows)]
    page.goto(f"{url}/compare?a=one&b=other")
    found = {OPEN: _shown(page, f"{order[0]} one/plain other/plain")}
    page.wait_for_timeout(STILL)
    crf, none = (
        '[data-letter="a"] [data-value="crf"]',
        '[data-letter="a"] [data-name="refinement"][data-value="none"]',
    )
    found[SWITCH] = _after(page, crf, f"{order[0]} one/{CRF.key} other/plain")
    found[BACK] = _after(page, none, f"{order[0]} one/plain other/plain")
    page.wait_for_timeout(STILL)
    found[NEXT] = _after(page, "", f"{order[1]} one/plain other/plain", key="j")
    found[NEXT_AT_ONCE] = _after(page, "", f"{order[2]} one/plain other/plain", key="j")
    return found


def _after(page: Page, selector: str, wanted: str, key: str = "") -> float:
    page.evaluate("window.shownLog.length = 0")
    page.evaluate(_PRESS, [selector, key])
    return _shown(page, wanted) - float(page.evaluate("window.began"))


def _shown(page: Page, wanted: str) -> float:
    """When both sides were first seen like this, in the page's own time."""
    look = "(wanted) => window.shownLog.find(([shown]) => shown === wanted)?.[1]"
    return float(page.wait_for_function(look, arg=wanted).json_value())
