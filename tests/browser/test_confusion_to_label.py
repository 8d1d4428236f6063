"""From a cell of the confusion matrix to its pixels, and to the Label page that mends them, with the mouse."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.catalog.catalogue import collections
from core.labels.mending import places_to_mend
from core.workspace import open_workspace
from tests.browser.app_server import Server, start_server, stop_server
from tests.core.evaluation.sure_runs import make_sure_workspace
from tests.pages.runs_on_disk import keep_evaluation

LONG = 90_000  # milliseconds: two cores, and other work beside us

pytestmark = pytest.mark.browser

CELLS = """() => {
  const chart = document.querySelector(".js-plotly-plot"), { xaxis, yaxis } = chart._fullLayout;
  const { left, top } = chart.getBoundingClientRect(), [, cells] = chart.data;
  return cells.x.map((name, i) => ({
    truth: cells.y[i], predicted: name,
    x: left + xaxis._offset + xaxis.d2p(name), y: top + yaxis._offset + yaxis.d2p(cells.y[i]),
  }));
}"""
READY = """(mistake) => {
  const regions = window.tilewrightRegions;
  return regions?.root.dataset.state === "ready" && regions.data.panels[0].detail === mistake;
}"""


@pytest.fixture
def judged_server(tmp_path) -> Iterator[Server]:
    """The app on six small tiles, of which four are judged."""
    workspace = make_sure_workspace(tmp_path)
    keep_evaluation(workspace, "sure")
    running = start_server(workspace.root)
    yield running
    stop_server(running)


def test_a_click_on_a_cell_outlines_its_pixels_and_fix_these_opens_label_on_them(
    page: Page, judged_server: Server
) -> None:
    page.goto(f"{judged_server.url}/evaluate")
    page.get_by_text("Confusion", exact=True).first.click(timeout=LONG)
    page.wait_for_function(READY, arg="rangeland taken for barren", timeout=LONG)
    cell = next(cell for cell in page.evaluate(CELLS) if cell["truth"] == "urban")
    page.mouse.click(cell["x"] + 4, cell["y"] + 4)
    mistake = f"urban taken for {cell['predicted']}"
    page.wait_for_function(READY, arg=mistake, timeout=LONG)

    region = page.get_by_title("Go to this region").last
    region.click()
    expect(region).to_have_attribute("aria-pressed", "true")

    page.get_by_role("button", name="Fix these").click()
    page.wait_for_url("**/label?tile=*", timeout=LONG)
    expect(page.get_by_text(f"To mend: {mistake}")).to_be_visible(timeout=LONG)
    page.wait_for_function("window.tilewrightPaint?.state().ready", timeout=LONG)
    workspace = open_workspace(judged_server.workspace)
    sent = places_to_mend(workspace, collections(workspace)[0].id)
    assert str(max(sent, key=lambda tile_id: sum(place.pixels for place in sent[tile_id]))) in page.url
