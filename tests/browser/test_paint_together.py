"""Two people, two tabs, a server that is away: no stroke is lost, and each is told how things stand."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from core.labels import journal
from tests.browser.painting import UNLABELLED, URBAN, WATER, Canvas
from tests.core.labels.painting import brush

pytestmark = pytest.mark.browser


@pytest.fixture
def anna(chromium: Browser, canvas: Canvas) -> Iterator[Canvas]:
    """Another person in another browser, on the tile that ``canvas`` has open."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    context.add_init_script("localStorage.setItem('tilewright.annotator', 'Anna')")
    yield Canvas(context.new_page(), canvas.studio, canvas.tile)
    context.close()


def stroke(canvas: Canvas, y: int = 100) -> None:
    canvas.press("b", "1")
    canvas.drag((60, y), (200, y))


def name(canvas: Canvas, text: str) -> None:
    canvas.page.get_by_role("button", name="Your name").click()
    canvas.page.get_by_label("Your name").fill(text)
    canvas.press("Enter")


def test_a_tile_that_somebody_labels_is_shown_as_theirs_until_it_is_taken_over(canvas: Canvas, anna: Canvas) -> None:
    name(canvas, "Ben")
    stroke(canvas, 60)
    canvas.saved()
    anna.open()
    expect(anna.page.get_by_text(re.compile("Ben is labelling this tile, until .* unless renewed"))).to_be_visible()
    stroke(anna, 140)
    assert anna.state()["unsaved"] == 0
    assert anna.saved()[140, 100] == UNLABELLED
    anna.page.get_by_role("button", name="Take over").click()
    anna.page.wait_for_function("window.tilewrightPaint.state().lock.mine")
    stroke(anna, 140)
    assert anna.saved()[140, 100] == URBAN


def test_a_stroke_on_a_tile_taken_over_meanwhile_waits_and_can_be_saved_or_dropped(
    canvas: Canvas, anna: Canvas
) -> None:
    anna.open()
    anna.page.get_by_role("button", name="Work here instead").or_(
        anna.page.get_by_role("button", name="Take over")
    ).click()
    anna.page.wait_for_function("window.tilewrightPaint.state().lock.mine")
    stroke(canvas, 60)  # before its next renewal tells it
    expect(canvas.page.get_by_text("One stroke of yours is not saved")).to_be_visible()
    expect(canvas.page.get_by_text("Anna is labelling this tile")).to_be_visible()
    assert canvas.state()["held"] is not None
    canvas.page.get_by_role("button", name="Take over and save").click()
    canvas.page.wait_for_function("window.tilewrightPaint.state().held === null")
    assert canvas.saved()[60, 100] == URBAN
    stroke(anna, 140)
    anna.page.get_by_role("button", name="Drop the stroke").click()
    anna.page.wait_for_function("window.tilewrightPaint.state().unsaved === 0")
    anna.page.wait_for_function("window.tilewrightPaint.classAt(100, 60) === 0")
    assert np.array_equal(anna.shown(), anna.on_disk())


def test_a_second_tab_of_ones_own_says_so_and_can_take_the_work_over(canvas: Canvas) -> None:
    name(canvas, "Ben")
    second = Canvas(canvas.page.context.new_page(), canvas.studio, canvas.tile)
    second.open()
    expect(second.page.get_by_text("This tile is open in another of your tabs.")).to_be_visible()
    second.page.get_by_role("button", name="Work here instead").click()
    second.page.wait_for_function("window.tilewrightPaint.state().lock.mine")
    stroke(second)
    assert second.saved()[100, 100] == URBAN


def test_a_second_opinion_leaves_the_tiles_labels_alone(canvas: Canvas, anna: Canvas) -> None:
    name(canvas, "Ben")
    stroke(canvas, 60)
    before = canvas.saved()
    anna.open()
    anna.page.get_by_role("button", name="Give a second opinion").click()
    expect(anna.page.get_by_text("Your second opinion")).to_be_visible()
    anna.page.wait_for_function("window.tilewrightPaint.state().ready && window.tilewrightPaint.state().opinion")
    assert (anna.shown() == UNLABELLED).all()
    stroke(anna, 140)
    anna.page.evaluate("window.tilewrightPaint.saved()")
    assert anna.shown()[140, 100] == URBAN
    assert np.array_equal(anna.on_disk(), before)
    anna.page.get_by_role("button", name="Back to the tile's labels").click()
    anna.page.wait_for_function("window.tilewrightPaint.state().ready && !window.tilewrightPaint.state().opinion")
    assert np.array_equal(anna.shown(), before)


def test_strokes_from_elsewhere_appear_by_themselves(canvas: Canvas) -> None:
    other = brush([(60, 100), (200, 100)], class_index=WATER)
    journal.apply(canvas.studio.workspace, canvas.tile.id, other, annotator="Anna")
    canvas.page.wait_for_function(f"window.tilewrightPaint.classAt(100, 100) === {WATER}", timeout=20_000)
    assert np.array_equal(canvas.shown(), canvas.on_disk())


def test_strokes_drawn_while_the_server_is_away_are_saved_when_it_is_back(canvas: Canvas) -> None:
    canvas.press("1")
    canvas.page.context.set_offline(True)
    canvas.drag((60, 60), (200, 60))
    canvas.drag((60, 140), (200, 140))
    canvas.page.wait_for_function("window.tilewrightPaint.state().trouble !== null")
    status = canvas.page.get_by_test_id("paint-status")
    expect(status).to_have_text("Not saved: server unreachable, retrying; kept in this browser")
    canvas.page.context.set_offline(False)
    raster = canvas.saved()
    assert (raster[60, 130], raster[140, 130]) == (URBAN, URBAN)
    expect(status).to_have_text(re.compile(r"^Saved \d+ s ago$"))


def test_strokes_that_were_not_saved_survive_a_reload_of_the_page(canvas: Canvas) -> None:
    canvas.page.route("**/strokes", lambda route: route.abort())
    canvas.press("r", "1")
    canvas.drag((60, 60), (200, 90))
    canvas.press("Shift+Digit1", "5")  # the guard of the moment goes with the stroke
    canvas.drag((100, 40), (140, 120))
    canvas.page.wait_for_function("window.tilewrightPaint.state().trouble !== null")
    drawn = canvas.shown()
    canvas.press("Shift+Digit1")
    canvas.page.reload()
    canvas.page.wait_for_function("window.tilewrightPaint?.state().ready")
    expect(canvas.page.get_by_text("2 strokes not saved at the last visit are saved now")).to_be_visible()
    assert np.array_equal(canvas.shown(), drawn)
    canvas.page.unroute("**/strokes")
    assert np.array_equal(canvas.saved(), drawn)
    assert canvas.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('unsaved'))") == []


def test_a_stroke_that_the_server_refuses_is_taken_off_the_picture_and_said(canvas: Canvas) -> None:
    answer = '{"error": "This stroke cannot be kept; draw another."}'
    canvas.page.route("**/strokes", lambda route: route.fulfill(status=422, body=answer))
    stroke(canvas)
    expect(canvas.page.get_by_text("This stroke cannot be kept; draw another.")).to_be_visible()
    assert (canvas.shown() == UNLABELLED).all()
    assert canvas.state()["unsaved"] == 0
