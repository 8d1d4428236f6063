"""Browse's map in a real Chromium: what is clicked opens, and nothing of the map goes when something on it changes."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Frame, Page, WebSocket, expect

from core.catalog.catalogue import index_folder, tiles
from core.classes import PALETTE
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.benchmarks.real_tiles import ABSENT, REAL_TILES
from tests.browser.app_server import Server, start_server, stop_server
from tests.core.catalog.pictures import write_picture

LONG = 60_000  # milliseconds: two cores, and other work beside us
SIDE = 300

pytestmark = pytest.mark.browser

_KEPT = """() => {
  const map = window.tilewrightMap.current.map;
  return [map.getContainer().dataset.seen, map.getZoom(), map.getCenter().lat, map.getCenter().lng];
}"""
_WATCH = """() => {
  window.tilewrightMap.current.map.getContainer().dataset.seen = "first";
  window.fewest = 99;
  const look = () => {
    const layers = [...document.querySelectorAll(".leaflet-tile-pane > .leaflet-layer")];
    const shown = layers.filter((one) => one.style.opacity !== "0" && one.querySelector("img.leaflet-tile-loaded"));
    window.fewest = Math.min(window.fewest, shown.length);
    requestAnimationFrame(look);
  };
  look();
}"""
_PLACE_OF = """(name) => {
  const { map, grid } = window.tilewrightMap.current;
  const [left, top, width, height] = grid.box(grid.places[grid.tiles.names.indexOf(name)]);
  const point = map.latLngToContainerPoint([-top - height / 2, left + width / 2]);
  return [point.x, point.y];
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Twelve drawn tiles, each in a colour of its own, the later the more of it forest; and the real ones if there."""
    root = tmp_path_factory.mktemp("map")
    for number in range(12):
        picture = np.full((SIDE, SIDE, 3), (20 * number, 255 - 20 * number, 120), np.uint8)
        mask = np.full((SIDE, SIDE, 3), PALETTE[1], np.uint8)
        mask[: SIDE * number // 12] = PALETTE[3]
        write_picture(root / "drawn" / f"{number + 1}_sat.png", picture)
        write_picture(root / "drawn" / f"{number + 1}_mask.png", mask)
    workspace = open_workspace(root / "workspace")
    index_folder(workspace, root / "drawn", SilentProgress())
    if REAL_TILES.is_dir():
        index_folder(workspace, REAL_TILES, SilentProgress())
    running = start_server(root / "workspace")
    yield running
    stop_server(running)


class Map:
    """The map on an open Browse page, and what was asked of the server while it was watched."""

    def __init__(self, page: Page, server: Server, query: str = "", collection: str = "drawn") -> None:
        self.page = page
        self.asked: list[str] = []
        self.told: list[object] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", self._listen)
        page.goto(f"{server.url}/browse?collection={collection}&{query}")
        self.settle()
        iframe = page.wait_for_selector("iframe[title='streamlit_folium.st_folium']", timeout=LONG)
        frame = iframe.content_frame()
        assert frame is not None
        self.frame: Frame = frame
        self.box = iframe
        frame.wait_for_function("() => window.tilewrightMap?.current?.images?.shown?.layer", timeout=LONG)
        page.wait_for_load_state("networkidle")

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: self.told.extend([frame]))  # a bound method of a list cannot be a listener

    def settle(self) -> None:
        """Wait until the page's script has run to its end."""
        expect(self.page.get_by_test_id("stApp")).to_have_attribute(
            "data-test-script-state", "notRunning", timeout=LONG
        )

    def point(self, name: str) -> tuple[float, float]:
        """Where a tile's middle lies on the page."""
        self.box.scroll_into_view_if_needed()
        corner = self.box.bounding_box()
        assert corner is not None
        x, y = self.frame.evaluate(_PLACE_OF, name)
        return corner["x"] + x, corner["y"] + y

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(x, y)

    def opened(self, name: str) -> None:
        expect(self.page.get_by_role("heading", name=f"Tile {name}", exact=True)).to_be_visible(timeout=LONG)

    def choose(self, label: str, option: str) -> None:
        """Choose in one of the page's select boxes."""
        self.page.get_by_role("combobox", name=re.compile(label)).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def pictures_asked(self) -> list[str]:
        return [url for url in self.asked if re.search(r"/map/.*\.(jpg|png|json)", url)]


def test_a_click_opens_the_tile_under_it_and_another_layout_moves_it_on_the_same_map(
    page: Page, server: Server
) -> None:
    _click_and_lay_out(Map(page, server), ["2", "11"])


@pytest.mark.real
@pytest.mark.skipif(not REAL_TILES.is_dir(), reason=ABSENT)
def test_a_click_and_another_layout_on_real_tiles(page: Page, server: Server) -> None:
    _click_and_lay_out(Map(page, server, collection=REAL_TILES.name), ["855", "10233"])


def _click_and_lay_out(shown: Map, names: list[str]) -> None:
    for name in names:
        shown.click(*shown.point(name))
        shown.opened(name)
    shown.settle()
    shown.frame.evaluate(_WATCH)
    before, place = shown.frame.evaluate(_KEPT), shown.point(names[1])
    order = shown.frame.evaluate("() => window.tilewrightMap.current.grid.order")
    shown.choose("Layout", "By class share")
    shown.frame.wait_for_function(
        "(old) => String(window.tilewrightMap.current.grid.order) !== String(old)", arg=order, timeout=LONG
    )
    assert "layout=class+share" in shown.page.url.replace("%20", "+")
    assert shown.frame.evaluate(_KEPT) == before
    assert shown.frame.evaluate("window.fewest") >= 1  # there was no moment without a picture
    assert shown.point(names[1]) != place
    shown.page.get_by_role("button", name="Close").click()
    expect(shown.page.get_by_role("heading", name=f"Tile {names[1]}", exact=True)).to_be_hidden(timeout=LONG)
    shown.click(*shown.point(names[1]))
    shown.opened(names[1])
    assert shown.frame.evaluate(_KEPT) == before


def test_a_filter_and_another_colour_change_the_outlines_and_ask_for_no_picture(page: Page, server: Server) -> None:
    shown = Map(page, server)
    shown.frame.evaluate(_WATCH)
    before = shown.frame.evaluate(_KEPT)
    workspace = open_workspace(server.workspace)
    count = sum(tile.split == "val" for tile in tiles(workspace, 1))
    assert 0 < count < 12
    shown.asked.clear()
    shown.choose("Split", "val")
    legend = shown.frame.get_by_role("list", name="Split")
    expect(legend).to_have_text(f"Splitval{count}", timeout=LONG)
    shown.choose("Colours", "Colours: Main class")
    legend = shown.frame.get_by_role("list", name="Main class")
    expect(legend.get_by_role("listitem").first).to_be_visible(timeout=LONG)
    shown.settle()
    assert shown.frame.evaluate(_KEPT) == before
    assert shown.pictures_asked() == []
    assert shown.frame.evaluate("window.fewest") >= 1
    dimmed = "() => window.tilewrightMap.current.marks._look.shown.filter((one) => !one).length"
    assert shown.frame.evaluate(dimmed) == 12 - count


def test_opacity_and_borders_change_in_the_browser_alone(page: Page, server: Server) -> None:
    shown = Map(page, server, "over=masks")
    shown.frame.wait_for_function("() => window.tilewrightMap.current.overlay.shown?.layer", timeout=LONG)
    page.wait_for_load_state("networkidle")
    shown.settle()
    shown.asked.clear()
    shown.told.clear()
    layer = shown.frame.locator(".leaflet-layer.tw-mask")
    shown.frame.get_by_role("slider", name="Opacity").fill("25")
    expect(layer).to_have_css("opacity", "0.25")
    assert shown.asked == []
    shown.frame.get_by_role("radio", name="Borders").click()
    shown.frame.wait_for_function(
        "() => window.tilewrightMap.current.overlay.shown.address.includes('borders')", timeout=LONG
    )
    expect(layer).to_have_count(1)
    expect(layer).to_have_css("opacity", "0.25")
    asked = shown.pictures_asked()
    assert asked
    assert all("style=borders" in url for url in asked if url.split("?")[0].endswith(".png"))
    assert shown.told == []  # nothing was said to Streamlit: no rerun


def test_zooming_in_ends_at_the_pixels_of_the_tile_and_hovering_names_it(page: Page, server: Server) -> None:
    shown = Map(page, server, "colour=class")
    shown.frame.evaluate(_WATCH)
    shown.frame.evaluate("() => { const { map } = window.tilewrightMap.current; map.setView([-100, 100], 0); }")
    shown.frame.wait_for_function(
        "() => [...document.querySelectorAll('img.leaflet-tile-loaded')].some((one) => one.src.includes('/map/1/12/'))",
        timeout=LONG,
    )
    assert shown.frame.evaluate("window.fewest") >= 1
    page.mouse.move(*shown.point("1"))
    expect(shown.frame.locator(".tw-tip")).to_contain_text("1")
    expect(shown.frame.locator(".tw-tip")).to_contain_text("Main class: agriculture, 100 %")
