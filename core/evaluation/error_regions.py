"""Where a prediction takes one class for another: the connected regions of those pixels, and a picture of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.catalog.images import read_mask
from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster
from core.errors import InputError
from core.inference import store
from core.inference.extent import Extent
from core.labels.strokes import Box
from core.tables import Tile
from core.workspace import Workspace

Mask = NDArray[np.bool_]
"""``(height, width)`` bool."""

PREDICTIONS = (*range(CLASS_COUNT), UNLABELLED)
"""What can be predicted, in the order of a confusion matrix's columns."""

LEAST_PIXELS = 64
"""Of a region that is listed: 16 square metres at 0.5 m. Nobody goes to look at less while there is more."""
BORDER = 3
"""Pixels of the tile: still seen where a whole tile is shown at a fifth of its size."""

_KEPT_PAIRS = 8  # of 12 MB each, for a DeepGlobe tile
_READING = Lock()
# Transparent, inside, border, and a dark rim outside, which shows the border on bright ground: red, green, blue, alpha.
_COLOURS = ((0, 0, 0, 0), (255, 45, 149, 55), (255, 45, 149, 255), (20, 0, 12, 190))


@dataclass(frozen=True, slots=True)
class Region:
    """One connected region (corners count): its box in the tile and its number of pixels."""

    box: Box
    pixels: int


@dataclass(frozen=True, slots=True)
class JudgedTile:
    """The truth and the prediction of a tile, (height, width) uint8; the truth is unlabelled where nothing is judged.

    ``version`` is another one whenever either changes.
    """

    truth: ClassRaster
    prediction: ClassRaster
    version: str


def judged_tile(workspace: Workspace, run: str, tile: Tile, prediction: Path) -> JudgedTile:
    """The mask that came with a tile beside a run's kept ``prediction`` of it; kept in memory for the next question.

    Raises ``InputError`` where the tile has no mask, the run says nothing of it, or a file cannot be read.
    """
    covered = store.extent(store.run_folder(workspace, run), tile)
    if tile.mask_path is None or covered is None:
        raise InputError(f"Tile {tile.name} has no mask, or run {run} no prediction of it: there is nothing to judge.")
    version = f"{tile.mask_fingerprint}-{prediction.stat().st_mtime_ns:x}"
    shape = (tile.height, tile.width)
    with _READING:  # a page asks for many crops at once: the first one reads, the others find it
        return _read_pair(Path(tile.mask_path), prediction, shape, covered, version)


def confused(judged: JudgedTile, true_class: int, predicted: int) -> Mask:
    """The pixels of class ``true_class`` (0..5) that are predicted as ``predicted`` (0..5, or 255 for unlabelled)."""
    return np.asarray((judged.truth == true_class) & (judged.prediction == predicted))


def false_alarms(judged: JudgedTile, predicted: int) -> Mask:
    """The labelled pixels that are predicted as class ``predicted`` (0..5) and are another."""
    truth = judged.truth
    return np.asarray((judged.prediction == predicted) & (truth != predicted) & (truth != UNLABELLED))


def regions(mask: Mask, *, at_most: int, at_least: int = 1) -> list[Region]:
    """The largest connected regions of a mask, largest first: those of ``at_least`` so many pixels, and the largest."""
    found = [region for _, region in _components(mask, at_most)[1]]
    return found[:1] + [region for region in found[1:] if region.pixels >= at_least]


def cut_regions(mask: Mask, *, at_most: int) -> Iterator[tuple[Region, Mask]]:
    """As ``regions``, each with its own mask within its box, (box.height, box.width)."""
    labels, found = _components(mask, at_most)
    for number, region in found:
        yield region, labels[region.box.slices] == number


def outlined_png(mask: Mask, *, tinted: bool = True, border: int = BORDER) -> bytes:
    """A mask as a PNG of its size: ``tinted`` inside, with a bright border and a dark rim, transparent elsewhere.

    The ``border`` lies inside, the rim outside; the border is that many pixels wide.
    """
    inside = mask.astype(np.uint8)
    ring = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
    # Beyond the edge of the tile counts as inside: a region that leaves the tile has no border there.
    core = cv2.erode(inside, ring, iterations=border, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    picture = cv2.dilate(inside, ring, iterations=max(2, border // 2)) * 3
    picture[mask] = 2
    picture[core.astype(bool)] = 1 if tinted else 0
    image = Image.fromarray(np.asarray(picture, np.uint8))
    image.putpalette(bytes(value for colour in _COLOURS for value in colour[:3]))
    stream = BytesIO()
    image.save(stream, "PNG", bits=2, compress_level=1, transparency=bytes(colour[3] for colour in _COLOURS))
    return stream.getvalue()


def class_word(index: int) -> str:
    """The name of a class, or 'unlabelled' for 255."""
    return "unlabelled" if index == UNLABELLED else CLASS_NAMES[index]


def area_words(pixels: int, tile: Tile) -> str:
    """An area on the ground as a person reads it, from pixels of the tile: square metres below one hectare."""
    metres = pixels * tile.metres_per_pixel_x * tile.metres_per_pixel_y
    return f"{metres / 10_000:,.2f} ha" if metres >= 10_000 else f"{metres:,.0f} m²"


def _components(mask: Mask, at_most: int) -> tuple[NDArray[np.int32], list[tuple[int, Region]]]:
    """The number of each pixel's region, 0 for none, and the largest regions with their numbers."""
    _, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    order = np.argsort(-facts[1:, cv2.CC_STAT_AREA], kind="stable")[:at_most] + 1
    found = []
    for number in order:
        left, top, width, height, pixels = map(int, facts[number])
        found.append((int(number), Region(Box(top=top, left=left, height=height, width=width), pixels)))
    return np.asarray(labels, np.int32), found


@lru_cache(maxsize=_KEPT_PAIRS)
def _read_pair(truth: Path, prediction: Path, shape: tuple[int, int], judged: Extent, version: str) -> JudgedTile:
    with ThreadPoolExecutor(2) as pool:  # decoding takes most of the time from a click to its pixels
        true, predicted = pool.map(lambda path: read_mask(path, shape).raster, (truth, prediction))
    outside = np.full_like(true, UNLABELLED)
    judged.crop(outside)[:] = judged.crop(true)
    return JudgedTile(outside, predicted, version)
