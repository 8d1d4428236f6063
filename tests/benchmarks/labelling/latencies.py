"""How long a person waits on the Label page: real Chromium, a real server process, real tiles.

    python -m tests.benchmarks.labelling.latencies [--repeats 20] [--only strokes,paint] [--out FILE.json]

Each row has the bar of issue 3, the median, the 95th percentile and the number of repeats. Headless Chromium draws in
software on the same cores as the server: a machine with a graphics card shows more frames.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from core.catalog.images import read_mask
from core.tables import Tile
from tests.benchmarks.labelling import live_learning
from tests.benchmarks.labelling.http_painter import HttpPainter
from tests.benchmarks.labelling.label_server import LabelServer, free_port
from tests.benchmarks.labelling.scratch_tiles import REAL_TILES, all_real_tiles
from tests.browser.app_server import CHROMIUM_ARGUMENTS
from tests.browser.install import find_browser

PROBES = Path(__file__).with_name("latency_probes.js")
WINDOW = {"width": 1400, "height": 900}
PATIENCE = 120_000  # milliseconds: two cores, and other work beside us
MANY_STROKES = 2000
FEW_STROKES = 10
TWO_FRAMES = 2 * 1000 / 60


@dataclass(frozen=True, slots=True)
class Latency:
    """One row of the table; ``samples`` in ``unit``, ``bar`` None where the issue sets none for this row."""

    what: str
    samples: tuple[float, ...]
    bar: float | None = None
    unit: str = "ms"
    note: str = ""

    @property
    def median(self) -> float:
        """Half of the samples are at most this."""
        return statistics.median(self.samples)

    @property
    def p95(self) -> float:
        """The 95th percentile, by the nearest rank: a sample, never a value between two."""
        return sorted(self.samples)[math.ceil(0.95 * len(self.samples)) - 1]


@dataclass(frozen=True, slots=True)
class Stage:
    """What the parts work with."""

    browser: Browser
    server: LabelServer
    tiles: list[Tile]
    repeats: int

    def context(self) -> BrowserContext:
        """A new browser profile with the stop-watches in it."""
        context = self.browser.new_context(viewport=WINDOW)
        context.add_init_script(path=PROBES)
        return context

    def url(self, tile: Tile) -> str:
        """The Label page of a tile."""
        return f"{self.server.url}/label?tile={tile.id}"

    @contextmanager
    def opened(self, tile: Tile) -> Iterator[Page]:
        """The Label page with a tile, ready to paint on."""
        context = self.context()
        page = context.new_page()
        page.goto(self.url(tile))
        wait_ready(page, tile)
        yield page
        page.goto("about:blank")  # gives the lock back
        context.close()


def wait_ready(page: Page, tile: Tile) -> None:
    """Until the canvas can be painted on."""
    ready = "(id) => { const now = window.tilewrightPaint?.state(); return now?.ready && now.tile === id; }"
    page.wait_for_function(ready, arg=tile.id, timeout=PATIENCE)
    page.wait_for_timeout(1500)  # Streamlit and the pyramid come to rest


def move(page: Page, x: float, y: float, *, steps: int = 1) -> None:
    """The mouse to a point of the tile."""
    place = page.evaluate("([x, y]) => window.tilewrightPaint.tileToScreen(x, y)", [x, y])
    page.mouse.move(place["x"], place["y"], steps=steps)


def taken(page: Page, name: str, count: int) -> list[float]:
    """The samples of a watch, once there are so many."""
    page.wait_for_function(f"(window.latencyProbes.times[{name!r}] ?? []).length >= {count}", timeout=PATIENCE)
    samples: list[float] = page.evaluate("(name) => window.latencyProbes.take(name)", name)
    return samples


# ---- the parts ----


def strokes(stage: Stage) -> list[Latency]:
    """Pointer up to 'on disk' after few strokes and after many, and undo."""
    tile = next(tile for tile in stage.tiles if (REAL_TILES / f"{tile.name}_mask.png").exists())
    truth = read_mask(REAL_TILES / f"{tile.name}_mask.png", shape=(tile.height, tile.width)).raster
    painter = HttpPainter(stage.server.url, tile.id, truth.shape, seed=7, truth=truth)
    rows: list[Latency] = []
    made = 0
    for already in (FEW_STROKES, MANY_STROKES):
        for _ in range(already - made):
            painter.paint()
        painter.unlock()
        with stage.opened(tile) as page:
            _wait_for_the_learner(page, tile)
            saved = _timed_strokes(page, stage.repeats)
            undone = _timed_undo(page, stage.repeats)
        made = already + stage.repeats
        after = f"after {already} strokes"
        rows.append(Latency(f"stroke end to 'saved' seen, {after}", saved["stroke"], bar=150))
        rows.append(Latency(f"stroke end to the answer 'on disk', {after}", saved["stroke, answered"]))
        rows.append(Latency(f"undo, {after}", undone, bar=100))
    few, many = rows[0], rows[3]
    change = 100 * (many.p95 / few.p95 - 1)
    rows.append(Latency("p95 after 2000 strokes against after 10", (change,), bar=20, unit="%"))
    return rows


def _wait_for_the_learner(page: Page, tile: Tile) -> None:
    """Until it has read the tile, once for all, which takes seconds; from then on it learns from stroke to stroke."""
    quiet = "(a) => fetch(a).then((r) => r.json()).then(({ state }) => state !== 'working')"
    page.wait_for_function(quiet, arg=f"/labels/{tile.id}/suggestion.json", timeout=PATIENCE, polling=500)


def _timed_strokes(page: Page, repeats: int) -> dict[str, tuple[float, ...]]:
    page.keyboard.press("b")
    for number in range(repeats):
        page.keyboard.press(str(1 + number % 6))
        x, y = 300 + 110 * (number % 17), 300 + 90 * (number % 19)
        move(page, x, y)
        page.mouse.down()
        move(page, x + 220, y + 60, steps=12)
        page.evaluate("window.latencyProbes.watchSaved('pointerup', 'stroke')")
        page.mouse.up()
        page.evaluate("window.tilewrightPaint.saved()")
        page.wait_for_timeout(60)
    return {name: tuple(taken(page, name, repeats)) for name in ("stroke", "stroke, answered")}


def _timed_undo(page: Page, repeats: int) -> tuple[float, ...]:
    for _ in range(repeats):
        page.evaluate("window.latencyProbes.watchSaved('keydown', 'undo')")
        page.keyboard.press("Control+z")
        page.evaluate("window.tilewrightPaint.saved()")
        page.wait_for_timeout(60)
    return tuple(taken(page, "undo", repeats))


def paint(stage: Stage) -> list[Latency]:
    """Pointer move to the changed pixel, in frames and in milliseconds."""
    with stage.opened(stage.tiles[1]) as page:
        page.keyboard.press("b")
        page.keyboard.press("5")
        for number in range(stage.repeats):
            x, y = 250 + 100 * (number % 20), 250 + 200 * (number // 20 % 10)
            move(page, x, y)
            page.mouse.down()
            page.wait_for_timeout(80)
            page.evaluate("window.latencyProbes.watchPaint('paint')")
            move(page, x + 60, y + 150)
            page.wait_for_timeout(120)
            page.mouse.up()
            page.evaluate("window.tilewrightPaint.saved()")
        samples = taken(page, "paint", stage.repeats)
    frames, milliseconds = zip(*samples, strict=True)
    return [
        Latency("pointer move to paint", frames, bar=2, unit="frames", note="animation frames, drawing included"),
        Latency("pointer move to paint", milliseconds, note=f"two frames are {TWO_FRAMES:.0f} ms"),
    ]


def frames(stage: Stage) -> list[Latency]:
    """The length of frames while a labelled tile is panned and zoomed."""
    tile = stage.tiles[0]
    page_moves: dict[str, Callable[[Page], None]] = {"panning": _pan, "zooming": _zoom}
    rows = []
    with stage.opened(tile) as page:
        move(page, tile.width / 2, tile.height / 2)
        for _ in range(8):
            page.mouse.wheel(0, -100)
        page.wait_for_timeout(2500)  # the squares of the pyramid arrive
        for name, act in page_moves.items():
            before = _where(page)
            page.evaluate("window.latencyProbes.startFrames()")
            act(page)
            lengths = tuple(page.evaluate("window.latencyProbes.stopFrames()"))
            if _where(page) == before:
                raise RuntimeError(f"{name} moved nothing")
            late = [sum(length > limit for length in lengths) / len(lengths) for limit in (18.5, 35)]
            note = f"{late[0]:.0%} of {len(lengths)} frames over 16.7 ms, {late[1]:.0%} over 33 ms"
            rows.append(Latency(f"frame while {name}", lengths, note=note))
    return rows


def _where(page: Page) -> tuple[float, float]:
    place = page.evaluate("window.tilewrightPaint.tileToScreen(0, 0)")
    return place["x"], place["y"]


def _pan(page: Page) -> None:
    page.keyboard.down(" ")
    page.mouse.down()
    for step in range(180):
        page.mouse.move(700 + 200 * math.sin(step / 14), 450 + 120 * math.cos(step / 11))
    page.mouse.up()
    page.keyboard.up(" ")


def _zoom(page: Page) -> None:
    for step in range(130):
        page.mouse.wheel(0, -60 if step // 20 % 2 else 60)


def first_paint(stage: Stage) -> list[Latency]:
    """Navigation to the first pixels of a tile that the server has not opened yet, and from tile to tile."""
    fresh, warm = [], []
    context = stage.context()
    page = context.new_page()
    page.goto(stage.url(stage.tiles[0]))
    wait_ready(page, stage.tiles[0])
    for tile in stage.tiles[1 : stage.repeats + 1]:
        page.goto("about:blank")
        warm.append(_first_paint_of(page, stage, tile))
    context.close()
    for tile in stage.tiles[1 : stage.repeats + 1]:
        context = stage.context()
        fresh.append(_first_paint_of(context.new_page(), stage, tile))
        context.close()
    return [
        Latency("navigation to the first pixels, tile opened first", tuple(warm), bar=1500, note="browser cache warm"),
        Latency("navigation to the first pixels, empty browser cache", tuple(fresh), bar=1500, note="server warm"),
    ]


def _first_paint_of(page: Page, stage: Stage, tile: Tile) -> float:
    page.goto(stage.url(tile), wait_until="commit")
    page.evaluate("(tile) => window.latencyProbes.watchFirstPaint(tile, 'first')", tile.id)
    [seconds] = taken(page, "first", 1)
    return seconds


def switch(stage: Stage) -> list[Latency]:
    """A click on the following tile to its first pixels."""
    with stage.opened(stage.tiles[0]) as page:
        for _ in range(stage.repeats):
            page.evaluate("window.latencyProbes.watchSwitch('switch')")
            page.locator(".st-key-label_following button").first.click()
            page.wait_for_timeout(400)
            page.wait_for_function("window.tilewrightPaint.state().ready", timeout=PATIENCE)
            page.wait_for_timeout(400)
        samples = tuple(taken(page, "switch", stage.repeats))
    return [Latency("click on the following tile to its first pixels", samples, bar=1500)]


def click_to_mask(stage: Stage) -> list[Latency]:
    """A click to its mask, once the tile is embedded, as the page asks for it."""
    tile = stage.tiles[2]
    with stage.opened(tile) as page:
        began = time.perf_counter()
        while _state_of_clicks(page, tile) == "embedding" and time.perf_counter() - began < PATIENCE / 1000:
            page.evaluate("(a) => window.latencyProbes.ask(a, { tiles: [] })", f"/labels/{tile.id}/ahead")
            page.wait_for_timeout(200)
        if (state := _state_of_clicks(page, tile)) != "ready":
            return [Latency("click to mask", (math.nan,), bar=200, note=f"not measured: {state}")]
        samples = []
        for number in range(stage.repeats + 1):
            x, y = 200 + (389 * number) % 2000, 200 + (631 * number) % 2000
            body = {"points": [[x, y]], "signs": [1]}
            milliseconds, status = page.evaluate(
                "([a, b]) => window.latencyProbes.ask(a, b)", [f"/labels/{tile.id}/click", body]
            )
            if status != 200:
                raise RuntimeError(f"a click was answered {status}")
            samples.append(milliseconds)
    return [Latency("click to mask, tile embedded", tuple(samples[1:]), bar=200, note="request to last byte")]


def _state_of_clicks(page: Page, tile: Tile) -> str:
    answer = "(a) => fetch(a).then((r) => r.ok ? r.json() : { state: `status ${r.status}` })"
    state: str = page.evaluate(answer, f"/labels/{tile.id}/click.json")["state"]
    return state


def superpixels(stage: Stage) -> list[Latency]:
    """The superpixels of a tile that nobody asked for before, until the canvas could have them."""
    samples = []
    with stage.opened(stage.tiles[0]) as page:
        for tile in stage.tiles[-stage.repeats :]:
            began = time.perf_counter()
            status = 202
            while status == 202 and time.perf_counter() - began < PATIENCE / 1000:
                ask = "(a) => window.latencyProbes.ask(a)"
                _, status = page.evaluate(ask, f"/labels/{tile.id}/superpixels/medium.png")
                page.wait_for_timeout(20)
            if status != 200:
                raise RuntimeError(f"superpixels were answered {status}")
            samples.append(1000 * (time.perf_counter() - began))
    return [Latency("superpixels ready, never asked for before", tuple(samples), bar=2000, note="medium grain")]


def refit(repeats: int) -> list[Latency]:
    """The last stroke to the refitted suggestion on disk, with nine labelled tiles; an app of its own."""
    seconds, circumstances = live_learning.measure(repeats=repeats, strokes=3 * repeats)
    in_ms = {what: tuple(1000 * value for value in values) for what, values in seconds.items()}
    refitted = "stroke to suggestion on disk"
    return [
        Latency("stroke to the refitted suggestion on disk", in_ms[refitted], bar=2000, note=circumstances),
        *(Latency(what, in_ms[what]) for what in in_ms if what.startswith("brush to answer")),
    ]


PARTS: dict[str, Callable[[Stage], list[Latency]]] = {
    "first_paint": first_paint,
    "superpixels": superpixels,
    "switch": switch,
    "paint": paint,
    "frames": frames,
    "click_to_mask": click_to_mask,
    "strokes": strokes,
}
REFIT = "refit"


def measure(*, repeats: int = 20, only: Sequence[str] = ()) -> list[Latency]:
    """Run the parts, each with an app that nobody used before."""
    wanted = [name for name in (*PARTS, REFIT) if not only or name in only]
    rows = [row for name in wanted if name != REFIT for row in _measure_in_app(PARTS[name], repeats)]
    return rows + (refit(repeats) if REFIT in wanted else [])


def _measure_in_app(part: Callable[[Stage], list[Latency]], repeats: int) -> list[Latency]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        workspace, tiles = all_real_tiles(Path(folder))
        server = LabelServer(workspace.root, free_port(), whole_app=True)
        browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_ARGUMENTS)
        server.start()
        try:
            return part(Stage(browser, server, tiles, repeats))
        finally:
            browser.close()
            server.kill()


def table(rows: Sequence[Latency]) -> str:
    """The rows as Markdown."""
    lines = ["| | bar | median | p95 | repeats | |", "|---|---|---|---|---|---|"]
    for row in rows:
        bar = "" if row.bar is None else f"{row.bar:g} {row.unit}"
        values = " | ".join(f"{value:.0f} {row.unit}" for value in (row.median, row.p95))
        lines.append(f"| {row.what} | {bar} | {values} | {len(row.samples)} | {row.note} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table; keep the samples where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--only", default="", help=f"some of {','.join([*PARTS, REFIT])}")
    parser.add_argument("--out", type=Path, help="a JSON file for the samples")
    options = parser.parse_args()
    if not REAL_TILES.is_dir():
        raise SystemExit("The real tiles are not beside the project; nothing was measured.")
    rows = measure(repeats=options.repeats, only=[part for part in options.only.split(",") if part])
    if options.out:
        options.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
