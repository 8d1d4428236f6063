"""How long a person waits on Browse at ten thousand tiles: real Chromium, a real server process.

Cold is a browser without a cache, warm one that has the pictures; the server has its libraries loaded and its caches
filled in both, but for the very first visit, which is told apart. Times are taken in the page: from the start of the
navigation, or from the click, to the frame after the one in which everything that was asked for is there.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from core.catalog.catalogue import index_folder
from core.catalog.splits import SPLITS
from core.progress import SilentProgress
from core.workspace import Workspace, open_workspace
from tests.benchmarks.amount import Amount
from tests.benchmarks.browse.many_tiles import LABELLED, ROWS, add_rows, write_tiles
from tests.browser.app_server import CHROMIUM_ARGUMENTS, Server, start_server, stop_server
from tests.browser.install import find_browser

WINDOW = {"width": 1366, "height": 768}
PATIENCE = 120_000  # milliseconds
TIMES = 5
PAGE = 60

MAP, GALLERY, FILTER_MAP, FILTER, TURN = (
    "open the map",
    "open the gallery, all 60 pictures",
    "a filter on the map",
    "a filter in the gallery, all 60 pictures",
    "the next page of the gallery, all 60 pictures",
)
BARS = {MAP: 1500, GALLERY: 2000, FILTER_MAP: 500, FILTER: 500, TURN: 2000}
"""Milliseconds, of issue 7: a warm start, a page of 60, a filter change."""

# Components live in shadow roots and the map in a frame: both are looked into. A frame's clock is the page's.
_WATCH = """() => {
  const all = (selector, root) => {
    const found = [...root.querySelectorAll(selector)];
    for (const one of root.querySelectorAll("*")) if (one.shadowRoot) found.push(...all(selector, one.shadowRoot));
    return found;
  };
  const text = () => document.body?.innerText ?? "";
  window.pictures = (count, said) => {
    const found = all(".cell img:not(.mask)", document);
    for (const one of found) one.loading = "eager"; // those below the window too
    const others = all(".cell", document)[0]?.dataset.id !== window.firstBefore;
    return others && new RegExp(said).test(text()) && found.length === count && found.every((one) => one.complete);
  };
  window.mapped = (said) => [...document.querySelectorAll("iframe")].some((frame) => {
    const map = frame.contentWindow?.tilewrightMap?.current;
    const shown = map?.images?.shown && !map.images.coming && map.state.marks !== window.marksBefore;
    return shown && new RegExp(said).test(text());
  });
  window.asBefore = () => {
    window.firstBefore = all(".cell", document)[0]?.dataset.id;
    for (const frame of document.querySelectorAll("iframe"))
      window.marksBefore = frame.contentWindow?.tilewrightMap?.current?.state.marks ?? window.marksBefore;
  };
  window.seen = (check, ...wanted) => new Promise((resolve) => {
    const look = () => {
      if (window[check](...wanted)) requestAnimationFrame(() => resolve(performance.now()));
      else setTimeout(look, 10);
    };
    look();
  });
  window.addEventListener("click", () => { window.clicked = performance.now(); }, true);
}"""


def chapter(amount: Amount) -> str:
    """The chapter, in Markdown."""
    rows = 500 if amount.quick else ROWS
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        workspace, copies, indexed = _workspace(Path(scratch), rows, files=40 if amount.quick else LABELLED)
        server = start_server(workspace.root)
        try:
            found = _measure(server, rows, 2 if amount.quick else TIMES)
        finally:
            stop_server(server)
    lines = [
        f"| {what} | {_told(found[what, 'first'])} | {_told(found[what, 'cold'])} | {_told(found[what, 'warm'])} "
        f"| {BARS[what]} |"
        for what in BARS
    ]
    what = f"{rows:,} rows of the catalogue on {LABELLED} files of 2448 x 2448, copies of {copies}"
    where = f"window of {WINDOW['width']} x {WINDOW['height']}; headless Chromium draws in software"
    return (
        f"## Browse: how long a person waits at {rows:,} tiles\n\n{what}; {where} on the same {os.cpu_count()} cores "
        f"as the server. Milliseconds, medians of {TIMES} (range); cold: a browser without a cache, warm: one that was "
        "there before; first: the first visit after the server started, with its libraries to load, n = 1. "
        f"{indexed}.\n\n"
        "| what | first | cold | warm | bar (warm) |\n|---|---|---|---|---|\n" + "\n".join(lines)
    )


def _told(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.0f}" if values else ""
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def _workspace(folder: Path, rows: int, *, files: int) -> tuple[Workspace, str, str]:
    """The workspace, what its files are copies of, and what it took to index them."""
    copies = write_tiles(folder / "tiles", files, folder / "sample")
    workspace = open_workspace(folder / "workspace")
    clock, processor = time.perf_counter(), time.process_time()
    report = index_folder(workspace, folder / "tiles", SilentProgress())
    clock, processor = (1000 * took / files for took in (time.perf_counter() - clock, time.process_time() - processor))
    add_rows(workspace, report.collection_id, rows)
    masks = f"{report.with_mask} of {files} with a mask"
    return workspace, copies, f"Indexing took {processor:.0f} ms of a core a tile ({clock:.0f} by the clock; {masks})"


def _measure(server: Server, rows: int, times: int) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {(what, how): [] for what in BARS for how in ("first", "cold", "warm")}

    def note(one: dict[str, float], how: str) -> None:
        for what, milliseconds in one.items():
            found[what, how].append(milliseconds)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_ARGUMENTS)
        note(_visits(browser, server, rows, 1)[0], "first")
        for _ in range(times):
            cold, warm = _visits(browser, server, rows, 2)
            note(cold, "cold")
            note(warm, "warm")
        browser.close()
    return found


def _visits(browser: Browser, server: Server, rows: int, count: int) -> list[dict[str, float]]:
    """Visits by one person, who comes with an empty cache and keeps it from visit to visit."""
    context = browser.new_context(viewport=WINDOW)
    found = []
    for _ in range(count):
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(f"({_WATCH})()")
        found.append(_visit(page, server.url, rows))
        page.close()
    context.close()
    return found


def _visit(page: Page, url: str, rows: int) -> dict[str, float]:
    """Milliseconds of one visit, by what was done."""
    every, some = (f"{how} {rows:,} tiles".replace(",", ",?") for how in ("All", r"[\d,]+ of"))
    page.goto(f"{url}/browse")
    found = {MAP: float(page.evaluate("said => seen('mapped', said)", every))}
    found[FILTER_MAP] = _after_filter(page, "mapped", [some])
    page.goto(f"{url}/browse?view=Gallery")
    found[GALLERY] = float(page.evaluate("([count, said]) => seen('pictures', count, said)", [PAGE, every]))
    page.evaluate("asBefore()")
    page.get_by_role("button", name="Next page").first.click()
    turned = float(page.evaluate("([count, said]) => seen('pictures', count, said)", [PAGE, every]))
    found[TURN] = turned - float(page.evaluate("window.clicked"))
    found[FILTER] = _after_filter(page, "pictures", [PAGE, some])
    return found


def _after_filter(page: Page, check: str, wanted: list[object]) -> float:
    """Choose a split, and wait until its tiles are shown."""
    page.evaluate("asBefore()")
    page.get_by_role("combobox", name="Split").first.click()
    page.get_by_role("option", name=SPLITS[1]).click()
    shown = float(page.evaluate("([check, ...wanted]) => seen(check, ...wanted)", [check, *wanted]))
    return shown - float(page.evaluate("window.clicked"))
