"""The Train page's form with the mouse: a recipe is put together, looked over, started and watched to its end."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from core.catalog.catalogue import index_folder, tiles
from core.catalog.sample import write_sample
from core.progress import SilentProgress
from core.tables import Tile
from core.workspace import open_workspace
from tests.browser.app_server import Server, start_server, stop_server

LONG = 180_000  # milliseconds: two cores, and other work beside us

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sample_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app on four small scenes of the sample, the last of them to judge by."""
    workspace = open_workspace(tmp_path_factory.mktemp("train") / "workspace")
    write_sample(workspace.sample, tiles=4, size=768, seed=0, progress=SilentProgress())
    report = index_folder(workspace, workspace.sample, SilentProgress(), synthetic=True)
    known = tiles(workspace, report.collection_id)
    with workspace.database.write() as session:
        for tile in known:
            session.get_one(Tile, tile.id).split = "val" if tile is known[-1] else "train"
    running = start_server(workspace.root)
    yield running
    stop_server(running)


@pytest.fixture
def form(page: Page, sample_server: Server) -> Page:
    page.goto(f"{sample_server.url}/train")
    expect(start_button(page)).to_be_enabled(timeout=LONG)
    return page


def start_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Start training")


def settle(page: Page) -> None:
    """Wait until the page's script has run to its end: what is on the page is then what it will act upon."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=LONG)


def group(page: Page, title: str) -> Locator:
    """A group of settings, open."""
    settle(page)
    box = page.get_by_test_id("stExpander").filter(has=page.locator("summary", has_text=title)).first
    if not box.locator("details").evaluate("details => details.open"):
        box.locator("summary").click()
        settle(page)
    expect(box.get_by_test_id("stExpanderDetails").locator("label").first).to_be_visible(timeout=LONG)
    return box


def choose(page: Page, place: Page | Locator, label: str, option: str) -> None:
    """An option of a select box, by the beginning of its words."""
    settle(page)
    box, wanted = place.get_by_role("combobox", name=label), page.get_by_role("option", name=option).first
    box.click()
    if not wanted.is_visible():  # a click on a box that has the focus already only closes its list
        box.press("ArrowDown")
    wanted.click()
    settle(page)


def enter(page: Page, title: str, label: str, value: str) -> None:
    """A value into the field of a group."""
    place = group(page, title)
    field = place.get_by_role("spinbutton", name=label).or_(place.get_by_role("textbox", name=label)).first
    field.fill(value)
    field.press("Enter")
    settle(page)


def settings_changed(page: Page, count: int) -> None:
    expect(page.get_by_text(f"{count} setting{'s' if count > 1 else ''} changed")).to_be_visible(timeout=LONG)


def test_a_recipe_is_put_together_measured_started_and_watched_until_it_stands_among_the_runs(
    form: Page, sample_server: Server
) -> None:
    choose(form, form, "Recipe", "fast")
    expect(form.locator("summary", has_text="efficientnet-lite0")).to_be_visible(timeout=LONG)
    expect(form.get_by_text("As the preset is")).to_be_visible()
    enter(form, "Encoder", "Resolution", "0.8")
    settings_changed(form, 1)
    enter(form, "Head ·", "L2 penalty", "2")
    settings_changed(form, 2)
    enter(form, "Folds", "Folds", "2")
    settings_changed(form, 3)
    expect(group(form, "Head ·").get_by_text("was 1")).to_be_visible()  # the group stays open while its title changes

    settle(form)
    form.get_by_role("button", name="Measure", exact=True).click()
    expect(form.get_by_role("button", name="Measure again")).to_be_visible(timeout=LONG)
    expect(form.get_by_text("Trained parameters")).to_be_visible()

    field = form.get_by_label("Name of the run")
    field.fill("by-hand")
    field.press("Enter")
    settle(form)
    expect(start_button(form)).to_be_enabled(timeout=LONG)
    start_button(form).click()
    expect(form.get_by_test_id("live-figures")).to_be_visible(timeout=LONG)
    expect(form.get_by_text("Look at a run")).to_be_visible(timeout=LONG)

    form.get_by_test_id("stDataFrame").last.scroll_into_view_if_needed()  # its cells exist once they can be seen
    expect(form.locator("td", has_text="by-hand")).to_be_attached(timeout=LONG)
    expect(form.locator("td", has_text="finished")).to_be_attached()
    settle(form)
    form.get_by_text("Look at a run").click()
    expect(form.get_by_text("measured on 3 left-out tiles").first).to_be_visible(timeout=LONG)
    expect(form.get_by_text("Measured on 1 tile only", exact=False).first).to_be_visible()
    card = json.loads((sample_server.workspace / "runs" / "by-hand" / "card.json").read_text())
    assert card["recipe_name"] == "fast-changed"
    assert card["measured"]["members"] == 2


def test_what_cannot_work_is_told_beside_the_setting_and_keeps_it_from_starting(form: Page) -> None:
    enter(form, "Folds", "Folds", "9")
    expect(form.get_by_text("9 folds need as many labelled training tiles", exact=False).first).to_be_visible(
        timeout=LONG
    )
    expect(form.locator("summary", has_text="cannot work")).to_be_visible()
    expect(start_button(form)).to_be_disabled()
    enter(form, "Folds", "Folds", "3")
    expect(start_button(form)).to_be_enabled(timeout=LONG)


def test_a_value_that_is_not_allowed_gives_its_sentence(form: Page) -> None:
    enter(form, "Head ·", "Windows", "2, 5")
    expect(form.get_by_text("each window must be odd", exact=False).first).to_be_visible(timeout=LONG)
    expect(start_button(form)).to_be_disabled()
    enter(form, "Head ·", "Windows", "3, 5")
    expect(start_button(form)).to_be_enabled(timeout=LONG)


def test_the_patches_of_a_network_are_shown_as_they_are_changed(form: Page) -> None:
    choose(form, form, "Recipe", "decoder")
    expect(form.get_by_text("Network", exact=False).first).to_be_visible(timeout=LONG)
    expect(group(form, "What is trained").get_by_text("On a processor a network takes", exact=False)).to_be_visible(
        timeout=LONG
    )
    settle(form)
    form.locator("summary", has_text="Patches as training will see them").click()
    expect(form.get_by_test_id("stExpanderDetails").locator("img")).to_have_count(8, timeout=LONG)
    expect(form.get_by_text("changes: light", exact=False)).to_be_visible()
    choose(form, group(form, "Augmentation"), "Augmentation", "heavy")
    expect(form.get_by_text("changes: heavy", exact=False)).to_be_visible(timeout=LONG)


def test_what_was_entered_survives_a_look_at_another_page(form: Page) -> None:
    enter(form, "Head ·", "L2 penalty", "7.5")
    settings_changed(form, 1)
    form.get_by_test_id("stSidebar").get_by_role("link", name="Browse").click()
    expect(form.get_by_role("heading", name="Browse").first).to_be_visible(timeout=LONG)
    form.get_by_test_id("stSidebar").get_by_role("link", name="Train").click()
    settings_changed(form, 1)
    expect(group(form, "Head ·").get_by_role("spinbutton", name="L2 penalty")).to_have_value("7.5", timeout=LONG)
