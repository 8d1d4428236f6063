"""The paint canvas in a real Chromium: what is shown is what is on disk, whatever it was drawn with."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.painting import (
    AGRICULTURE,
    BARREN,
    FOREST,
    RANGELAND,
    UNLABELLED,
    URBAN,
    WATER,
    Canvas,
)

pytestmark = pytest.mark.browser


# ---- tools ----


def test_what_is_painted_erased_and_undone_is_on_disk_and_comes_back_after_a_reload(canvas: Canvas) -> None:
    canvas.press("2")
    canvas.drag((60, 60), (200, 60))
    canvas.press("r", "5")  # not Streamlit's own R, which would run the page anew
    canvas.drag((100, 100), (150, 160))
    raster = canvas.saved()
    assert (raster[60, 130], raster[130, 120]) == (AGRICULTURE, WATER)
    assert (raster == WATER).sum() == pytest.approx(50 * 60, rel=0.05)
    canvas.press("e")
    canvas.drag((120, 60), (121, 60))
    assert canvas.saved()[60, 120] == UNLABELLED
    canvas.page.reload()
    canvas.page.wait_for_function("window.tilewrightPaint?.state().ready")
    assert canvas.state()["tool"] == "eraser"
    canvas.press("Control+z")
    assert np.array_equal(canvas.saved(), raster)


def test_shift_and_a_click_paint_a_straight_line_from_the_last_stroke(canvas: Canvas) -> None:
    canvas.press("b", "1")
    canvas.click((50, 50))
    with canvas.page.expect_response(re.compile("/strokes$")):
        canvas.page.keyboard.down("Shift")
        canvas.click((200, 150))
        canvas.page.keyboard.up("Shift")
    raster = canvas.saved()
    assert [raster[y, x] for x, y in ((50, 50), (125, 100), (200, 150))] == [URBAN] * 3
    assert raster[50, 150] == UNLABELLED


def test_a_polygon_closed_at_its_first_corner_is_painted(canvas: Canvas) -> None:
    canvas.press("p", "4")
    canvas.click((60, 60), (160, 60), (160, 140), (60, 140), (60, 60))
    raster = canvas.saved()
    assert (raster == FOREST).sum() == pytest.approx(100 * 80, rel=0.04)


@pytest.mark.parametrize("tool", ["p", "l"])
def test_a_shape_kept_open_gets_holes_before_it_is_painted(canvas: Canvas, tool: str) -> None:
    canvas.press(tool, "4")
    outline, hole = [(40, 40), (200, 40), (200, 160), (40, 160)], [(80, 80), (120, 80), (120, 120), (80, 120)]
    hint = canvas.page.get_by_test_id("paint-hint")
    if tool == "p":
        canvas.click(*outline)
        expect(hint).to_contain_text("Shift+Enter cuts holes first")  # how a newcomer finds it
        canvas.press("Shift+Enter")
        canvas.click(*hole)
        canvas.press("Enter")
    else:
        canvas.page.get_by_label("Cut holes").check()
        canvas.drag(*outline, outline[0])
        canvas.drag(*hole, hole[0])
        canvas.page.get_by_test_id("paint-canvas").focus()
    expect(hint).to_contain_text("Enter paints what is left")
    assert canvas.state()["undo"] == 0
    canvas.press("Enter")
    raster = canvas.saved()
    assert (raster[60, 60], raster[100, 100]) == (FOREST, UNLABELLED)
    assert (raster == FOREST).sum() == pytest.approx(160 * 120 - 40 * 40, rel=0.04)


def test_a_hole_beside_its_shape_is_dropped_and_the_shape_stays(canvas: Canvas) -> None:
    canvas.press("p", "4")
    canvas.click((40, 40), (100, 40), (100, 100))
    canvas.press("Shift+Enter")
    canvas.click((200, 150), (250, 150), (250, 190))
    canvas.press("Enter")
    expect(canvas.page.get_by_text("this one was beside it")).to_be_visible()
    canvas.press("Enter")
    raster = canvas.saved()
    assert raster[50, 90] == FOREST
    assert (raster[150:, 200:] == UNLABELLED).all()


def test_backspace_takes_corners_back_and_escape_drops_the_shape(canvas: Canvas) -> None:
    canvas.press("p", "1")
    canvas.click((60, 60), (160, 60), (160, 140), (250, 180))
    canvas.press("Backspace", "Enter")
    assert canvas.saved()[170, 230] == UNLABELLED
    canvas.click((20, 20), (40, 20), (40, 40))
    canvas.press("Escape", "Enter")
    assert canvas.saved()[22, 38] == UNLABELLED
    assert canvas.state()["undo"] == 1


def test_a_lasso_is_painted_when_it_is_let_go(canvas: Canvas) -> None:
    canvas.press("l", "6")
    canvas.drag((100, 40), (180, 100), (100, 160), (20, 100), (100, 40))
    raster = canvas.saved()
    assert (raster == BARREN).sum() == pytest.approx(160 * 120 / 2, rel=0.05)


def test_fill_takes_the_region_under_the_click_and_no_other(canvas: Canvas) -> None:
    canvas.press("r", "1")
    canvas.drag((40, 40), (100, 100))
    canvas.drag((150, 40), (200, 100))
    canvas.press("g", "5")
    canvas.click((60, 60))
    raster = canvas.saved()
    assert (raster[60, 60], raster[60, 180], raster[20, 20]) == (WATER, URBAN, UNLABELLED)
    canvas.press("3")
    canvas.click((20, 20))  # all that is unlabelled
    raster = canvas.saved()
    assert not (raster == UNLABELLED).any()
    assert (raster[60, 60], raster[60, 180], raster[20, 20]) == (WATER, URBAN, RANGELAND)


def test_the_class_under_the_pointer_is_picked_up_and_the_tool_comes_back(canvas: Canvas) -> None:
    canvas.press("r", "5")
    canvas.drag((40, 40), (100, 100))
    canvas.press("1", "i")
    canvas.click((60, 60))
    assert (canvas.state()["classIndex"], canvas.state()["tool"]) == (WATER, "rectangle")
    canvas.press("0")
    canvas.page.keyboard.down("Alt")
    canvas.click((60, 60))
    canvas.page.keyboard.up("Alt")
    assert canvas.state()["classIndex"] == WATER
    canvas.saved()  # the server's answer to the rectangle says what can be undone
    assert canvas.state()["undo"] == 1


# ---- what may be painted over ----


def test_paint_goes_only_where_the_guard_lets_it(canvas: Canvas) -> None:
    canvas.press("r", "1")
    canvas.drag((40, 40), (100, 160))
    canvas.press("5")
    canvas.drag((100, 40), (160, 160))
    canvas.press("Shift+u", "4")  # only what is unlabelled
    canvas.drag((20, 50), (200, 70))
    canvas.page.get_by_label("Paint over").select_option(label="Water only")
    canvas.drag((20, 80), (200, 100))
    canvas.press("Shift+a", "Shift+Digit1")  # anything, but urban is protected
    canvas.drag((20, 110), (200, 130))
    raster = canvas.saved()
    places = [raster[y, x] for y in (60, 90, 120) for x in (30, 70, 130, 180)]
    assert places[:4] == [FOREST, URBAN, WATER, FOREST]
    assert places[4:8] == [UNLABELLED, URBAN, FOREST, UNLABELLED]
    assert places[8:] == [FOREST, URBAN, FOREST, FOREST]
    canvas.press("e", "]", "]", "]")
    canvas.drag((60, 60), (140, 60))
    raster = canvas.saved()
    assert (raster[60, 70], raster[60, 130]) == (URBAN, UNLABELLED)  # the eraser obeys too


def test_a_padlock_protects_its_class(canvas: Canvas) -> None:
    lock = canvas.page.get_by_role("button", name="Protect forest")
    lock.click()
    expect(lock).to_have_attribute("aria-pressed", "true")
    expect(canvas.page.get_by_test_id("paint-hint")).to_contain_text("Forest protected")
    assert canvas.state()["guard"] == {"over": "anything", "protect": [FOREST]}


# ---- looks ----


def test_looks_change_what_is_seen_and_nothing_on_disk(canvas: Canvas) -> None:
    canvas.press("r", "1")
    canvas.drag((40, 40), (100, 160))
    raster = canvas.saved()
    picture = canvas.page.locator("[data-part=picture]")

    def colour() -> list[int]:
        canvas.page.wait_for_timeout(150)  # the picture is drawn in the next frame
        return list(picture.evaluate("(it) => [...it.getContext('2d').getImageData(5, 5, 1, 1).data]"))

    canvas.press("b")
    for _ in range(6):
        canvas.press("+")  # the tile fills the canvas
    before = colour()
    canvas.page.get_by_text("Image and colours").click()
    canvas.page.get_by_label("Brightness").fill("0.4")
    canvas.page.get_by_role("button", name="B", exact=True).click()
    red, green, blue, _ = colour()
    assert red == green == blue > before[2]
    canvas.page.get_by_role("button", name="Safe", exact=True).click()
    swatch = canvas.page.locator("[data-class='0'] i")
    expect(swatch).to_have_css("background-color", "rgb(213, 94, 0)")
    canvas.page.get_by_role("button", name="Image as it is").click()
    assert colour() == before
    canvas.press("o", "1")
    assert np.array_equal(canvas.saved(), raster)


def test_the_overview_map_moves_the_view_can_be_folded_and_covers_nothing_of_a_whole_tile(canvas: Canvas) -> None:
    small = canvas.page.locator(".minimap canvas")
    canvas.press("f")
    expect(small).to_be_hidden()
    for _ in range(4):
        canvas.press("+")
    before = canvas.place(0, 0)
    small.click(position={"x": 8, "y": 8})
    assert canvas.place(0, 0)["x"] > before["x"] + 50
    canvas.press("m")
    expect(small).to_be_hidden()


def test_a_pen_paints_and_two_fingers_move_the_tile(canvas: Canvas) -> None:
    canvas.press("b", "1", "f")
    overlay = canvas.page.get_by_test_id("paint-overlay")
    overlay.evaluate(POINTERS, ["pen", [[canvas.place(60, 60), canvas.place(140, 60)]]])
    assert canvas.saved()[60, 100] == URBAN
    before = canvas.state()["scale"]
    fingers = [[canvas.place(100, 100), canvas.place(60, 100)], [canvas.place(140, 100), canvas.place(220, 100)]]
    overlay.evaluate(POINTERS, ["touch", fingers])
    assert canvas.state()["scale"] > 1.5 * before
    assert canvas.state()["undo"] == 1  # no finger has painted


POINTERS = """(overlay, [pointerType, ways]) => {
  overlay.setPointerCapture = () => {}; // there is no real pointer behind these events
  const send = (type, { x, y }, pointerId) => overlay.dispatchEvent(new PointerEvent(type,
    { pointerType, pointerId, clientX: x, clientY: y, button: type === "pointermove" ? -1 : 0, bubbles: true }));
  ways.forEach(([from], i) => send("pointerdown", from, 10 + i));
  for (let step = 1; step <= 8; step++) {
    ways.forEach(([from, to], i) => send("pointermove",
      { x: from.x + ((to.x - from.x) * step) / 8, y: from.y + ((to.y - from.y) * step) / 8 }, 10 + i));
  }
  ways.forEach(([, to], i) => send("pointerup", to, 10 + i));
}"""


def test_everything_in_the_table_of_keys_is_in_the_help(canvas: Canvas) -> None:
    canvas.press("?")
    table = canvas.page.get_by_role("dialog", name="Keys")
    for label in ("Lasso", "Fill a region", "Paint over unlabelled only", "Protect water", "Overview map", "Outlines"):
        expect(table).to_contain_text(label)
    canvas.press("Escape")
    expect(table).to_be_hidden()
