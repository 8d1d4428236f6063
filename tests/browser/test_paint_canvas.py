"""The paint canvas in a real Chromium: what is shown is what is on disk, and nothing drawn is lost."""

import re
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.catalog.catalogue import collections, index_folder, tiles
from core.errors import InputError
from core.labels.strokes import Stroke, rasterise
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from tests.browser.conftest import Server

pytestmark = pytest.mark.browser

PAINT = Path(__file__).parents[2] / "assets" / "components" / "paint"
WIDTH, HEIGHT = 300, 200
URBAN, AGRICULTURE, WATER, UNLABELLED = 0, 1, 4, 255


# ---- the modules by themselves ----


@pytest.fixture
def module(page: Page):
    """Import one of the canvas's modules into an empty page, as ``window.module``."""

    def load(name: str) -> Page:
        page.goto("about:blank")
        page.evaluate(
            "async (text) => { const blob = new Blob([text], { type: 'text/javascript' });"
            " window.module = await import(URL.createObjectURL(blob)); }",
            (PAINT / name).read_text(),
        )
        return page

    return load


PAINTED = """([tool, points, radius, width, height]) => {
  const { capsuleSpans, polygonSpans, rectangleSpans } = window.module;
  const spans = tool === 'polygon' ? polygonSpans(points, width, height)
    : tool === 'rectangle' ? rectangleSpans(...points, width, height)
    : points.flatMap((p, i) => capsuleSpans(points[Math.max(0, i - 1)], p, radius, width, height));
  const pixels = new Set();
  for (let i = 0; i < spans.length; i += 3)
    for (let x = spans[i + 1]; x < spans[i + 2]; x++) pixels.add(spans[i] * width + x);
  return [...pixels];
}"""


@pytest.mark.parametrize(("tool", "corners"), [("brush", 5), ("polygon", 7), ("rectangle", 2)])
def test_the_browser_paints_the_very_pixels_that_the_server_writes(module, tool, corners):
    page = module("rasterise.js")
    generator = np.random.default_rng(0)
    for _ in range(60):
        points = generator.uniform(-10, (70, 50), (corners, 2)).round(2).tolist()
        radius = round(float(generator.uniform(0.5, 12)), 2)
        shown = np.zeros((40, 60), bool)
        shown.ravel()[page.evaluate(PAINTED, [tool, points, radius, 60, 40])] = True
        written = np.zeros((40, 60), bool)
        stroke = Stroke(client_key=str(uuid.uuid4()), tool=tool, class_index=0, points=points, radius=radius)
        try:
            box, mask = rasterise(stroke, (40, 60))
            written[box.slices] = mask
        except InputError:
            pass  # beside the tile
        assert np.array_equal(shown, written), (tool, points, radius)


def test_zooming_keeps_the_point_under_the_pointer(module):
    page = module("view.js")
    moved = page.evaluate("""() => {
      const view = new window.module.View(2448, 2448);
      view.resize(900, 700);
      const [x, y] = view.toTile(333, 222);
      for (const factor of [1.7, 3, 0.4, 2.2]) view.zoomAt(factor, 333, 222);
      const [screenX, screenY] = view.toScreen(x, y);
      return Math.hypot(screenX - 333, screenY - 222);
    }""")
    assert moved < 1e-6


@pytest.mark.parametrize(("metres", "label"), [(0.5, "50 m"), (0.07, "5 m"), (12.0, "1 km"), (0.004, "50 cm")])
def test_the_scale_bar_is_a_round_length_that_fits(module, metres, label):
    bar = module("view.js").evaluate("(metres) => window.module.scaleBar(metres, 140)", metres)
    assert bar["label"] == label
    assert bar["pixels"] <= 140


# ---- the canvas in the app ----


@pytest.fixture
def open_tile(tmp_path: Path, server: Server):
    """A tile of random grey, in the server's workspace."""
    folder = tmp_path / "tiles"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(60, 200, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "7_sat.jpg")
    workspace = open_workspace(server.workspace)
    index_folder(workspace, folder, SilentProgress(), synthetic=True)
    [home] = collections(workspace)
    [tile] = tiles(workspace, home.id)
    return workspace, tile


def open_canvas(page: Page, server: Server, tile: Tile) -> None:
    page.goto(f"{server.url}/label?tile={tile.id}")
    page.wait_for_function("window.tilewrightPaint?.state().ready", timeout=60_000)


def drag(page: Page, *points: tuple[float, float]) -> None:
    places = [page.evaluate("([x, y]) => window.tilewrightPaint.tileToScreen(x, y)", list(p)) for p in points]
    page.mouse.move(**places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(**place, steps=6)
    page.mouse.up()


def saved(page: Page) -> None:
    page.evaluate("window.tilewrightPaint.saved()")


def on_disk(workspace: Workspace, tile: Tile) -> np.ndarray:
    with Image.open(workspace.labels(tile.collection_id) / f"{tile.name}_mask.png") as image:
        return np.array(image)


def shown(page: Page) -> np.ndarray:
    flat = page.evaluate(
        "([w, h]) => Array.from({ length: w * h }, (_, i) => window.tilewrightPaint.classAt(i % w, Math.floor(i / w)))",
        [WIDTH, HEIGHT],
    )
    return np.array(flat, np.uint8).reshape(HEIGHT, WIDTH)


def test_what_is_painted_erased_and_undone_is_on_disk_and_comes_back_after_a_reload(page, server, open_tile):
    workspace, tile = open_tile
    open_canvas(page, server, tile)
    page.keyboard.press("2")
    drag(page, (60, 60), (200, 60))
    page.keyboard.press("r")  # not Streamlit's own R, which would run the page anew
    page.keyboard.press("5")
    drag(page, (100, 100), (150, 160))
    saved(page)
    raster = on_disk(workspace, tile)
    assert (raster[60, 130], raster[130, 120]) == (AGRICULTURE, WATER)
    assert (raster == WATER).sum() == pytest.approx(50 * 60, rel=0.05)
    page.keyboard.press("e")
    drag(page, (120, 60), (121, 60))
    saved(page)
    assert on_disk(workspace, tile)[60, 120] == UNLABELLED
    page.reload()
    page.wait_for_function("window.tilewrightPaint?.state().ready")
    assert page.evaluate("window.tilewrightPaint.state().tool") == "eraser"
    page.keyboard.press("Control+z")
    saved(page)
    assert np.array_equal(on_disk(workspace, tile), raster)
    assert np.array_equal(shown(page), raster)


def test_strokes_drawn_while_the_server_is_away_are_saved_when_it_is_back(page, server, open_tile):
    workspace, tile = open_tile
    open_canvas(page, server, tile)
    page.keyboard.press("1")
    page.context.set_offline(True)
    drag(page, (60, 60), (200, 60))
    drag(page, (60, 140), (200, 140))
    page.wait_for_function("window.tilewrightPaint.state().trouble !== null")
    status = page.get_by_test_id("paint-status")
    expect(status).to_have_text("Not saved: server unreachable, retrying; do not close this page")
    assert not (workspace.labels(tile.collection_id)).exists()
    page.context.set_offline(False)
    saved(page)
    raster = on_disk(workspace, tile)
    assert (raster[60, 130], raster[140, 130]) == (URBAN, URBAN)
    assert np.array_equal(shown(page), raster)
    expect(status).to_have_text(re.compile(r"^Saved \d+ s ago$"))
