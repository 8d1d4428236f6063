"""A run of a network, or of several, as something that predicts: image in, class probabilities out.

The counterpart of ``core.inference.predict.Segmenter`` with the same three methods, so that whatever predicts need not
know what was trained. Nothing is cached: a decoder sees the pixels, not an encoder's features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from core.classes import CLASS_COUNT, ClassRaster
from core.inference.tta import Dihedral, transforms
from core.progress import Progress, SilentProgress
from core.training.cell_grid import CELL, CellGrid, cell_grid
from core.training.context_crops import TileContext, make_tile_context
from core.training.patches import working_image
from core.training.recipe import Recipe
from core.training.runs import RunCard
from models.checkpoint import TrainedNetwork

Probabilities = NDArray[np.float32]
"""``(6, height, width)`` float32 that sum to 1 over the classes."""

WHOLE_UP_TO = 1536
"""Working images up to this side take one pass; larger ones go in windows, so that memory stays bounded."""
WINDOW = 1024
OVERLAP = 0.25
"""Share of a window that the next one sees as well."""

_LEAST_WEIGHT = 1e-3  # of a window's border pixels: never 0, for at the tile's edge nobody else sees them
_LEAST = 1e-7  # keeps the logarithm of an averaged probability finite
_ROWS_AT_ONCE = 256
_DEFAULT_METRES_PER_PIXEL = (0.5, 0.5)


@dataclass(frozen=True)
class NetworkSegmenter:
    """A trained network on one device; made by ``core.inference.predict.load_segmenter``."""

    card: RunCard
    recipe: Recipe
    network: TrainedNetwork
    device: torch.device

    def probabilities(
        self,
        image: NDArray[np.uint8],
        *,
        metres_per_pixel: tuple[float, float] = _DEFAULT_METRES_PER_PIXEL,
        tta: str | Sequence[Dihedral] = "none",
        fingerprint: str | None = None,  # noqa: ARG002
        features: NDArray[np.float16] | None = None,  # noqa: ARG002
        progress: Progress | None = None,
    ) -> Probabilities:
        """Class probabilities of every pixel of a ``(height, width, 3)`` uint8 RGB tile.

        Arguments as for ``Segmenter.probabilities``; ``fingerprint`` and ``features`` are of no use here.
        ``progress`` is told once per window, and may raise ``CancelledError`` there.
        """
        grid = self._grid(image, metres_per_pixel)
        return enlarged_probabilities(self._working_probabilities(image, grid, tta, progress), grid.size)

    def cell_probabilities(
        self,
        image: NDArray[np.uint8],
        *,
        metres_per_pixel: tuple[float, float] = _DEFAULT_METRES_PER_PIXEL,
        tta: str | Sequence[Dihedral] = "none",
        fingerprint: str | None = None,  # noqa: ARG002
        features: NDArray[np.float16] | None = None,  # noqa: ARG002
        progress: Progress | None = None,
    ) -> Probabilities:
        """As ``probabilities``, by cell: ``(6, rows, columns)``, the mean over each cell's pixels inside the tile."""
        grid = self._grid(image, metres_per_pixel)
        return by_cell(self._working_probabilities(image, grid, tta, progress))

    def predict(self, image: NDArray[np.uint8], **options: Any) -> ClassRaster:
        """The most probable class of every pixel; ``options`` as for ``probabilities``."""
        raster: ClassRaster = self.probabilities(image, **options).argmax(axis=0).astype(np.uint8)
        return raster

    def _grid(self, image: NDArray[np.uint8], metres_per_pixel: tuple[float, float]) -> CellGrid:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"a tile is height x width x 3 uint8, not {image.shape} {image.dtype}")
        size = (image.shape[0], image.shape[1])
        return cell_grid(size, metres_per_pixel=metres_per_pixel, resolution_m=self.recipe.resolution_m)

    def _working_probabilities(
        self, image: NDArray[np.uint8], grid: CellGrid, tta: str | Sequence[Dihedral], progress: Progress | None
    ) -> Probabilities:
        """``(6, height, width)`` at the working size, averaged over windows and transforms."""
        working = working_image(image, grid)
        chosen = transforms(tta) if isinstance(tta, str) else tuple(tta)
        total = np.zeros((CLASS_COUNT, *grid.working), np.float32)
        for transform in chosen:
            moved = self._of_moved(transform.forward(working), progress or SilentProgress())
            total += transform.inverse(moved)
        total /= len(chosen)
        return total

    def _of_moved(self, working: NDArray[np.uint8], progress: Progress) -> Probabilities:
        height, width = working.shape[:2]
        context = make_tile_context(working, self.network.needs_context)
        window = self._window(height, width)
        # Mirrored as training patches are beyond the tile's edge.
        padded = np.pad(
            working, ((0, max(0, window[0] - height)), (0, max(0, window[1] - width)), (0, 0)), mode="symmetric"
        )
        weight = np.outer(*(hann(side) for side in window)).astype(np.float32)
        total = np.zeros((CLASS_COUNT, *padded.shape[:2]), np.float32)
        weights = np.zeros(padded.shape[:2], np.float32)
        rows, columns = (starts(n, side) for n, side in zip(padded.shape[:2], window, strict=True))
        corners = [(top, left) for top in rows for left in columns]
        for index, (top, left) in enumerate(corners):
            if len(corners) > 1:
                progress.update(index, len(corners), "Predicting a large tile")
            place = np.s_[top : top + window[0], left : left + window[1]]
            total[:, *place] += self._of_window(padded[place], context, (top, left)) * weight
            weights[place] += weight
        total /= weights
        return total[:, :height, :width]

    def _window(self, height: int, width: int) -> tuple[int, int]:
        """The sides of a window: the whole tile, enlarged to what the network takes, where that is small enough."""
        if self.network.at_training_size:
            return self.recipe.patch, self.recipe.patch
        if max(height, width) > WHOLE_UP_TO and not self.network.whole_tile:
            return WINDOW, WINDOW
        least, step = self.network.smallest, self.network.alignment
        tall, wide = (max(least, -(-side // step) * step) for side in (height, width))
        return tall, wide

    @torch.inference_mode()
    def _of_window(self, window: NDArray[np.uint8], context: TileContext, corner: tuple[int, int]) -> Probabilities:
        size = (window.shape[0], window.shape[1])
        images = torch.from_numpy(np.ascontiguousarray(window)).to(self.device).permute(2, 0, 1)[None]
        place = context.cut([corner], size).to(self.device) if self.network.needs_place else None
        bfloat16 = self.device.type == "cuda" and self.recipe.precision != "float32"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            logits = self.network(images, place).logits
        return np.asarray(logits[0].float().softmax(dim=0).cpu().numpy(), np.float32)


def starts(length: int, window: int) -> list[int]:
    """Where windows begin that cover ``length`` pixels with at least ``OVERLAP``, evenly spread."""
    count = 1 + -(-(length - window) // round(window * (1 - OVERLAP)))
    return [round(start) for start in np.linspace(0, length - window, max(1, count))]


def hann(length: int) -> NDArray[np.float64]:
    """Hann's window at pixel centres, with a floor: the weight of a window's pixels along one axis."""
    weights: NDArray[np.float64] = np.maximum(np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2, _LEAST_WEIGHT)
    return weights


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
