"""Predict with the mouse: a split with a switch, the job to its end, the overlay on the tile, and deletion."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.catalog.catalogue import index_folder, tiles
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from core.workspace import open_workspace
from tests.browser.app_server import Server, start_server, stop_server
from tests.core.training.scenes import write_scenes

LONG = 90_000  # milliseconds: two cores, and other work beside us

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def trained_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app on three small scenes, the last to validate, and a run that trained on the others."""
    root = tmp_path_factory.mktemp("predict")
    data = write_scenes(root / "data")
    workspace = open_workspace(root / "workspace")
    report = index_folder(workspace, data, SilentProgress())
    with workspace.database.write() as session:
        for tile in tiles(workspace, report.collection_id):
            session.get_one(Tile, tile.id).split = "val" if tile.name == "3" else "train"
    recipe, cache = load_recipe("head", ["train_tiles=1,2"]), FeatureCache(workspace.features)
    fit(FitRequest(data=data, out=workspace.runs / "first", recipe=recipe, device="cpu", cache=cache), SilentProgress())
    running = start_server(workspace.root)
    yield running
    stop_server(running)


def settle(page: Page) -> None:
    """Wait until the page's script has run to its end."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=LONG)


def test_a_split_is_predicted_with_a_switch_seen_over_its_tile_and_deleted(page: Page, trained_server: Server) -> None:
    workspace = open_workspace(trained_server.workspace)
    tile = next(tile for tile in tiles(workspace, 1) if tile.name == "3")
    page.goto(f"{trained_server.url}/browse")
    page.get_by_role("button", name="Start predicting").wait_for(timeout=LONG)
    settle(page)
    page.get_by_role("radio", name="guided filter").or_(page.get_by_role("button", name="guided filter")).first.click()
    expect(page.get_by_text("moves borders to edges")).to_be_visible(timeout=LONG)
    settle(page)
    page.get_by_role("button", name="Start predicting").click()
    expect(page.get_by_text("Done: open a tile above")).to_be_visible(timeout=LONG)
    kept = workspace.predictions / "first" / Switches("none", "guided").key / "1" / "3_mask.png"
    assert kept.is_file()

    page.goto(f"{trained_server.url}/browse?tile={tile.id}")
    picture = page.locator("img[src*='/predictions/first/']")
    expect(picture).to_be_visible(timeout=LONG)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == tile.width

    page.get_by_role("tab", name="Kept predictions").click()
    page.get_by_role("button", name="Delete these").click()
    expect(page.get_by_text("Nothing is kept yet")).to_be_visible(timeout=LONG)
    assert not kept.exists()
