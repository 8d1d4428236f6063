"""Outlines and regions that the canvas finds by itself, against what NumPy and SciPy find."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import label

from tests.browser.test_paint_modules import Load, module

pytestmark = pytest.mark.browser
__all__ = ["module"]  # a fixture, found by its name

NOTHING = 255


def spans_of(mask: NDArray[np.bool_]) -> list[int]:
    """Row, first column, column behind the last, of every run."""
    spans: list[int] = []
    for row, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        for start, end in edges.reshape(-1, 2).tolist():
            spans += [row, start, end]
    return spans


def inside(loop: list[int], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How often each pixel's centre is surrounded by a loop of corners, clockwise counted positive."""
    corners = np.array(loop).reshape(-1, 2)
    winding = np.zeros(shape, np.int64)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ax == bx:
            winding[min(ay, by) : max(ay, by), :ax] += 1 if by > ay else -1
    return winding


def test_outlines_surround_exactly_the_pixels_of_a_set_and_its_holes(module: Load) -> None:
    page = module("contours.js")
    generator = np.random.default_rng(0)
    for density in np.linspace(0.05, 0.95, 30):
        mask = generator.random((9, 12)) < density
        loops = page.evaluate("(spans) => window.module.contours(spans)", spans_of(mask))
        winding = sum((inside(loop, mask.shape) for loop in loops), np.zeros(mask.shape, np.int64))
        assert np.array_equal(winding, mask.astype(np.int64))


REGIONS = """([classes, confidence, rows, columns, width, height, least]) => {
  const { suggestedRegions, SuggestedRegions } = window.module;
  const sure = { values: Uint8Array.from(confidence), columns, rows };
  const arrays = suggestedRegions(Uint8Array.from(classes), sure, width, height, least);
  const regions = new SuggestedRegions(arrays, { width, height });
  const middle = (i) => [(i % width) + 0.5, Math.floor(i / width) + 0.5];
  const at = Array.from({ length: width * height }, (_, i) => regions.at(middle(i)) ?? -1);
  const spans = Array.from(arrays.classOf, (_, region) => regions.spans(region));
  return { at, spans, classOf: [...arrays.classOf], mean: [...arrays.mean] };
}"""


def test_regions_are_connected_alike_and_sure_enough(module: Load) -> None:
    page = module("suggested_regions.js")
    generator = np.random.default_rng(1)
    height, width, rows, columns, least = 23, 31, 6, 8, 100
    for _ in range(20):
        classes = generator.choice(np.array([1, 3, NOTHING], np.uint8), (height, width))
        confidence = generator.integers(60, 256, (rows, columns), np.uint8)
        stretched = confidence[np.arange(height) * rows // height][:, np.arange(width) * columns // width]
        arguments = [classes.ravel().tolist(), confidence.ravel().tolist(), rows, columns, width, height, least]
        found = page.evaluate(REGIONS, arguments)
        at = np.array(found["at"]).reshape(height, width)
        assert np.array_equal(at >= 0, (classes != NOTHING) & (stretched >= least))
        for region, class_index in enumerate(found["classOf"]):
            mask = at == region
            parts, _ = label((classes == class_index) & (at >= 0))
            assert np.array_equal(mask, parts == parts[mask][0])
            assert found["spans"][region] == spans_of(mask)
            assert found["mean"][region] == pytest.approx(stretched[mask].mean())
