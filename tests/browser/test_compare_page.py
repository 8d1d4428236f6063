"""Compare with mouse and keys: two runs on generated scenes, their switches live, and what the pixels say."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from core.catalog.catalogue import index_folder, tiles
from core.catalog.images import read_mask
from core.classes import CLASS_NAMES
from core.inference import store
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.workspace import Workspace, open_workspace
from tests.browser.app_server import Server, start_server, stop_server
from tests.core.training.scenes import write_scenes

LONG = 90_000  # milliseconds: two cores, and other work beside us
SHOWN = "window.tilewrightCompare?.root.dataset.shown"
CRF = Switches(refinement="crf")
COLOUR_AT = """async ([x, y]) => {
  const { stages } = window.tilewrightCompare, canvas = stages.stages.at(-1).canvas;
  stages.opacity = 1;
  stages.move(() => { stages.view.scale = 8; stages.view.centreOn([x + 0.5, y + 0.5]); });
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  return [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3);
}"""
"""The colour in the middle of the last panel when a pixel of the tile is brought there."""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app on five small scenes, the last without a mask, and two runs that trained on one of them each."""
    root = tmp_path_factory.mktemp("compare")
    data = write_scenes(root / "data", names=("1", "2", "3", "4", "5"))
    (data / "5_mask.png").unlink()
    workspace = open_workspace(root / "workspace")
    index_folder(workspace, data, SilentProgress())
    cache = FeatureCache(workspace.features)
    for name, trained_on in (("one", "1"), ("other", "2")):
        recipe = load_recipe("head", [f"train_tiles={trained_on}"])
        request = FitRequest(data=data, out=workspace.runs / name, recipe=recipe, device="cpu", cache=cache)
        fit(request, SilentProgress())
    running = start_server(workspace.root)
    yield running
    stop_server(running)


def open_compare(page: Page, server: Server, query: str = "?a=one&b=other") -> Workspace:
    page.goto(f"{server.url}/compare{query}")
    page.wait_for_function(SHOWN, timeout=LONG)
    return open_workspace(server.workspace)


def wait_shown(page: Page, wanted: str) -> None:
    """Until both sides show what was chosen; ``wanted`` is tile and settings as the desk writes them."""
    page.wait_for_function(f"{SHOWN} === {wanted!r}", timeout=LONG)


def tile_named(workspace: Workspace, name: str) -> Tile:
    return next(tile for tile in tiles(workspace, 1) if tile.name == name)


def test_a_refinement_is_switched_live_and_told_with_what_it_changes(page: Page, compared: Server) -> None:
    workspace = open_compare(page, compared)
    tile = tile_named(workspace, "3")  # the first that neither trained on
    wait_shown(page, f"{tile.id} one/plain other/plain")
    page.get_by_role("radio", name="Refinement of A: CRF").click()
    wait_shown(page, f"{tile.id} one/{CRF.key} other/plain")
    row = page.get_by_role("row", name=re.compile("A: Refinement"))
    expect(row).to_contain_text("s", timeout=LONG)
    expect(row.locator("xpath=following-sibling::tr[1]")).to_contain_text("needs more tiles")
    page.keyboard.press("j")
    following = tile_named(workspace, "4")
    wait_shown(page, f"{following.id} one/{CRF.key} other/plain")
    page.get_by_role("button", name="Compute", exact=True).click()  # what the table lacks: this tile without the CRF
    expect(row.locator("xpath=following-sibling::tr[1]")).to_contain_text(re.compile(r"2 tiles.* to "), timeout=LONG)
    page.keyboard.press("k")
    page.get_by_role("radio", name="Refinement of A: none").click()
    wait_shown(page, f"{tile.id} one/plain other/plain")
    assert store.kept(workspace, "one", following, CRF) is not None


def test_every_pixel_is_told_with_its_classes_and_with_who_is_right(page: Page, compared: Server) -> None:
    workspace = open_compare(page, compared)
    tile = tile_named(workspace, "3")
    found = [store.kept(workspace, run, tile, Switches()) for run in ("one", "other")]
    a, b = (store.load(one, tile) for one in found if one)
    truth = read_mask(Path(str(tile.mask_path)), shape=a.shape).raster
    known = truth != 255
    only_a, only_b = (a == truth) & (b != truth) & known, (b == truth) & (a != truth) & known
    neither = (a != truth) & (b != truth) & known
    told = page.locator(".stage", has_text="Who is right").locator(".meanings")
    for words, pixels in (("A right, B wrong", only_a), ("B right, A wrong", only_b), ("both wrong", neither)):
        expect(told).to_contain_text(f"{words} {100 * pixels.sum() / known.sum():.1f} %", timeout=LONG)
    for pixels, colour in ((only_a, [0, 114, 178]), (only_b, [230, 159, 0])):
        y, x = np.argwhere(pixels)[len(np.argwhere(pixels)) // 2]
        assert page.evaluate(COLOUR_AT, [int(x), int(y)]) == colour
    page.keyboard.press("g")  # with agreement beside it
    share = 100 * float(np.mean(a == b))
    expect(page.locator(".stage", has_text="A and B agree")).to_contain_text(f"{share:.1f} %")
    page.evaluate("window.tilewrightCompare.stages.setPointer([10.5, 20.5])")
    names = [CLASS_NAMES[raster[20, 10]] for raster in (truth, a, b)]
    said = "x 10, y 20 · truth {} · A {} · B {}".format(*names)
    expect(page.locator(".readout")).to_have_text(said)


def test_swipe_and_blink_work_by_key_and_by_mouse(page: Page, compared: Server) -> None:
    open_compare(page, compared)
    page.keyboard.press("s")
    handle = page.get_by_role("slider", name="Swipe", exact=True)
    expect(handle).to_have_attribute("aria-valuenow", "50")
    box = handle.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 17, box["y"] + 17)
    page.mouse.down()
    page.mouse.move(box["x"] + 217, box["y"] + 17, steps=4)
    page.mouse.up()
    moved = int(handle.get_attribute("aria-valuenow") or 0)
    assert moved > 60
    handle.press("ArrowLeft")
    expect(handle).to_have_attribute("aria-valuenow", str(moved - 2))
    expect(page.locator(".stage")).to_have_count(1)
    page.keyboard.press("b")
    page.keyboard.press(" ")  # stands still, and shows the other one
    title = page.locator(".stage figcaption b")
    first = title.text_content()
    page.keyboard.press(" ")
    expect(title).not_to_have_text(first or "")
    page.keyboard.press("p")
    expect(page.locator(".stage")).to_have_count(3)


def test_a_view_survives_a_reload_and_the_page_speaks_of_its_sides(page: Page, compared: Server) -> None:
    workspace = open_compare(page, compared)
    page.get_by_label(re.compile("^Regions of B")).select_option("200")
    page.keyboard.press("Escape")
    tile, few = tile_named(workspace, "3"), Switches(min_region=200)
    wait_shown(page, f"{tile.id} one/plain other/{few.key}")
    expect(page.get_by_text("Not scored yet with these switches: A and B.")).to_be_visible(timeout=LONG)
    page.reload()
    wait_shown(page, f"{tile.id} one/plain other/{few.key}")


def test_a_tile_says_what_it_is_no_judge_of(page: Page, compared: Server) -> None:
    workspace = open_workspace(compared.workspace)
    open_compare(page, compared, f"?tile={tile_named(workspace, '5').id}&a=one&b=other")
    expect(page.get_by_text("Where they differ")).to_be_visible()
    expect(page.get_by_text("came without a mask")).to_be_visible()
    page.get_by_label("Tile", exact=True).select_option(label="1 (train)")
    expect(page.get_by_text("one trained on tile 1: what it shows here is no test.")).to_be_visible()


def test_a_run_that_is_deleted_while_it_is_open_is_one_sentence(page: Page, compared: Server) -> None:
    workspace = open_workspace(compared.workspace)
    shutil.copytree(workspace.runs / "other", workspace.runs / "doomed")
    open_compare(page, compared, "?a=one&b=doomed")
    shutil.rmtree(workspace.runs / "doomed")
    page.get_by_role("radio", name="Refinement of B: guided filter").click()
    expect(page.get_by_text("This workspace has no run 'doomed'").first).to_be_visible(timeout=LONG)
    page.get_by_label("Run B").select_option("other")
    guided = Switches(refinement="guided")
    wait_shown(page, f"{tile_named(workspace, '3').id} one/plain other/{guided.key}")
