"""Fit a head on cached features: the encoder runs once a tile, the head sees numbers from disk."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from core.catalog.images import read_image, read_mask
from core.classes import CLASS_COUNT
from core.errors import CancelledError
from core.evaluation import confusion, scores
from core.inference.predict import head_logits, upsampled_probabilities
from core.progress import Progress
from core.training.cells import LabelledCells, balanced_sample
from core.training.convolutional import TrainingTile, fit_convolutional
from core.training.feature_cache import FeatureCache
from core.training.features import FeatureExtractor, Features, make_extractor
from core.training.fitted import FitTask, Fitted
from core.training.linear import TrainingCells, fit_linear
from core.training.training_data import LabelledTile, TrainingData
from models.heads import Head, context_vectors


def fit_cached(task: FitTask) -> Fitted:
    """Train the recipe's head. Raises ``CancelledError`` where there is no head to keep yet; else keeps the best."""
    recipe = task.recipe
    extractor = make_extractor(
        encoder=recipe.encoder, weights=recipe.weights, resolution_m=recipe.resolution_m, device=task.device
    )
    started = time.perf_counter()
    material = _read_features(task, _FeatureSource(extractor, task.cache, task.progress))
    features_seconds = time.perf_counter() - started

    task.begin()
    trainer = _Trainer(task, material)
    cancelled = False
    try:
        trainer.train()
    except CancelledError:
        if trainer.best is None:
            raise
        cancelled = True
    if trainer.best is None:
        raise ValueError("a recipe without a single iteration")
    card = extractor.encoder.card
    return Fitted(
        model=trainer.best,
        cancelled=cancelled,
        encoder_identity=extractor.encoder.identity,
        encoder_parameters=card.parameters,
        encoder_licence=card.licence,
        trained_parameters=sum(p.numel() for p in trainer.best.parameters()),
        device=extractor.device.type,
        features_seconds=features_seconds,
        training_seconds=trainer.seconds,
        validation=None if cancelled else _validate(trainer.best, task.tiles, material, extractor.device),
        measured={},
    )


@dataclass(frozen=True, slots=True)
class _FeatureSource:
    """Features of a tile, from the cache where they are there."""

    extractor: FeatureExtractor
    cache: FeatureCache
    progress: Progress

    def features(self, tile: LabelledTile) -> Features:
        return self.cache.fetch(
            fingerprint=tile.image_fingerprint,
            extractor_identity=self.extractor.identity,
            shape=(self.extractor.channels, *tile.grid.cells),
            compute=lambda: self.extractor.extract(read_image(tile.image_path), tile.grid, progress=self.progress),
        )


@dataclass(frozen=True, slots=True)
class _Material:
    """What the heads learn from and are judged on, already on the device. One of the first two is empty."""

    cells: TrainingCells | None
    tiles: tuple[TrainingTile, ...]
    validation: tuple[Features, ...]


def _read_features(task: FitTask, source: _FeatureSource) -> _Material:
    gathered, recipe = task.tiles, task.recipe
    count = len(gathered.training) + len(gathered.validation)
    linear = recipe.head == "context-linear"
    chosen, stands_for = balanced_sample(
        [tile.cells.classes for tile in gathered.training],
        limit=recipe.max_cells,
        generator=np.random.default_rng(task.seed),
    )
    device = source.extractor.device
    parts: list[TrainingCells] = []
    tiles: list[TrainingTile] = []
    for index, (tile, cells) in enumerate(zip(gathered.training, chosen, strict=True)):
        source.progress.update(index, count, f"Reading the features of tile {tile.name}")
        features = torch.from_numpy(source.features(tile)).to(device)
        if linear:
            parts.append(_cells_of(tile.cells, cells, features, recipe.windows, stands_for))
        else:
            tiles.append(_tile_of(tile.cells, features))
    validation = []
    for index, tile in enumerate(gathered.validation, start=len(gathered.training)):
        source.progress.update(index, count, f"Reading the features of validation tile {tile.name}")
        validation.append(source.features(tile))
    source.progress.update(count, count, "Read all features")
    joined = TrainingCells(*(torch.cat([getattr(p, f) for p in parts]) for f in _CELL_FIELDS)) if linear else None
    return _Material(joined, tuple(tiles), tuple(validation))


_CELL_FIELDS = ("vectors", "classes", "weights")


def _cells_of(
    labelled: LabelledCells,
    chosen: np.ndarray[Any, np.dtype[np.int64]],
    features: torch.Tensor,
    windows: tuple[int, ...],
    stands_for: np.ndarray[Any, np.dtype[np.float64]],
) -> TrainingCells:
    classes = labelled.classes.ravel()[chosen].astype(np.int64)
    weights = labelled.weights.ravel()[chosen] * stands_for[classes]
    vectors = context_vectors(features.float(), torch.from_numpy(chosen).to(features.device), windows)
    return TrainingCells(
        vectors,
        torch.from_numpy(classes).to(features.device),
        torch.from_numpy(weights.astype(np.float32)).to(features.device),
    )


def _tile_of(labelled: LabelledCells, features: torch.Tensor) -> TrainingTile:
    return TrainingTile(
        features,
        torch.from_numpy(labelled.classes.astype(np.int64)).to(features.device),
        torch.from_numpy(labelled.weights).to(features.device),
    )


class _Trainer:
    """Trains the recipe's head, writes the curve, and holds the best head so far for when it is stopped."""

    def __init__(self, task: FitTask, material: _Material) -> None:
        self._task, self._material = task, material
        self._start = time.perf_counter()
        self.best: Head | None = None
        self.seconds = 0.0

    def train(self) -> None:
        recipe, material = self._task.recipe, self._material
        try:
            if material.cells is not None:
                self.best = fit_linear(
                    material.cells,
                    windows=recipe.windows,
                    l2=recipe.l2,
                    balance=recipe.balance,
                    iterations=recipe.iterations,
                    report=lambda done, loss, head: self._report("iteration", done, loss, self._miou(head), head),
                )
            else:
                self.best = fit_convolutional(
                    material.tiles,
                    recipe=recipe,
                    generator=torch.Generator().manual_seed(self._task.seed),
                    validate=self._miou,
                    report=lambda done, loss, miou, head: self._report("epoch", done, loss, miou, head),
                )
        finally:
            self.seconds = time.perf_counter() - self._start

    def _report(self, step: str, done: int, loss: float, miou: float | None, head: Head) -> None:
        self.best = head
        line = {
            step: done,
            "loss": round(loss, 6),
            "validation_miou": None if miou is None else round(miou, 4),
            "seconds": round(time.perf_counter() - self._start, 2),
        }
        self._task.measured(line)
        total = self._task.recipe.iterations if step == "iteration" else self._task.recipe.epochs
        self._task.progress.update(done, total, f"Training the head, loss {loss:.3f}")

    def _miou(self, head: Head) -> float | None:
        """Mean IoU on the validation tiles by cell: every labelled pixel counts, with its cell's prediction."""
        if not self._task.tiles.validation:
            return None
        matrix = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
        device = next(head.parameters()).device
        for tile, features in zip(self._task.tiles.validation, self._material.validation, strict=True):
            predicted = head_logits(head, features, device).argmax(dim=0).numpy().ravel()
            np.add.at(matrix.T, predicted, tile.cells.counts.reshape(-1, CLASS_COUNT))
        return scores.from_confusion(matrix).miou


def _validate(head: Head, gathered: TrainingData, material: _Material, device: torch.device) -> dict[str, Any] | None:
    """Scores on the validation tiles at full size, from one confusion matrix; None without such tiles."""
    if not gathered.validation:
        return None
    matrix = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
    for tile, features in zip(gathered.validation, material.validation, strict=True):
        truth = read_mask(tile.mask_path, shape=tile.grid.size).raster
        probabilities = upsampled_probabilities(head_logits(head, features, device), tile.grid)
        matrix += confusion.count(truth, probabilities.argmax(axis=0).astype(np.uint8))
    return {"tiles": [tile.name for tile in gathered.validation], **asdict(scores.from_confusion(matrix))}
