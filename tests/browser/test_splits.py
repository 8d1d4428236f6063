"""A split that leaks, seen on Train and mended on Browse with the mouse."""

from collections.abc import Iterator

import cv2
import pytest
from playwright.sync_api import Page, expect

from core.catalog.alike.related import RelatedPair, keep_pairs
from core.catalog.catalogue import index_folder, tiles
from core.catalog.images import write_mask
from core.catalog.splitting.plans import NewSplit, Place, keep
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.browser.app_server import Server, start_server, stop_server
from tests.scenes import small_pair

LONG = 90_000  # milliseconds: two cores, and other work beside us
SIDE = 192

pytestmark = pytest.mark.browser


@pytest.fixture
def leaking_server(tmp_path) -> Iterator[Server]:
    """Four tiles cut from one scene, 1 and 2 above 3 and 4, of which tile 2 validates, and two of other scenes."""
    workspace, data = open_workspace(tmp_path / "ws"), tmp_path / "land"
    data.mkdir()
    for number in range(6):
        scene = small_pair(0, 2 * SIDE) if number < 4 else small_pair(number, SIDE)
        row, column = (SIDE * (number // 2), SIDE * (number % 2)) if number < 4 else (0, 0)
        piece = (slice(row, row + SIDE), slice(column, column + SIDE))
        cv2.imwrite(str(data / f"{number + 1}_sat.jpg"), cv2.cvtColor(scene.image[piece], cv2.COLOR_RGB2BGR))
        write_mask(data / f"{number + 1}_mask.png", scene.raster[piece])
    index_folder(workspace, data, SilentProgress())
    rows = tiles(workspace, 1)
    of = {row.name: row.id for row in rows}
    touching = [("1", "2", "right"), ("3", "4", "right"), ("1", "3", "below"), ("2", "4", "below")]
    pairs = [RelatedPair(of[first], of[second], "neighbours", 0.9, side) for first, second, side in touching]
    keep_pairs(workspace, 1, images={row.id: row.fingerprint for row in rows}, pairs=pairs)
    places = {name: Place("val" if name in "26" else "train") for name in of}
    keep(workspace, 1, NewSplit("mine", "random", places), followed=True)
    running = start_server(workspace.root)
    yield running
    stop_server(running)


def test_a_split_with_a_leak_is_warned_of_and_mended_by_one_click(page: Page, leaking_server: Server) -> None:
    page.goto(f"{leaking_server.url}/train")
    expect(page.get_by_text("some belong together: 2 pairs of neighbours")).to_be_visible(timeout=LONG)
    page.get_by_text("See and mend it on Browse").click()
    expect(page.get_by_text("2 leaks")).to_be_visible(timeout=LONG)
    pictures = page.locator(".tw-pair img")
    expect(pictures).to_have_count(4)
    page.wait_for_function(
        "[...document.querySelectorAll('.tw-pair img')].every(i => i.complete && i.naturalWidth === 192)"
    )
    beside = page.locator(".tw-pair.right img")
    left, right = beside.nth(0).bounding_box(), beside.nth(1).bounding_box()
    assert left is not None
    assert right is not None
    assert abs(left["x"] + left["width"] - right["x"]) < 1, "neighbours touch at the edge that goes on"
    page.get_by_role("button", name="Move all together").click()
    expect(page.get_by_text("No two tiles that belong together lie on two sides")).to_be_visible(timeout=LONG)
    expect(page.locator(".tw-pair")).to_have_count(0)
    splits = {row.name: row.split for row in tiles(open_workspace(leaking_server.workspace), 1)}
    assert splits == {**dict.fromkeys("12345", "train"), "6": "val"}
    page.goto(f"{leaking_server.url}/train")
    expect(page.get_by_text("Split 'mine': it is frozen")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("some belong together")).to_have_count(0)
