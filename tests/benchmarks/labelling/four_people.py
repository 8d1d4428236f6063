"""Four browsers label at once, two of them want the same tile: nothing drawn is lost, and the lock is respected.

Ada and Ben have a tile each. Cem and Dot open the same one: Dot is told that Cem has it and cannot paint, until Cem's
browser is gone; then the tile becomes hers. Later Cem comes back and takes it over. What the server answered 'saved' is
replayed, in the journal's order, from the very requests that the browsers sent, and must give the raster on disk.

    python -m tests.benchmarks.labelling.four_people [--seconds 180] [--seed 0]
"""

import argparse
import asyncio
import json
import random
import re
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.async_api import Browser, BrowserContext, Page, Request, Response, async_playwright

from core.tables import Tile
from core.workspace import DATABASE_NAME, Workspace
from tests.benchmarks.labelling.http_painter import raster_of
from tests.benchmarks.labelling.label_server import LabelServer, free_port
from tests.benchmarks.labelling.scratch_tiles import grey_tiles
from tests.benchmarks.labelling.sheet_model import SheetModel
from tests.browser.app_server import CHROMIUM_ARGUMENTS, LOCAL_HOSTS
from tests.browser.install import find_browser

SIZE = (1200, 1200)
EXPIRY_SECONDS = 30  # core/labels/tile_locks.py
LOOKS_AGAIN_SECONDS = 60
PATIENCE = 120_000  # milliseconds: two cores, and other work beside us
KEYS = ("b", "b", "b", "r", "e")
OPERATION = re.compile(r"/labels/(\d+)/(strokes|undo|redo)$")


@dataclass(frozen=True, slots=True)
class Answered:
    """One operation that a browser sent and the server answered."""

    who: str
    tile_id: int
    path: str
    body: dict[str, Any]
    status: int
    changed: bool


@dataclass
class TeamReport:
    """What came of it; ``problems`` must stay empty."""

    seconds: float = 0
    saved: dict[str, int] = field(default_factory=dict)
    refused_by_lock: int = 0
    told: str = ""
    seconds_until_free: float | None = None
    order_on_shared_tile: list[str] = field(default_factory=list)
    pixels_compared: int = 0
    problems: list[str] = field(default_factory=list)


class Person:
    """One browser profile with a name."""

    def __init__(self, name: str, url: str, tile: Tile, seed: int) -> None:
        self.name, self.url, self.tile = name, url, tile
        self.answered: list[Answered] = []
        self.elsewhere: list[str] = []
        self._random = random.Random(seed)
        self._reading: set[asyncio.Task[None]] = set()

    async def open(self, browser: Browser) -> None:
        """Open the tile; returns when the labels are there."""
        self.context: BrowserContext = await browser.new_context(viewport={"width": 1100, "height": 800})
        self.context.set_default_timeout(PATIENCE)
        await self.context.add_init_script(f"localStorage.setItem('tilewright.annotator', {json.dumps(self.name)})")
        self.context.on("request", self._watch)
        self.context.on("response", self._note)
        self.page: Page = await self.context.new_page()
        await self.page.goto(f"{self.url}/label?tile={self.tile.id}")
        await self.page.wait_for_function("window.tilewrightPaint?.state().ready", timeout=PATIENCE)
        await self.page.wait_for_function("window.tilewrightPaint.state().lock?.mine != null", timeout=PATIENCE)

    async def paint_until(self, end: float) -> None:
        """Strokes of several tools, and now and then an undo or a redo; at least one of them changes the labels.

        On a busy machine a stroke takes seconds, and the only one before ``end`` may erase where nothing is.
        """
        before = self.changes
        while time.monotonic() < end or self.changes == before:
            chance = self._random.random()
            if chance < 0.12:
                await self.page.keyboard.press("Control+z" if chance < 0.08 else "Control+Shift+z")
            else:
                await self.stroke()
            await self.page.wait_for_timeout(self._random.uniform(20, 250))
        await self.page.evaluate("window.tilewrightPaint.saved()")

    @property
    def changes(self) -> int:
        """How many operations the server has answered that changed a pixel."""
        return sum(item.changed for item in self.answered)

    async def stroke(self) -> None:
        """One drag with some tool and class."""
        await self.page.keyboard.press(str(self._random.randint(1, 6)))
        await self.page.keyboard.press(self._random.choice(KEYS))
        x, y = self._random.uniform(60, SIZE[1] - 60), self._random.uniform(60, SIZE[0] - 60)
        await self._move(x, y)
        await self.page.mouse.down()
        await self._move(x + self._random.uniform(-150, 150), y + self._random.uniform(-150, 150))
        await self.page.mouse.up()

    async def state(self) -> dict[str, Any]:
        """What the canvas says of itself."""
        found: dict[str, Any] = await self.page.evaluate("window.tilewrightPaint.state()")
        return found

    async def leave(self) -> None:
        """The browser is gone, without a word to the server."""
        await self.settled()
        await self.context.close()

    async def settled(self) -> None:
        """All answers so far are read."""
        await asyncio.gather(*self._reading)

    async def _move(self, x: float, y: float) -> None:
        place = await self.page.evaluate("([x, y]) => window.tilewrightPaint.tileToScreen(x, y)", [x, y])
        await self.page.mouse.move(place["x"], place["y"], steps=4)

    def _watch(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in LOCAL_HOSTS:
            self.elsewhere.append(request.url)

    def _note(self, response: Response) -> None:
        found = OPERATION.search(urlsplit(response.url).path)
        if found:
            task = asyncio.ensure_future(self._read(response, int(found[1]), found[2]))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)

    async def _read(self, response: Response, tile_id: int, path: str) -> None:
        body = json.loads(response.request.post_data or "{}")
        reply = await response.json()
        changed = reply.get("box") is not None
        self.answered.append(Answered(self.name, tile_id, path, body, response.status, changed))


class FourPeople:
    """The four, their server, and the check in the end."""

    def __init__(self, folder: Path, *, seed: int = 0) -> None:
        self.workspace: Workspace
        self.workspace, tiles = grey_tiles(folder, (SIZE,) * 3)
        self.tiles = tiles
        self.server = LabelServer(self.workspace.root, free_port(), whole_app=True)
        places = {"Ada": 0, "Ben": 1, "Cem": 2, "Dot": 2}
        self.people = {
            name: Person(name, self.server.url, tiles[place], seed * 10 + number)
            for number, (name, place) in enumerate(places.items())
        }
        self.report = TeamReport()

    def run(self, seconds: float) -> TeamReport:
        """Start the server, label for so long, compare."""
        self.server.start()
        try:
            asyncio.run(self._label(seconds))
        finally:
            self.server.kill()
        self._compare()
        return self.report

    async def _label(self, seconds: float) -> None:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_ARGUMENTS)
            for person in self.people.values():
                await person.open(browser)
            began = time.monotonic()
            ada, ben = self.people["Ada"], self.people["Ben"]
            end = began + seconds
            await asyncio.gather(ada.paint_until(end), ben.paint_until(end), self._share(browser, began, seconds))
            for person in self.people.values():
                await self._same_as_seen(person)
                await person.settled()
            self.report.seconds = round(time.monotonic() - began, 1)
            await browser.close()

    async def _share(self, browser: Browser, began: float, seconds: float) -> None:
        """Cem and Dot at one tile, in three acts."""
        cem, dot = self.people["Cem"], self.people["Dot"]
        await asyncio.gather(cem.paint_until(began + 0.3 * seconds), self._try_in_vain(dot))
        left = time.monotonic()
        if seconds > 3 * EXPIRY_SECONDS:
            await cem.leave()  # as if it had been killed: the lock must expire
        else:
            await cem.settled()  # an answer cannot be read once its page is gone
            await cem.page.goto("about:blank")
            await cem.leave()
        await dot.page.wait_for_function("window.tilewrightPaint.state().lock.mine", timeout=PATIENCE)
        self.report.seconds_until_free = round(time.monotonic() - left, 1)
        await dot.paint_until(max(time.monotonic() + 2, began + 0.7 * seconds))
        await cem.open(browser)
        await self._take_over(cem)
        await dot.page.wait_for_function("window.tilewrightPaint.state().lock.mine === false", timeout=PATIENCE)
        await cem.paint_until(max(time.monotonic() + 2, began + seconds))

    async def _try_in_vain(self, dot: Person) -> None:
        state = await dot.state()
        holder = (state["lock"].get("holder") or {}).get("annotator")
        if state["lock"]["mine"] or holder != "Cem":
            self._problem(f"Dot opened Cem's tile and was told {state['lock']}")
        for _ in range(3):
            await dot.stroke()
        notice = dot.page.get_by_text("Cem", exact=False).first
        if await notice.is_visible():
            self.report.told = " ".join((await notice.inner_text()).split())
        else:
            self._problem("Dot sees nowhere who has the tile")

    async def _take_over(self, cem: Person) -> None:
        if (await cem.state())["lock"]["mine"]:
            self._problem("Cem came back to Dot's tile and had it at once")
        await cem.page.get_by_role("button", name=re.compile("take .*over", re.IGNORECASE)).first.click()
        await cem.page.wait_for_function("window.tilewrightPaint.state().lock.mine", timeout=PATIENCE)

    async def _same_as_seen(self, person: Person) -> None:
        """The canvas shows what the server has."""
        await person.page.evaluate("window.tilewrightPaint.saved()")
        generator = np.random.default_rng(0)
        points = generator.integers(0, SIZE[0], (2000, 2)).tolist()
        raster = self._on_disk(person.tile)
        # A canvas that is read-only, as Dot's in the end, looks again by itself, every few seconds.
        end = time.monotonic() + (LOOKS_AGAIN_SECONDS if person.name == "Dot" else 0)
        while True:
            seen = await person.page.evaluate(
                "(points) => points.map(([x, y]) => window.tilewrightPaint.classAt(x, y))", points
            )
            differing = sum(raster[y, x] != value for (x, y), value in zip(points, seen, strict=True))
            if not differing or time.monotonic() > end:
                break
            await person.page.wait_for_timeout(200)
        self.report.pixels_compared += len(points)
        if differing:
            self._problem(f"{person.name}'s canvas differs from the disk at {differing} of {len(points)} points")

    def _on_disk(self, tile: Tile) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return raster_of((self.workspace.labels(tile.collection_id) / f"{tile.name}_mask.png").read_bytes())

    def _compare(self) -> None:
        """Replay what was answered, in the journal's order."""
        everything = [item for person in self.people.values() for item in person.answered]
        saved = {item.body["client_key"]: item for item in everything if item.status == 200}
        self.report.refused_by_lock = sum(item.status == 423 for item in everything)
        for item in everything:
            if item.status not in {200, 423}:
                self._problem(f"{item.who}'s {item.path} was answered {item.status}")
        for person in self.people.values():
            self.report.saved[person.name] = sum(item.who == person.name for item in saved.values())
            if person.elsewhere:
                self._problem(f"{person.name}'s browser asked {person.elsewhere[0]}")
        for tile in self.tiles:
            self._replay(tile, saved)

    def _replay(self, tile: Tile, saved: dict[str, Answered]) -> None:
        with closing(sqlite3.connect(self.workspace.root / DATABASE_NAME)) as connection:
            query = "SELECT client_key FROM label_operation WHERE tile_id = ? ORDER BY id"
            journal = [key for (key,) in connection.execute(query, [tile.id])]
        changing = {key for key, item in saved.items() if item.tile_id == tile.id and item.changed}
        if lost := changing - set(journal):
            self._problem(f"tile {tile.name}: {len(lost)} saved operations are not in the journal")
        if strange := [key for key in journal if key not in saved]:
            self._problem(f"tile {tile.name}: {len(strange)} operations in the journal were never answered")
        model = SheetModel((tile.height, tile.width))
        for key in journal:
            if key in saved:
                model.perform(saved[key].path, saved[key].body)
        if differing := int((model.raster != self._on_disk(tile)).sum()):
            self._problem(f"tile {tile.name}: {differing} pixels differ from the replayed operations")
        if tile is self.tiles[2]:
            who = [saved[key].who for key in journal if key in saved]
            self.report.order_on_shared_tile = [
                name for name, before in zip(who, [None, *who], strict=False) if name != before
            ]
            if self.report.order_on_shared_tile != ["Cem", "Dot", "Cem"]:
                self._problem(f"the lock was not respected: {self.report.order_on_shared_tile}")

    def _problem(self, sentence: str) -> None:
        self.report.problems.append(sentence)


def main() -> None:
    """Print the report as JSON; exit status 1 where there was a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = FourPeople(Path(folder), seed=options.seed).run(options.seconds)
    print(json.dumps(asdict(report), indent=2))
    raise SystemExit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
