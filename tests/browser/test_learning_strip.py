"""The strip 'Learning while you paint': what it says of the learner, and that its switches reach the server."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from core.catalog.catalogue import collections, index_folder, tiles
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.browser.app_server import Server
from tests.scenes import write_pairs

pytestmark = pytest.mark.browser


def indexed_tile(server: Server, tmp_path: Path) -> int:
    write_pairs(tmp_path / "tiles", 1, 128)
    workspace = open_workspace(server.workspace)
    index_folder(workspace, tmp_path / "tiles", SilentProgress(), synthetic=True)
    [home] = collections(workspace)
    [tile] = tiles(workspace, home.id)
    return tile.id


def test_the_learning_strip_says_what_is_learnt_and_can_be_switched(page: Page, server: Server, tmp_path: Path) -> None:
    answer = {"suggestion": None, "source": "live", "sequence": 3, "learning": True, "runs": ["quick"]}
    answer |= {"state": "ready", "sentence": "Learnt from 3 tiles.", "seconds": 1.24}
    answer |= {"score": {"miou": 0.412, "low": 0.33, "high": 0.49, "tiles": 3}}
    answer |= {"curve": [[0.5, 0.2, 0.1, 0.3], [2.0, 0.41, 0.33, 0.49]]}
    asked: list[tuple[str, Any]] = []

    def post(route: Route) -> None:
        asked.append((route.request.url.rsplit("/", 1)[-1], json.loads(route.request.post_data or "")))
        off = {"learning": False, "state": "off", "sentence": "Switched off."}
        route.fulfill(json=answer | (off if asked[-1][0] == "learning" else {"source": "run: quick"}))

    page.route("**/suggestion.json", lambda route: route.fulfill(json=answer))
    page.route("**/learning", post)
    page.route("**/suggest", post)
    page.goto(f"{server.url}/label?tile={indexed_tile(server, tmp_path)}")
    page.wait_for_function("window.tilewrightPaint?.state().ready", timeout=60_000)
    expect(page.get_by_test_id("learning-state")).to_have_text("Learnt from 3 tiles. Took 1.2 s.")
    expect(page.get_by_test_id("learning-score")).to_have_text(
        "mIoU 0.41 [0.33–0.49] on 3 held-out tiles; 3 tiles are few"
    )
    expect(page.get_by_role("img", name="mIoU on held-out tiles per labelled minute")).to_be_visible()
    page.get_by_label("Where the suggestion comes from").select_option("quick")
    page.get_by_label("Learn while I paint").uncheck()
    expect(page.get_by_test_id("learning-state")).to_have_text("Switched off.")
    assert asked == [("suggest", {"run": "quick"}), ("learning", {"on": False})]
