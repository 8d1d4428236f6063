"""Browse's gallery by mouse and keyboard: filters in the address and clicked, pages, a selection moved to a split."""

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from core.catalog.catalogue import index_folder, tiles
from core.classes import encode_colours
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.browser.app_server import Server, start_server, stop_server
from tests.core.catalog.pictures import noise, write_picture

LONG = 60_000  # milliseconds: two cores, and other work beside us
TILES = 64

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def tile_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two pages of small tiles; every third has no forest on its mask, and the share of water grows with the number."""
    root = tmp_path_factory.mktemp("gallery")
    for number in range(TILES):
        raster = np.full((32, 32), 1, np.uint8)
        raster[:4] = 3 if number % 3 else 0
        raster[31, : number // 2] = 4
        write_picture(root / "land" / f"{1000 + number}_sat.jpg", noise(32, 32, seed=number))
        write_picture(root / "land" / f"{1000 + number}_mask.png", encode_colours(raster))
    workspace = open_workspace(root / "workspace")
    index_folder(workspace, root / "land", SilentProgress())
    running = start_server(workspace.root)
    yield running
    stop_server(running)


def open_gallery(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/browse?view=Gallery{query}")
    expect(page.locator(".card").first).to_be_visible(timeout=LONG)
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=LONG)


def names(page: Page) -> list[str]:
    return page.locator(".card .name").all_inner_texts()


def test_a_filter_in_the_address_gives_the_same_tiles_as_the_same_filter_clicked(
    page: Page, tile_server: Server
) -> None:
    open_gallery(page, tile_server)
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("forest: quick choice").get_by_text("≥ 5 %").click()
    expect(page.get_by_role("button", name="forest ≥ 5 %")).to_be_visible(timeout=LONG)
    page.keyboard.press("Escape")
    page.get_by_placeholder("Search by id").fill("101")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"7 of {TILES} tiles")).to_be_visible(timeout=LONG)
    settle(page)
    clicked, address = names(page), page.url
    assert clicked == ["1010", "1011", "1013", "1014", "1016", "1017", "1019"]

    fresh = page.context.new_page()
    fresh.goto(address)
    expect(fresh.get_by_text(f"7 of {TILES} tiles")).to_be_visible(timeout=LONG)
    expect(fresh.locator(".card")).to_have_count(len(clicked), timeout=LONG)
    assert names(fresh) == clicked
    fresh.close()

    page.go_back()
    expect(page.get_by_text(f"42 of {TILES} tiles")).to_be_visible(timeout=LONG)
    expect(page.get_by_placeholder("Search by id")).to_have_value("", timeout=LONG)


def test_the_keyboard_moves_selects_turns_the_page_and_opens(page: Page, tile_server: Server) -> None:
    open_gallery(page, tile_server, "&order=water")
    assert names(page)[:2] == [f"{1000 + TILES - 2}", f"{1000 + TILES - 1}"]  # equal shares, in the order of names
    expect(page.locator(".card .figures").first).to_have_text("water 3 %", timeout=LONG)
    page.locator(".card").first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowUp", "Space", "ArrowRight", "Shift+Space"):
        page.keyboard.press(key)
    expect(page.get_by_role("button", name="2 selected")).to_be_visible(timeout=LONG)
    expect(page.locator(".cell.marked")).to_have_count(2, timeout=LONG)
    page.keyboard.press("End")
    page.keyboard.press("PageDown")
    expect(page.locator(".card")).to_have_count(TILES - 60, timeout=LONG)
    expect(page.locator(".gallery .said")).to_have_text(f"Page 2 of 2, tiles 61 to {TILES} of {TILES}", timeout=LONG)
    expect(page.locator(".card").first).to_be_focused(timeout=LONG)
    assert "page=2" in page.url
    name = names(page)[0]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Tile {name}")).to_be_visible(timeout=LONG)
    expect(page.locator(".cell.open .name")).to_have_text(name, timeout=LONG)


def test_tiles_that_are_selected_with_shift_go_to_a_split_and_undo_brings_them_back(
    page: Page, tile_server: Server
) -> None:
    workspace = open_workspace(tile_server.workspace)
    before = {tile.name: tile.split for tile in tiles(workspace, 1)}
    open_gallery(page, tile_server)
    page.locator(".cell .pick").nth(1).click()
    page.locator(".card").nth(3).click(modifiers=["Shift"])
    expect(page.get_by_role("button", name="3 selected")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Split", exact=False).last.click()
    page.get_by_role("button", name="Add to test").click()
    expect(page.locator(".card .split.test")).to_have_count(3, timeout=LONG)
    moved = {tile.name for tile in tiles(workspace, 1) if tile.split == "test"}
    assert moved == {"1001", "1002", "1003"}
    settle(page)
    page.locator(".st-key-browse_undo button").first.click()
    expect(page.locator(".card .split.test")).to_have_count(0, timeout=LONG)
    assert {tile.name: tile.split for tile in tiles(workspace, 1)} == before


def test_thumbnails_are_sharp_and_hold_their_place_and_a_lost_one_is_marked(page: Page, tile_server: Server) -> None:
    open_gallery(page, tile_server)
    first = page.locator(".frame").first
    assert "512w" in (first.locator("img").get_attribute("srcset") or "")
    box = first.bounding_box() or {"width": 0, "height": 1}
    assert box["width"] == pytest.approx(box["height"], abs=1)
    page.route("**/thumbnail.jpg*", lambda route: route.fulfill(status=422, body="{}"))
    page.get_by_placeholder("Search by id").fill("1063")  # on the other page: not painted yet
    page.keyboard.press("Enter")
    expect(page.locator(".frame.broken")).to_have_count(1, timeout=LONG)
