"""Browse > Geographic in a real browser, on tiles of two UTM zones, without a network."""

from pathlib import Path

import pytest
from affine import Affine
from playwright.sync_api import Frame, Page, expect
from pyproj import Transformer

from core.catalog.catalogue import index_folder, tiles
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.browser.app_server import Server
from tests.core.catalog.geography.geo_pictures import write_geotiff

pytestmark = pytest.mark.browser
LONG = 60_000


def _opened(page: Page, server: Server, tmp_path: Path) -> Frame:
    write_geotiff(tmp_path / "data/west.tif", "EPSG:32632", Affine(10, 0, 710_000, 0, -10, 5_540_000))
    write_geotiff(tmp_path / "data/east.tif", "EPSG:32633", Affine(10, 0, 288_000, 0, -10, 5_540_000))
    index_folder(open_workspace(server.workspace), tmp_path / "data", SilentProgress())
    page.set_default_timeout(LONG)
    page.goto(f"{server.url}/browse?view=Geographic")
    expect(page.get_by_text("2 tiles of 2 CRS")).to_be_visible(timeout=LONG)
    frame = page.locator("iframe[title='streamlit_folium.st_folium']").element_handle().content_frame()
    frame.wait_for_selector(".leaflet-images-pane img.leaflet-tile-loaded", state="attached")
    return frame


def _screen(page: Page, frame: Frame, longitude: float, latitude: float) -> tuple[float, float]:
    box = page.locator("iframe[title='streamlit_folium.st_folium']").bounding_box()
    x, y = frame.evaluate(
        "([lat, lng]) => { const p = window.map.latLngToContainerPoint([lat, lng]); return [p.x, p.y]; }",
        [latitude, longitude],
    )
    return box["x"] + x, box["y"] + y


def test_the_map_shows_opens_and_dims_tiles_without_being_loaded_anew(
    page: Page, server: Server, tmp_path: Path
) -> None:
    frame = _opened(page, server, tmp_path)
    east = {tile.name: tile.id for tile in tiles(open_workspace(server.workspace), 1)}["east"]
    page.wait_for_load_state("networkidle")
    frame.evaluate("window.sameMap = true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/geo/1/" in request.url else None)

    point = Transformer.from_crs(32633, 4326, always_xy=True).transform(288_600, 5_539_550)
    x, y = _screen(page, frame, *point)
    page.mouse.move(x, y)
    readout = frame.locator(".tw-readout")
    expect(readout).to_contain_text("east · EPSG:32633", timeout=LONG)
    assert abs(float(readout.inner_text().split("°")[0]) - point[1]) < 1e-3

    page.mouse.click(x, y)
    expect(page.get_by_role("heading", name="Tile east")).to_be_visible(timeout=LONG)
    assert f"tile={east}" in page.url
    expect(frame.locator("path.tw-selected")).to_have_count(1, timeout=LONG)
    assert [url for url in asked if ".png" in url] == []

    with page.expect_request(lambda request: "/outlines/" in request.url and "shown=" in request.url):
        page.get_by_placeholder("Search by id").fill("west")
        page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 2 tiles")).to_be_visible(timeout=LONG)
    assert [url for url in asked if "/outlines/" not in url and ".png" in url] == []

    zoom = frame.evaluate("window.map.getZoom()")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    frame.wait_for_function(f"window.map.getZoom() > {zoom} && !window.map._animatingZoom")
    assert frame.evaluate("window.sameMap") is True
    assert frame.locator(".tw-graticule").count() > 1
    expect(frame.locator(".leaflet-control-scale-line")).to_contain_text("m")
