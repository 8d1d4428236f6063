"""The history panel in a real Chromium: versions, where labels come from, second opinions."""

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from core.labels import journal, versions
from tests.browser.painting import UNLABELLED, URBAN, WATER, Canvas, Studio
from tests.core.labels.painting import brush

pytestmark = pytest.mark.browser


def paint(canvas: Canvas, key: str, y: int) -> None:
    canvas.press("b", key)
    canvas.drag((60, y), (200, y))
    canvas.saved()


def keep(canvas: Canvas, name: str) -> Locator:
    """Keep a version; its row in the list."""
    canvas.page.get_by_label("Name of the version").fill(name)
    canvas.page.get_by_role("button", name="Keep", exact=True).click()
    return canvas.page.locator(".versions .version", has_text=name)


def test_a_kept_version_shows_what_changed_since_and_is_gone_back_to_and_undone(canvas: Canvas) -> None:
    paint(canvas, "1", 60)
    then = canvas.saved()
    row = keep(canvas, "before the river")
    expect(row).to_be_visible()
    paint(canvas, "5", 120)
    now = canvas.saved()
    row.click()
    expect(canvas.page.locator("[data-part=shown-picture]")).to_contain_text("Changes since 'before the river'")
    labels_since = canvas.page.locator(".versions .shares li", has_text="Labelled since").locator("b")
    expect(labels_since).not_to_have_text("0 %")
    canvas.page.get_by_role("button", name="Go back to it").click()
    expect(labels_since).to_have_text("0 %")
    assert np.array_equal(canvas.saved(), then)
    canvas.page.get_by_role("button", name="Undo").click()
    assert np.array_equal(canvas.saved(), now)


def test_one_class_of_a_version_is_copied_where_the_guard_allows(canvas: Canvas) -> None:
    paint(canvas, "1", 60)
    paint(canvas, "5", 120)
    then = canvas.saved()
    keep(canvas, "both").click()
    canvas.page.get_by_role("button", name="Clear the labels").click()
    canvas.saved()
    canvas.page.get_by_role("button", name="Copy water").click()
    assert np.array_equal(canvas.saved(), np.where(then == WATER, WATER, UNLABELLED))


def test_a_name_that_is_taken_is_refused_with_a_sentence(canvas: Canvas) -> None:
    paint(canvas, "1", 60)
    expect(keep(canvas, "first")).to_be_visible()
    paint(canvas, "1", 90)
    keep(canvas, "first")
    expect(canvas.page.locator("[data-part=history] [role=alert]")).to_contain_text("choose another name")
    assert len(versions.listed(canvas.studio.workspace, canvas.tile.id)) == 1


def test_a_name_is_typed_without_its_letters_being_taken_for_commands(canvas: Canvas) -> None:
    canvas.press("b", "1")
    canvas.page.get_by_label("Name of the version").press_sequentially("pure river 5")
    state = canvas.state()
    assert (state["tool"], state["classIndex"]) == ("brush", URBAN)


def test_the_map_of_origins_names_tools_and_the_person_behind_a_pixel(canvas: Canvas) -> None:
    paint(canvas, "1", 60)
    canvas.press("r", "5")
    canvas.drag((60, 100), (200, 140))
    canvas.saved()
    button = canvas.page.get_by_role("button", name="Where labels come from")
    button.click()
    rows = canvas.page.locator("[data-part=history] .shares:visible li")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="Outline")).to_contain_text("%")
    canvas.page.mouse.move(**canvas.place(100, 120))
    expect(canvas.page.locator("[data-part=history] .pixel")).to_contain_text("100, 120: rectangle, by local")
    button.click()
    expect(canvas.page.locator("[data-part=shown-picture]")).to_be_hidden()


def test_a_picture_that_is_taken_away_on_the_canvas_is_off_in_the_panel_too(canvas: Canvas) -> None:
    button = canvas.page.get_by_role("button", name="Where labels come from")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    canvas.page.get_by_role("button", name="Take the picture away").click()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_second_opinion_is_compared_with_the_labels(canvas: Canvas, studio: Studio) -> None:
    expect(canvas.page.get_by_label("Whose second opinion")).to_be_hidden()
    paint(canvas, "1", 60)
    opinion = brush([(60, 60), (200, 60)], class_index=URBAN, radius=8)
    journal.apply(studio.workspace, canvas.tile.id, opinion, opinion="Ada", annotator="Ada")
    canvas.open()
    canvas.page.locator("[data-part=history]").get_by_role("button", name="Compare").click()
    expect(canvas.page.locator("[data-part=history] .kappa")).to_contain_text("100.0 %")
