"""A person's hand on the paint canvas, and a running server with tiles that no test has painted on yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

from core.catalog.catalogue import collections, index_folder, tiles
from core.labels.learning import SETTING
from core.progress import SilentProgress
from core.tables import Setting, Tile
from core.workspace import Workspace, open_workspace
from tests.browser.app_server import Server, start_server, stop_server

WIDTH, HEIGHT = 300, 200
TILES = 60
"""More than the tests of all files take together, each one of its own."""
URBAN, AGRICULTURE, RANGELAND, FOREST, WATER, BARREN, UNLABELLED = 0, 1, 2, 3, 4, 5, 255


@dataclass
class Studio:
    """A running server, and tiles of random grey that no test has painted on yet."""

    server: Server
    workspace: Workspace
    fresh: Iterator[Tile]


def studio_in(folder: Path) -> Iterator[Studio]:
    """A server on small tiles of random grey, until the caller is done with it."""
    images = folder / "tiles"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH, 3), np.uint8)
    for number in range(TILES):
        Image.fromarray(pixels).save(images / f"{number}_sat.jpg")
    workspace = open_workspace(folder / "workspace")
    switch_learning_off(workspace)
    server = start_server(workspace.root)
    index_folder(workspace, images, SilentProgress(), synthetic=True)
    [home] = collections(workspace)
    yield Studio(server, workspace, iter(tiles(workspace, home.id)))
    stop_server(server)


def switch_learning_off(workspace: Workspace) -> None:
    """Before its server starts: the learner has its own tests, and needs both cores while others draw."""
    with workspace.database.write() as session:
        session.merge(Setting(key=SETTING, value={"on": False}))


class Canvas:
    """The open canvas, as a person's hand meets it; points are tile pixels."""

    def __init__(self, page: Page, studio: Studio, tile: Tile) -> None:
        self.page, self.studio, self.tile = page, studio, tile

    def open(self) -> None:
        self.page.goto(f"{self.studio.server.url}/label?tile={self.tile.id}")
        self.page.wait_for_function("window.tilewrightPaint?.state().ready", timeout=60_000)

    def place(self, x: float, y: float) -> dict[str, float]:
        return dict(self.page.evaluate("([x, y]) => window.tilewrightPaint.tileToScreen(x, y)", [x, y]))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def click(self, *points: tuple[float, float]) -> None:
        for point in points:
            self.page.mouse.click(**self.place(*point))

    def drag(self, *points: tuple[float, float]) -> None:
        places = [self.place(*point) for point in points]
        self.page.mouse.move(**places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(**place, steps=6)
        self.page.mouse.up()

    def state(self) -> dict[str, Any]:
        return dict(self.page.evaluate("window.tilewrightPaint.state()"))

    def saved(self) -> NDArray[np.uint8]:
        """What is on disk once everything drawn is saved; what is shown must be the same."""
        self.page.evaluate("window.tilewrightPaint.saved()")
        disk = self.on_disk()
        assert np.array_equal(self.shown(), disk)
        return disk

    def on_disk(self) -> NDArray[np.uint8]:
        path = self.studio.workspace.labels(self.tile.collection_id) / f"{self.tile.name}_mask.png"
        with Image.open(path) as image:
            return np.array(image)

    def shown(self) -> NDArray[np.uint8]:
        flat = self.page.evaluate(
            "([w, h]) => Array.from({ length: w * h }, (_, i) =>"
            " window.tilewrightPaint.classAt(i % w, Math.floor(i / w)))",
            [WIDTH, HEIGHT],
        )
        return np.array(flat, np.uint8).reshape(HEIGHT, WIDTH)
