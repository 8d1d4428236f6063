"""From one tile to its class raster, with one run or the mean of several.

This is the one way from a tile to a written prediction: the command line, the jobs, the pages and what is kept in a
workspace all come through ``look`` and ``finish``, so a figure never depends on who asked for it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.catalog.images import fingerprint, read_image, read_info, read_valid
from core.classes import UNLABELLED, ClassRaster
from core.inference.compact import CompactProbabilities
from core.inference.enlarging import most_probable
from core.inference.ensembles import EnsembleSegmenter
from core.inference.measured_costs import DECIDING, REFINING, Stopwatch
from core.inference.network import NetworkSegmenter
from core.inference.predict import AnySegmenter, Probabilities, Segmenter
from core.inference.presence import Presence, gate_absent, head_presence, mean_presence
from core.inference.refine import refine
from core.inference.regions import WHOLE, Sides, remove_small_regions, smallest_in_pixels
from core.inference.switches import Switches
from core.inference.thresholds import abstain_below, apply_offsets
from core.progress import Progress


@dataclass(frozen=True, slots=True)
class TileImage:
    """A decoded tile: ``pixels`` (height, width, 3) uint8 RGB, metres a pixel as (y, x), its file's fingerprint.

    ``valid`` (height, width) tells where it shows something, None for everywhere; elsewhere it has no class.
    """

    pixels: NDArray[np.uint8]
    metres_per_pixel: tuple[float, float]
    fingerprint: str
    valid: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class TilePrediction:
    """A predicted tile.

    ``raster`` is (height, width) uint8, ``probabilities`` (6, height, width) float32, ``looks`` what each run said,
    ``seconds`` the time from the decoded image to the class raster.
    """

    raster: ClassRaster
    probabilities: Probabilities
    looks: tuple[CompactProbabilities, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """What one run said of a tile: all of it, and in the form in which it is kept."""

    probabilities: Probabilities
    compact: CompactProbabilities


@dataclass(frozen=True, slots=True)
class MeanLook:
    """What all runs say of a tile together: ``probabilities`` (6, height, width) float32, ``presence`` (6,) float32."""

    probabilities: Probabilities
    presence: Presence


def open_tile(path: Path) -> TileImage:
    """Decode a tile. Raises ``InputError`` when the image cannot be read."""
    info = read_info(path)
    metres = (info.metres_per_pixel_y, info.metres_per_pixel_x)
    return TileImage(read_image(path), metres, fingerprint(path), read_valid(path))


def voices(segmenters: Sequence[AnySegmenter]) -> list[tuple[Segmenter | NetworkSegmenter, float]]:
    """The runs that speak in a prediction, with their shares, which sum to 1; ensembles are taken apart."""
    found: list[tuple[Segmenter | NetworkSegmenter, float]] = []
    for segmenter in segmenters:
        if isinstance(segmenter, EnsembleSegmenter):
            shared = zip(segmenter.members, segmenter.shares, strict=True)
            found += [(one, part * share) for member, share in shared for one, part in voices([member])]
        else:
            found.append((segmenter, 1.0))
    return [(one, share / len(segmenters)) for one, share in found]


def look(segmenter: Segmenter | NetworkSegmenter, tile: TileImage, *, tta: str, progress: Progress) -> Look:
    """What a run says of a tile, averaged over the views of ``tta``."""
    metres = tile.metres_per_pixel
    if isinstance(segmenter, Segmenter):
        height, width = tile.pixels.shape[:2]
        cells = segmenter.cell_probabilities(
            tile.pixels, metres_per_pixel=metres, tta=tta, fingerprint=tile.fingerprint, progress=progress
        )
        compact = CompactProbabilities.by_cell(cells, segmenter.extractor.grid((height, width), metres))
        return Look(compact.expand(), compact)
    probabilities = segmenter.probabilities(tile.pixels, metres_per_pixel=metres, tta=tta, progress=progress)
    presence = head_presence(segmenter, tile.pixels, metres_per_pixel=metres)
    return Look(probabilities, CompactProbabilities.by_pixel(probabilities, presence))


def mean_look(looks: Sequence[Look], shares: Sequence[float], switches: Switches) -> MeanLook:
    """The mean of what the runs say, one share a run, and which classes they say are present.

    Where anything follows, it is the mean of what is kept: a switch that is tried later, without the networks, then
    gives the same as one that was on from the start. The presence is that of the runs with a presence head, else the
    mean probability.
    """
    if len(looks) == 1 and not switches.any_after_network:
        mean = looks[0].probabilities
    else:
        mean = np.zeros(looks[0].probabilities.shape, np.float32)
        for one, share in zip(looks, shares, strict=True):
            mean += np.float32(share) * one.compact.expand()
    told = [(one.compact.presence, share) for one, share in zip(looks, shares, strict=True)]
    heads = [(presence, share) for presence, share in told if presence is not None]
    if not heads:
        return MeanLook(mean, mean_presence(mean))
    presence = np.average([presence for presence, _ in heads], axis=0, weights=[share for _, share in heads])
    return MeanLook(mean, np.asarray(presence, np.float32))


def finish(
    said: MeanLook, tile: TileImage, switches: Switches, watch: Stopwatch | None = None
) -> tuple[ClassRaster, Probabilities]:
    """What comes after the networks, in the order of ``Switches``; a ``watch`` takes the time of its two stages.

    Returns the class raster and the probabilities (6, height, width) that it was taken from.
    """
    watch = watch or Stopwatch()
    probabilities = said.probabilities
    if switches.gate:
        probabilities = gate_absent(probabilities, said.presence, switches.gate)
    probabilities = refined(probabilities, tile.pixels, switches, metres_per_pixel=tile.metres_per_pixel)
    watch.lap(REFINING)
    raster = decided(probabilities, switches, metres_per_pixel=tile.metres_per_pixel, valid=tile.valid)
    watch.lap(DECIDING)
    return raster, probabilities


def refined(
    probabilities: Probabilities,
    pixels: NDArray[np.uint8],
    switches: Switches,
    *,
    metres_per_pixel: tuple[float, float],
) -> Probabilities:
    """Probabilities (6, height, width) float32 after the refinement with the image (height, width, 3), and offsets."""
    probabilities = refine(
        switches.refinement,
        probabilities,
        pixels,
        metres_per_pixel=metres_per_pixel,
        crf=switches.crf,
        guided=switches.guided,
    )
    return apply_offsets(probabilities, switches.offsets) if switches.offsets else probabilities


def decided(
    probabilities: Probabilities,
    switches: Switches,
    *,
    metres_per_pixel: tuple[float, float],
    valid: NDArray[np.bool_] | None = None,
    open_sides: Sides = WHOLE,
) -> ClassRaster:
    """The classes (height, width) uint8 of (6, height, width) probabilities: small regions filled, then abstained.

    Pixels that are not ``valid`` (height, width) are unlabelled from the start; ``open_sides`` as for
    ``remove_small_regions``.
    """
    raster: ClassRaster = most_probable(probabilities)
    if valid is not None:
        raster[~valid] = UNLABELLED
    smallest: int | tuple[int, ...] = switches.min_region
    if switches.class_regions:
        smallest = smallest_in_pixels(switches.class_regions, metres_per_pixel)
    if smallest:
        raster = remove_small_regions(raster, probabilities, min_pixels=smallest, open_sides=open_sides)
    return abstain_below(raster, probabilities, switches.abstain) if switches.abstain else raster


def predict_tile(
    segmenters: Sequence[AnySegmenter], image_path: Path, *, switches: Switches, progress: Progress
) -> TilePrediction:
    """Predict one tile: mean probabilities of all runs and views, then refinement and what follows it.

    Raises ``InputError`` when the image cannot be read, and ``ValueError`` without a run.
    """
    if not segmenters:
        raise ValueError("at least one run is needed")
    tile = open_tile(image_path)
    start = time.perf_counter()
    speaking = voices(segmenters)
    looks = [look(one, tile, tta=switches.tta, progress=progress) for one, _ in speaking]
    said = mean_look(looks, [share for _, share in speaking], switches)
    raster, probabilities = finish(said, tile, switches)
    kept = tuple(one.compact for one in looks)
    return TilePrediction(raster, probabilities, kept, time.perf_counter() - start)
