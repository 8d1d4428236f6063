"""Hectares of an area that is drawn on the map, and classes in safe colours, with the mouse."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.app_server import Server, start_server, stop_server
from tests.pages.runs_on_disk import add_run, keep_evaluation, keep_predictions, make_workspace

LONG = 90_000  # milliseconds: two cores, and other work beside us

pytestmark = pytest.mark.browser


@pytest.fixture
def judged_server(tmp_path) -> Iterator[Server]:
    workspace = make_workspace(tmp_path)
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.2)
    keep_evaluation(workspace, "first")
    running = start_server(workspace.root)
    yield running
    stop_server(running)


def test_an_area_drawn_on_the_map_is_measured_offline_in_the_colours_that_were_chosen(
    page: Page, judged_server: Server
) -> None:
    page.goto(f"{judged_server.url}/evaluate")
    page.get_by_role("radio", name="Areas").click(timeout=LONG)
    masks: list[str] = []
    page.on(
        "request", lambda request: masks.append(request.url) if "/predictions/first/plain/map/" in request.url else None
    )
    page.get_by_role("radio", name="Safe").click()
    page.get_by_role("radio", name="drawn on the map").click()
    expect(page.get_by_text("Nothing is drawn yet")).to_be_visible(timeout=LONG)
    frame = page.frame_locator('iframe[title*="folium"]')
    frame.locator(".leaflet-draw-draw-rectangle").click(timeout=LONG)
    box = frame.locator(".leaflet-container").bounding_box()
    assert box is not None
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle_x - 80, middle_y - 60)
    page.mouse.down()
    page.mouse.move(middle_x + 80, middle_y + 60, steps=6)
    page.mouse.up()
    expect(page.get_by_text("Hectares by class: drawn area")).to_be_visible(timeout=LONG)
    assert masks
    assert all("palette=safe" in address for address in masks)
