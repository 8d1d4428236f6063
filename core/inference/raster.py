"""Predict a raster of any size, from one file to another, in memory that does not grow with its height.

There are three ways, by what a run needs to see: a head on one encoder goes block by block with its cells' rows held
across them (``raster_cells``), a network in overlapping windows at the resolution it was trained at, and whatever looks
at a tile as a whole (surroundings, several encoders, ensembles) in overlapping windows of the raster, each of them a
tile of its own.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from core.errors import InputError
from core.inference.enlarging import RowEnlarger, taps
from core.inference.network import WINDOW, NetworkSegmenter
from core.inference.predict import AnySegmenter, Segmenter
from core.inference.raster_cells import BLOCK, predict_cells
from core.inference.raster_finish import BlockFinisher, Finisher, RowFinisher
from core.inference.raster_progress import TogetherProgress
from core.inference.raster_reach import find_reach
from core.inference.raster_source import GDAL_CACHE_BYTES, Pixels, RasterSource, Strip
from core.inference.raster_target import RasterTarget
from core.inference.switches import Switches
from core.inference.tta import View, views
from core.inference.windows import (
    BatchSize,
    Corner,
    Infer,
    Scores,
    TooLargeError,
    WindowPlan,
    blend,
    most_at_once,
    plan_windows,
)
from core.progress import Progress, SilentProgress
from core.training.context_crops import make_tile_context
from core.training.features import FeatureExtractor

PLAIN = Switches()
PREDICTION_SUFFIXES = (".tif", ".tiff")

TILE = 1536
"""The longest side, in the raster's pixels, of a window that is predicted as a tile of its own."""

_LEAST = 1e-7  # keeps the logarithm of an averaged probability finite
_LEAST_BLOCK = 256
_MESSAGE = "Predicting the raster"

_Size = tuple[int, int]
EmitPixels = Callable[[int, NDArray[np.float32]], None]


def predict_raster(
    segmenter: AnySegmenter,
    path: Path,
    out: Path,
    *,
    progress: Progress,
    switches: Switches = PLAIN,
    probabilities: bool = False,
) -> dict[str, object]:
    """Predict a GeoTIFF, JPEG or PNG into a Cloud Optimized GeoTIFF ``out``, strip by strip.

    ``switches`` are any but a gate; how far they look around a pixel is bounded by ``raster_reach``.

    ``out`` gets one uint8 band of classes with the palette, in the raster's place on the ground, 255 where the raster
    has no data or alpha is 0. With ``probabilities`` ``<out's stem>_probabilities.tif`` beside it has six uint8 bands,
    255 for certain. A cancel, an error or a full disk leaves nothing at either name. Where memory runs out, it starts
    anew with smaller windows.

    Returns what was done: ``out``, ``width``, ``height``, ``seconds``, ``seconds_per_megapixel``, ``notes`` (sentences
    on what was made of the raster, and on what of a refinement is bounded). Raises ``InputError`` for a gate, a raster
    that cannot be read or an output that cannot be written, and ``CancelledError``.
    """
    if out.suffix.lower() not in PREDICTION_SUFFIXES:
        raise InputError(f"A raster's prediction is a GeoTIFF, and {out.name} does not end in .tif; name it so.")
    start = time.perf_counter()
    job = _job(segmenter, views(switches.tta))
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        while True:
            try:
                source = _once(job, path, out, progress, switches=switches, probabilities=probabilities)
                break
            except TooLargeError:
                job = job.with_smaller()
    height, width = source.size
    seconds = time.perf_counter() - start
    return {
        "out": str(out),
        "probabilities": str(_beside(out)) if probabilities else None,
        "width": width,
        "height": height,
        "tta": switches.tta,
        "seconds": round(seconds, 3),
        "seconds_per_megapixel": round(seconds / (height * width / 1e6), 4),
        "notes": source.notes,
    }


def _beside(out: Path) -> Path:
    return out.with_name(f"{out.stem}_probabilities.tif")


def _once(
    job: "_Job", path: Path, out: Path, progress: Progress, *, switches: Switches, probabilities: bool
) -> RasterSource:
    with ExitStack() as stack:
        source = stack.enter_context(RasterSource(path, resolution_m=job.resolution_m))
        reach = find_reach(switches, source.metres_per_pixel)
        source.notes += reach.notes
        for note in source.notes:
            progress.update(0, 1, note)
        beside = _beside(out) if probabilities else None
        target = stack.enter_context(RasterTarget(out, source, probabilities=beside))
        finisher: Finisher
        if reach.is_none:
            told = TogetherProgress(progress, 1)
            finisher = RowFinisher(source, switches, target.add, probabilities=probabilities)
        else:
            told = TogetherProgress(progress, 2)
            picture = stack.enter_context(RasterSource(path, resolution_m=None))
            finisher = BlockFinisher(
                picture, switches, reach, target.add, probabilities=probabilities, progress=told.step(1)
            )

        def emit(_top: int, scores: NDArray[np.float32]) -> None:
            finisher.add(scores, source.valid.take(scores.shape[1]))

        job.run(source, emit, told.step(0))
        progress.update(1, 1, "Writing the prediction")
        target.finish()
    return source


@dataclass(frozen=True)
class _CellJob:
    """A head on the features of one encoder."""

    segmenter: Segmenter
    views: tuple[View, ...]
    block: int = BLOCK

    @property
    def resolution_m(self) -> float:
        return self.segmenter.extractor.parts[0].resolution_m

    def run(self, source: RasterSource, emit: EmitPixels, progress: Progress) -> None:
        predict_cells(self.segmenter, source, self.views, emit, block=self.block, progress=progress)

    def with_smaller(self) -> "_CellJob":
        if self.block <= _LEAST_BLOCK:
            raise TooLargeError("There is not enough memory to predict this raster; close other programs.")
        return replace(self, block=self.block // 2)


@dataclass(frozen=True)
class _WindowJob:
    """Overlapping windows, read at ``resolution_m`` (None: as the raster is), each with its probabilities.

    ``window_for`` gives their size for a working size; ``window`` is one in its place, once memory ran out.
    """

    resolution_m: float | None
    infer_for: Callable[[RasterSource], Infer]
    batch_for: Callable[[_Size], BatchSize]
    window_for: Callable[[_Size], _Size]
    smaller: Callable[[_Size], _Size]
    window: _Size | None = None

    def run(self, source: RasterSource, emit: EmitPixels, progress: Progress) -> None:
        plan = plan_windows(source.working, self.window or self.window_for(source.working))
        down, across = (
            taps(pixels, cells, scale)
            for pixels, cells, scale in zip(source.size, source.working, source.working_per_pixel, strict=True)
        )
        enlarger = RowEnlarger(down, across, emit)

        def emit_working(top: int, rows: Scores) -> None:
            inside = rows[:, : max(0, source.working[0] - top)]
            enlarger.add(np.log(np.maximum(inside, _LEAST)))

        blend(
            plan,
            _cut(source, plan),
            self.infer_for(source),
            emit_working,
            batch=self.batch_for(plan.window),
            progress=progress,
            message=_MESSAGE,
        )

    def with_smaller(self) -> "_WindowJob":
        return replace(self, window=self.smaller(self.window) if self.window else (WINDOW, WINDOW))


_Job = _CellJob | _WindowJob


def _job(segmenter: AnySegmenter, chosen: tuple[View, ...]) -> _Job:
    """The way that sees all that this run sees, in the least time."""
    plain = all(view.scale == 1 for view in chosen)
    if isinstance(segmenter, Segmenter):
        extractor = segmenter.extractor
        if plain and isinstance(extractor, FeatureExtractor) and not extractor.sees_whole_tile:
            return _CellJob(segmenter, chosen)
    if isinstance(segmenter, NetworkSegmenter) and plain and _sees_pixels_alone(segmenter):
        network = segmenter
        return _WindowJob(
            network.recipe.resolution_m,
            lambda _source: _averaged(network, chosen),
            lambda window: BatchSize(most_at_once(window, network.device)),
            network.window,
            network.smaller,
        )
    return _WindowJob(
        None,
        lambda source: _as_tiles(segmenter, source, chosen),
        lambda _window: BatchSize(1),
        lambda size: (min(size[0], TILE), min(size[1], TILE)),
        _halved,
    )


def _sees_pixels_alone(segmenter: NetworkSegmenter) -> bool:
    network = segmenter.network
    return not (network.needs_place or network.whole_tile) and segmenter.recipe.sight in {"auto", "patches"}


def _halved(window: _Size) -> _Size:
    if window[0] <= WINDOW // 4:
        raise TooLargeError("There is not enough memory to predict this raster; close other programs.")
    return window[0] // 2, window[1] // 2


def _averaged(segmenter: NetworkSegmenter, chosen: Sequence[View]) -> Infer:
    """The network's probabilities of windows, averaged over symmetries."""

    def infer(windows: Pixels, corners: Sequence[Corner]) -> Scores:
        run = segmenter.infer(make_tile_context(windows[0], "none"))
        if len(chosen) == 1:
            return run(windows, corners)
        total = np.zeros((len(windows), 6, *windows.shape[1:3]), np.float32)
        for view in chosen:
            seen = run(np.stack([view.symmetry.forward(one) for one in windows]), corners)
            total += np.stack([view.symmetry.inverse(one) for one in seen])
        total /= len(chosen)
        return total

    return infer


def _as_tiles(segmenter: AnySegmenter, source: RasterSource, chosen: Sequence[View]) -> Infer:
    """Every window as a tile of its own."""

    def infer(windows: Pixels, _corners: Sequence[Corner]) -> Scores:
        return np.stack(
            [
                segmenter.probabilities(
                    np.ascontiguousarray(one),
                    metres_per_pixel=source.metres_per_pixel,
                    tta=chosen,
                    progress=SilentProgress(),
                )
                for one in windows
            ]
        )

    return infer


def _cut(source: RasterSource, plan: WindowPlan) -> Generator[Pixels | None, None, None]:
    """The plan's windows; None where the raster has no picture."""
    strip = Strip(source, plan.window[0])
    beyond = max(0, plan.size[1] - source.working[1])
    for top in plan.rows:
        seen = strip.rows(top, top + plan.window[0])
        padded = np.pad(seen.pixels, ((0, 0), (0, beyond), (0, 0)), mode="symmetric") if beyond else seen.pixels
        for left in plan.columns:
            part = slice(left, left + plan.window[1])
            yield padded[:, part].copy() if seen.valid[part].any() else None
    strip.end()
