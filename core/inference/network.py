"""A run of a network, or of several, as something that predicts: image in, class probabilities out.

The counterpart of ``core.inference.predict.Segmenter`` with the same three methods, so that whatever predicts need not
know what was trained. Nothing is cached: a decoder sees the pixels, not an encoder's features.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Unpack

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, ClassRaster
from core.inference.asked import METRES_PER_PIXEL, Asked, asked_views
from core.inference.enlarging import RowEnlarger, most_probable, taps
from core.inference.tta import views
from core.inference.windows import (
    BatchSize,
    Corner,
    Emit,
    Infer,
    TooLargeError,
    WindowPlan,
    blend,
    most_at_once,
    plan_windows,
)
from core.progress import Progress, SilentProgress
from core.training.cell_grid import CELL, CellGrid, cell_grid
from core.training.context_crops import TileContext, make_tile_context
from core.training.patches import working_image
from core.training.recipe import Recipe
from core.training.runs import RunCard
from models.checkpoint import TrainedNetwork
from models.onnx_network import OnnxNetwork

Probabilities = NDArray[np.float32]
"""``(6, height, width)`` float32 that sum to 1 over the classes."""

WHOLE_UP_TO = 1536
"""Working images up to this side take one pass; larger ones go in windows, so that memory stays bounded."""
WINDOW = 1024
PATCH = 512
"""Side of a window where the recipe's ``sight`` is 'patches', in working pixels."""
RESIZED_TO = 1024
"""The longest side that a ``sight`` of 'resized' brings a tile to."""

_LEAST = 1e-7  # keeps the logarithm of an averaged probability finite
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class NetworkSegmenter:
    """A trained network on one device; made by ``core.inference.predict.load_segmenter``.

    ``graph`` is the same network by onnxruntime, used instead of it where there is one.
    """

    card: RunCard
    recipe: Recipe
    network: TrainedNetwork
    device: torch.device
    graph: OnnxNetwork | None = None

    def probabilities(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> Probabilities:
        """Class probabilities of every pixel of a ``(height, width, 3)`` uint8 RGB tile."""
        grid = self._grid(image, asked)
        return enlarged_probabilities(self._working_probabilities(image, grid, asked), grid.size)

    def cell_probabilities(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> Probabilities:
        """As ``probabilities``, by cell: ``(6, rows, columns)``, the mean over each cell's pixels inside the tile."""
        return by_cell(self._working_probabilities(image, self._grid(image, asked), asked))

    def predict(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> ClassRaster:
        """The most probable class of every pixel.

        With one view only the rows still open are held, not the probabilities of the whole tile.
        """
        grid = self._grid(image, asked)
        if asked_views(asked) != views("none") or self.recipe.sight == "resized":
            whole = self._working_probabilities(image, grid, asked)
            return most_probable(enlarged_probabilities(whole, grid.size))
        raster: ClassRaster = np.empty(grid.size, np.uint8)

        def emit_pixels(top: int, scores: Probabilities) -> None:
            raster[top : top + scores.shape[1]] = most_probable(scores)

        def make_emit() -> Emit:
            down, across = (
                taps(pixels, cells, cells / pixels) for pixels, cells in zip(grid.size, grid.working, strict=True)
            )
            enlarger = RowEnlarger(down, across, emit_pixels)

            def emit(top: int, rows: Probabilities) -> None:
                inside = rows[:, : max(0, grid.working[0] - top), : grid.working[1]]
                enlarger.add(inside if grid.working == grid.size else np.log(np.maximum(inside, _LEAST)))

            return emit

        self._stream(working_image(image, grid), make_emit, asked.get("progress") or SilentProgress())
        return raster

    def _grid(self, image: NDArray[np.uint8], asked: Asked) -> CellGrid:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"a tile is height x width x 3 uint8, not {image.shape} {image.dtype}")
        size = (image.shape[0], image.shape[1])
        metres_per_pixel = asked.get("metres_per_pixel", METRES_PER_PIXEL)
        return cell_grid(size, metres_per_pixel=metres_per_pixel, resolution_m=self.recipe.resolution_m)

    def _working_probabilities(self, image: NDArray[np.uint8], grid: CellGrid, asked: Asked) -> Probabilities:
        """``(6, height, width)`` at the working size, averaged over windows and views."""
        seen = _shrunk(grid.working) if self.recipe.sight == "resized" else grid.working
        chosen, progress = asked_views(asked), asked.get("progress") or SilentProgress()
        total: Probabilities | None = None
        for view in chosen:
            moved = self._of_moved(view.forward(image, seen), progress)
            back = view.inverse(moved, seen)
            if total is None:
                total = back
            else:
                total += back
        if total is None:
            raise ValueError("at least one view is needed")
        total /= len(chosen)
        return enlarged_probabilities(total, grid.working)

    def _of_moved(self, working: NDArray[np.uint8], progress: Progress) -> Probabilities:
        height, width = working.shape[:2]
        total = np.empty((CLASS_COUNT, height, width), np.float32)

        def emit(top: int, rows: Probabilities) -> None:
            inside = total[:, top : top + rows.shape[1]]
            inside[:] = rows[:, : inside.shape[1], :width]

        self._stream(working, lambda: emit, progress)
        return total

    def _stream(self, working: NDArray[np.uint8], make_emit: Callable[[], Emit], progress: Progress) -> None:
        """Emit a working image's rows of probabilities; starts anew with smaller windows where memory runs out."""
        context = make_tile_context(working, self.network.needs_context)
        window = self.window((working.shape[0], working.shape[1]))
        while True:
            plan = plan_windows((working.shape[0], working.shape[1]), window)
            batch = BatchSize(most_at_once(window, self.device))
            try:
                blend(
                    plan,
                    _cut(working, plan),
                    self.infer(context),
                    make_emit(),
                    batch=batch,
                    progress=progress,
                    message="Predicting a large tile",
                )
            except TooLargeError:
                window = self.smaller(window)
                progress.update(0, 1, f"Not enough memory: going on with windows of {window[1]} x {window[0]} pixels")
            else:
                return

    def window(self, size: tuple[int, int]) -> tuple[int, int]:
        """The sides (height, width) of a window for a working image of ``size``.

        That is the whole image, enlarged to what the network takes, where it is small enough.
        """
        if self.network.at_training_size:
            return self.recipe.patch, self.recipe.patch
        least, step = self.network.smallest, self.network.alignment
        tall, wide = (max(least, -(-side // step) * step) for side in size)
        if self.network.whole_tile or self.recipe.sight in {"whole", "resized"}:
            return tall, wide
        if self.recipe.sight == "patches":
            side = max(PATCH, least)
            return min(tall, side), min(wide, side)
        return (WINDOW, WINDOW) if max(size) > WHOLE_UP_TO else (tall, wide)

    def smaller(self, window: tuple[int, int]) -> tuple[int, int]:
        """The next smaller window. Raises ``TooLargeError`` where the network takes no smaller one."""
        least, step = self.network.smallest, self.network.alignment
        halved = tuple(max(least, side // 2 // step * step) for side in window)
        if self.network.at_training_size or self.network.whole_tile or halved == window:
            raise TooLargeError(
                "There is not enough memory for this network even with its smallest window; close other programs, or "
                "choose a run with a smaller encoder."
            )
        return halved[0], halved[1]

    def infer(self, context: TileContext) -> Infer:
        """What takes windows of a tile with this ``context`` to their probabilities."""

        @torch.inference_mode()
        def run(windows: NDArray[np.uint8], corners: Sequence[Corner]) -> Probabilities:
            size = (windows.shape[1], windows.shape[2])
            place = context.cut(corners, size) if self.network.needs_place else None
            if self.graph is not None:
                logits = torch.from_numpy(self.graph(windows, place))
            else:
                images = torch.from_numpy(windows).to(self.device).permute(0, 3, 1, 2)
                bfloat16 = self.device.type == "cuda" and self.recipe.precision != "float32"
                with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bfloat16):
                    logits = self.network(images, None if place is None else place.to(self.device)).logits
            return np.asarray(logits.float().softmax(dim=1).cpu().numpy(), np.float32)

        return run


def _cut(working: NDArray[np.uint8], plan: WindowPlan) -> Iterator[NDArray[np.uint8]]:
    """The plan's windows of a working image, mirrored beyond its edge as training patches are."""
    below, right = plan.size[0] - working.shape[0], plan.size[1] - working.shape[1]
    padded = np.pad(working, ((0, below), (0, right), (0, 0)), mode="symmetric") if below or right else working
    for top, left in plan.corners:
        yield padded[top : top + plan.window[0], left : left + plan.window[1]]


def _shrunk(working: tuple[int, int]) -> tuple[int, int]:
    """A working size whose longest side is ``RESIZED_TO`` at most."""
    share = min(1.0, RESIZED_TO / max(working))
    return max(1, round(working[0] * share)), max(1, round(working[1] * share))


def enlarged_probabilities(probabilities: Probabilities, size: tuple[int, int]) -> Probabilities:
    """Working probabilities ``(6, h, w)`` at a tile's ``size`` (height, width).

    Their logarithms are interpolated and a softmax taken, which is to interpolate logits: borders between two sure
    classes come out sharper than by interpolating probabilities. Works class by class and then in bands of rows, so
    that only the result is ever as large as the tile.
    """
    if probabilities.shape[1:] == size:
        return probabilities
    result = np.empty((len(probabilities), *size), np.float32)
    for plane, target in zip(probabilities, result, strict=True):
        logarithm = np.log(np.maximum(plane, _LEAST))
        target[:] = cv2.resize(logarithm, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    for top in range(0, size[0], _ROWS_AT_ONCE):
        band = torch.from_numpy(result[:, top : top + _ROWS_AT_ONCE])
        band.copy_(band.softmax(dim=0))
    return result


def by_cell(probabilities: Probabilities) -> Probabilities:
    """The mean of working probabilities ``(6, h, w)`` over each cell, of its pixels that lie inside the tile."""
    maps = torch.from_numpy(np.ascontiguousarray(probabilities))[None]
    pooled = F.avg_pool2d(maps, CELL, ceil_mode=True, count_include_pad=False)
    return np.asarray(pooled[0].numpy(), np.float32)
