"""A trained run as something that predicts: image in, class probabilities out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from core.classes import ClassRaster
from core.errors import InputError
from core.inference.asked import METRES_PER_PIXEL, Asked, asked_views
from core.inference.ensembles import EnsembleSegmenter, member_runs, read_ensemble
from core.inference.network import NetworkSegmenter
from core.inference.network_graph import network_graph
from core.inference.scaled_features import scaled_features
from core.inference.tta import View
from core.progress import Progress, SilentProgress
from core.training.cell_grid import CellGrid
from core.training.feature_cache import FeatureCache, default_cache, holds_features, tile_features
from core.training.features import AS_IT_IS, Features, choose_device
from core.training.joined_features import Extractor, make_recipe_extractor
from core.training.onnx_encoder import memory_held
from core.training.runs import RunCard, is_ensemble, read_head, read_recipe, read_run
from models.checkpoint import TrainedNetwork
from models.heads import Head

Probabilities = NDArray[np.float32]
"""``(6, height, width)`` float32 that sum to 1 over the classes."""

_ROWS_AT_ONCE = 256
_AS_IT_IS = View(AS_IT_IS)
_LEAST = 1e-7  # keeps the logarithm of an averaged probability finite


@dataclass(frozen=True)
class Segmenter:
    """An encoder with a trained head on one device; made by ``load_segmenter``."""

    card: RunCard
    extractor: Extractor
    head: Head
    cache: FeatureCache

    def probabilities(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> Probabilities:
        """Class probabilities of every pixel of a ``(height, width, 3)`` uint8 RGB tile; views are averaged by cell."""
        grid = self._grid(image, asked)
        return upsampled_probabilities(self._cell_logits(image, grid, asked), grid)

    def cell_probabilities(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> Probabilities:
        """As ``probabilities``, by cell: ``(6, rows, columns)``; cheap, for overviews and uncertainty."""
        logits = self._cell_logits(image, self._grid(image, asked), asked)
        return np.asarray(logits.softmax(dim=0).numpy(), np.float32)

    def predict(self, image: NDArray[np.uint8], **asked: Unpack[Asked]) -> ClassRaster:
        """The most probable class of every pixel."""
        raster: ClassRaster = self.probabilities(image, **asked).argmax(axis=0).astype(np.uint8)
        return raster

    def _grid(self, image: NDArray[np.uint8], asked: Asked) -> CellGrid:
        return self.extractor.grid(_size(image), asked.get("metres_per_pixel", METRES_PER_PIXEL))

    @memory_held()
    @torch.inference_mode()
    def _cell_logits(self, image: NDArray[np.uint8], grid: CellGrid, asked: Asked) -> torch.Tensor:
        chosen, features, progress = asked_views(asked), asked.get("features"), asked.get("progress")
        reporter = progress or SilentProgress()
        logits = []
        for index, view in enumerate(chosen):
            if len(chosen) > 1:
                reporter.update(index, len(chosen), "Averaging over views of the tile")
            if view == _AS_IT_IS and features is not None:
                seen = features
            else:
                seen = self._features(image, grid, view, asked.get("fingerprint"), progress)
            logits.append(head_logits(self.head, seen, self.extractor.device))
        if len(logits) == 1:
            return logits[0]
        return torch.stack(logits).softmax(dim=1).mean(dim=0).clamp(min=_LEAST).log()

    def _features(
        self,
        image: NDArray[np.uint8],
        grid: CellGrid,
        view: View,
        fingerprint: str | None,
        progress: Progress | None,
    ) -> Features:
        """From the cache where they are there; those of the tile as it is are put there.

        Those of another view are not: eight of every tile ever looked at would push all else out of the cache.
        """
        if view.scale != 1:
            return scaled_features(self.extractor, image, grid, view, progress=progress)
        transform = view.symmetry
        if fingerprint is None or not (
            transform == AS_IT_IS
            or holds_features(self.cache, self.extractor, fingerprint=fingerprint, transform=transform)
        ):
            return self.extractor.extract(image, grid, transform=transform, progress=progress)
        return tile_features(
            self.cache,
            self.extractor,
            fingerprint=fingerprint,
            grid=grid,
            read=lambda: image,
            transform=transform,
            progress=progress,
        )


AnySegmenter = Segmenter | NetworkSegmenter | EnsembleSegmenter
"""Whatever a run predicts with."""


def load_segmenter(run_folder: Path, device: str = "auto", cache: FeatureCache | None = None) -> AnySegmenter:
    """Load a run, or an ensemble of runs, for prediction.

    Raises ``InputError`` when the folder is no whole run, its weights are not ours, its encoder cannot be had or
    is another than the one it was trained with, the device is not there, or a member of an ensemble is gone or was
    trained anew.
    """
    if is_ensemble(run_folder):
        return _ensemble(run_folder, device, cache)
    card, recipe, head = read_run(run_folder).card, read_recipe(run_folder), read_head(run_folder)
    if isinstance(head, TrainedNetwork):
        where = choose_device(device)
        return NetworkSegmenter(card, recipe, head.to(where), where, network_graph(head, where))
    extractor = make_recipe_extractor(recipe, device=device)
    if extractor.encoder_identity != card.encoder_identity or extractor.channels != head.channels:
        raise InputError(
            f"The run {run_folder} was trained on other weights of {recipe.encoder} than are installed here; "
            "install those, or train the run anew."
        )
    return Segmenter(card, extractor, head.to(extractor.device), cache or default_cache())


def _ensemble(folder: Path, device: str, cache: FeatureCache | None) -> EnsembleSegmenter:
    members = tuple(load_segmenter(run, device, cache) for run in member_runs(folder))
    shares = read_ensemble(folder).shares
    return EnsembleSegmenter(read_run(folder).card, members, tuple(share / sum(shares) for share in shares))


@torch.inference_mode()
def head_logits(head: Head, features: Features, device: torch.device) -> torch.Tensor:
    """Cell logits ``(6, rows, columns)`` float32 on the CPU, of features ``(channels, rows, columns)``."""
    logits: torch.Tensor = head(torch.from_numpy(features).to(device).float()[None])[0]
    return logits.float().cpu()


@torch.inference_mode()
def upsampled_probabilities(logits: torch.Tensor, grid: CellGrid) -> Probabilities:
    """Interpolate cell logits between cell centres to every pixel of the tile, then softmax.

    Logits are interpolated rather than probabilities: borders between two sure cells come out sharper. Works in
    bands of rows, so that only the result is ever as large as the tile.
    """
    down, across = (torch.from_numpy(grid.interpolation(axis)) for axis in (0, 1))
    wide = logits @ across.T
    result = np.empty((len(logits), *grid.size), np.float32)
    for top in range(0, grid.size[0], _ROWS_AT_ONCE):
        band = down[top : top + _ROWS_AT_ONCE]
        result[:, top : top + _ROWS_AT_ONCE] = (band @ wide).softmax(dim=0).numpy()
    return result


def _size(image: NDArray[np.uint8]) -> tuple[int, int]:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"a tile is height x width x 3 uint8, not {image.shape} {image.dtype}")
    return image.shape[0], image.shape[1]
