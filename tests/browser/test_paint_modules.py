"""Modules of the paint canvas by themselves, in a real Chromium."""

import json
import uuid
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page
from scipy.ndimage import label

from core.classes import CLASSES
from core.errors import InputError
from core.labels.rasterising import rasterise
from core.labels.strokes import parse_stroke
from core.screen_colours import SAFE

pytestmark = pytest.mark.browser

ASSETS = Path(__file__).parents[2] / "assets"
Load = Callable[[str], Page]


@pytest.fixture
def module(page: Page) -> Load:
    """Import one of the canvas's modules, and what it imports, into an empty page, as ``window.module``."""
    page.route(
        "http://localhost/**",
        lambda route: (
            route.fulfill(body="<!doctype html>", content_type="text/html")
            if route.request.url.endswith("/")
            else route.fulfill(path=ASSETS / route.request.url.removeprefix("http://localhost/assets/"))
        ),
    )

    def load(name: str) -> Page:
        page.goto("http://localhost/")
        page.evaluate(
            "async (name) => { window.module = await import(`/assets/components/paint/${name}`); }",
            name,
        )
        return page

    return load


PIXELS = """([body, width, height]) => {
  const pixels = new Set();
  for (const { spans } of window.module.paintOf(body, { width, height }))
    for (let i = 0; i < spans.length; i += 3)
      for (let x = spans[i + 1]; x < spans[i + 2]; x++) pixels.add(spans[i] * width + x);
  return [...pixels];
}"""


@pytest.mark.parametrize(("tool", "corners"), [("brush", 5), ("polygon", 7), ("lasso", 9), ("rectangle", 2)])
def test_the_browser_paints_the_very_pixels_that_the_server_writes(module: Load, tool: str, corners: int) -> None:
    page = module("shapes.js")
    generator = np.random.default_rng(0)
    compared = 0
    for _ in range(60):
        body: dict[str, Any] = {"client_key": str(uuid.uuid4()), "tool": tool, "class_index": 0}
        body["points"] = generator.uniform(-10, (70, 50), (corners, 2)).round(2).tolist()
        if tool == "brush":
            body["radius"] = round(float(generator.uniform(0.5, 12)), 2)
        if tool in {"polygon", "lasso"}:
            body["holes"] = generator.uniform(5, (55, 35), (2, 4, 2)).round(2).tolist()
        shown = np.zeros((40, 60), bool)
        shown.ravel()[page.evaluate(PIXELS, [body, 60, 40])] = True
        try:
            box, mask = rasterise(_drawn(body), (40, 60))
        except InputError:
            continue  # beside the tile, or with a hole beside the shape
        written = np.zeros((40, 60), bool)
        written[box.slices] = mask
        assert np.array_equal(shown, written), body
        compared += 1
    assert compared > 30


def _drawn(body: dict[str, Any]) -> Any:
    return parse_stroke(json.dumps(body).encode())


def test_a_filled_region_is_what_touches_the_seed_by_its_sides(module: Load) -> None:
    page = module("shapes.js")
    generator = np.random.default_rng(1)
    for _ in range(20):
        raster = generator.integers(0, 2, (23, 31), np.uint8)
        x, y = int(generator.integers(31)), int(generator.integers(23))
        found = page.evaluate(
            """([classes, width, height, point]) =>
              window.module.regionSpans({ classes: Uint8Array.from(classes), width, height }, point, 10000)""",
            [raster.ravel().tolist(), 31, 23, [x + 0.5, y + 0.5]],
        )
        shown = np.zeros((23, 31), np.int64)
        for row, start, end in np.reshape(found, (-1, 3)):
            shown[row, start:end] += 1
        regions, _ = label(raster == raster[y, x])
        assert np.array_equal(shown, regions == regions[y, x])


def test_a_region_too_large_to_find_quickly_is_left_to_the_server(module: Load) -> None:
    found = module("shapes.js").evaluate(
        "window.module.regionSpans({ classes: new Uint8Array(10000), width: 100, height: 100 }, [5, 5], 9000)"
    )
    assert found is None


def test_zooming_keeps_the_point_under_the_pointer(module: Load) -> None:
    moved = module("view.js").evaluate("""() => {
      const view = new window.module.View(2448, 2448);
      view.resize(900, 700);
      const [x, y] = view.toTile(333, 222);
      for (const factor of [1.7, 3, 0.4, 2.2]) view.zoomAt(factor, 333, 222);
      const [screenX, screenY] = view.toScreen(x, y);
      return Math.hypot(screenX - 333, screenY - 222);
    }""")
    assert moved < 1e-6


@pytest.mark.parametrize(("metres", "text"), [(0.5, "50 m"), (0.07, "5 m"), (12.0, "1 km"), (0.004, "50 cm")])
def test_the_scale_bar_is_a_round_length_that_fits(module: Load, metres: float, text: str) -> None:
    bar = module("view.js").evaluate("(metres) => window.module.scaleBar(metres, 140)", metres)
    assert bar["label"] == text
    assert bar["pixels"] <= 140


@pytest.mark.parametrize(
    ("event", "key"),
    [
        ({"key": "b", "code": "KeyB"}, "B"),
        ({"key": "F", "code": "KeyF", "shiftKey": True}, "Shift+F"),
        ({"key": "z", "code": "KeyZ", "ctrlKey": True}, "Ctrl+Z"),
        ({"key": "Z", "code": "KeyZ", "ctrlKey": True, "shiftKey": True}, "Ctrl+Shift+Z"),
        ({"key": "?", "code": "Slash", "shiftKey": True}, "?"),
        ({"key": "!", "code": "Digit1", "shiftKey": True}, "Shift+1"),
        ({"key": "1", "code": "Digit1", "shiftKey": True}, "1"),  # a French keyboard
        ({"key": "{", "code": "BracketLeft", "shiftKey": True}, "Shift+["),
        ({"key": "Enter", "code": "Enter", "shiftKey": True}, "Shift+Enter"),
    ],
)
def test_a_key_is_read_as_it_is_written_in_the_table(module: Load, event: dict[str, Any], key: str) -> None:
    page = module("commands.js")
    assert page.evaluate("(event) => window.module.keyOf(new KeyboardEvent('keydown', event))", event) == key


def test_no_two_commands_share_a_key(module: Load) -> None:
    keys = module("commands.js").evaluate("""() => {
      const ids = ["brush", "eraser", "polygon", "lasso", "rectangle", "fill", "superpixel", "click", "suggestion",
        "picker", "hand"];
      const classes = ["a", "b", "c", "d", "e", "f"].map((name, index) => ({ name, index }));
      const tools = Object.fromEntries(ids.map((id) => [id, {}]));
      return window.module.commandsFor(classes, tools).flatMap(({ keys }) => keys);
    }""")
    assert len(keys) > 45
    assert sorted(keys) == sorted(set(keys))


# ---- colours that every eye can tell apart ----

# Machado, Oliveira and Fernandes, 'A physiologically-based model for simulation of color vision deficiency', IEEE TVCG
# 15 (2009), severity 1.0, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ_OF_RGB = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
WHITE = [0.95047, 1.0, 1.08883]  # D65


def _lab(colours: NDArray[np.float64], sight: str) -> NDArray[np.float64]:
    """CIELAB (CIE 15) of sRGB colours 0..255, (n, 3), as an eye with that sight has them."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SIGHT[sight]), 0, 1)
    xyz = seen @ np.transpose(XYZ_OF_RGB) / WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _nearest(colours: list[list[int]], sight: str) -> float:
    lab = _lab(np.array(colours, np.float64), sight)
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(lab, 2))


@pytest.mark.parametrize("sight", SIGHT)
def test_the_safe_palette_keeps_all_classes_apart_for_every_sight(module: Load, sight: str) -> None:
    classes = [{"index": c.index, "colour": list(c.colour), "safe": list(SAFE[c.index])} for c in CLASSES]
    page = module("palettes.js")
    safe, own = (
        page.evaluate("([name, classes]) => window.module.paletteColours(name, classes)", [name, classes])
        for name in ("safe", "deepglobe")
    )
    assert _nearest(safe, sight) > 20
    if sight == "protanopia":
        assert _nearest(own, sight) < 10  # which is why there is another


def test_an_outline_that_was_shifted_and_mended_is_as_one_drawn_anew(module: Load) -> None:
    same = module("outline.js").evaluate("""() => {
      const { Outline } = window.module;
      const random = (() => { let seed = 7; return () => (seed = (seed * 16807) % 2147483647) / 2147483647; })();
      const size = 120, classes = new Uint8Array(size * size).fill(255);
      const inks = new Uint32Array(256);
      for (let i = 0; i < 6; i++) inks[i] = 0xff000000 + 40 * (i + 1);
      const labels = { width: size, height: size, classes, inks, changes: 0 };
      const view = { width: 90, height: 70, scale: 1.5, left: -20, top: -10 };
      const newCanvas = () => Object.assign(document.createElement("canvas"), { width: 90, height: 70 });
      const kept = newCanvas(), fresh = newCanvas();
      const outline = new Outline(labels), whole = [0, 0, 90, 70];
      const read = (canvas) => canvas.getContext("2d").getImageData(0, 0, 90, 70).data;
      for (let step = 0; step < 60; step++) {
        let clip = whole;
        if (step % 2) {
          const [x, y, k] = [Math.floor(random() * 100), Math.floor(random() * 100), Math.floor(random() * 6)];
          for (let row = y; row < y + 15; row++) classes.fill(k, row * size + x, row * size + x + 15);
          labels.changes++;
          const edge = (value, most) => Math.min(most, Math.max(0, value));
          const [left, top] = [x * 1.5 + view.left, y * 1.5 + view.top];
          clip = [edge(Math.floor(left) - 2, 90), edge(Math.floor(top) - 2, 70),
            edge(Math.ceil(left + 22.5) + 2, 90), edge(Math.ceil(top + 22.5) + 2, 70)];
        } else {
          view.left += Math.round(random() * 30 - 15);
          view.top += Math.round(random() * 30 - 15);
        }
        if (clip[2] <= clip[0] || clip[3] <= clip[1]) clip = whole; // the panel draws nothing then
        const pen = kept.getContext("2d");
        pen.clearRect(clip[0], clip[1], clip[2] - clip[0], clip[3] - clip[1]);
        outline.draw(pen, view, clip);
        fresh.getContext("2d").clearRect(0, 0, 90, 70);
        new Outline(labels).draw(fresh.getContext("2d"), view, whole);
        const [a, b] = [read(kept), read(fresh)];
        for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return `step ${step}, pixel ${i >> 2}`;
      }
      return "same";
    }""")
    assert same == "same"
