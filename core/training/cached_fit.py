"""Fit a head on cached features: the encoder runs once a tile, the head sees numbers from disk."""

import time
from typing import Any

import numpy as np
import torch

from core.catalog.images import read_mask
from core.classes import CLASS_COUNT
from core.errors import CancelledError
from core.evaluation import confusion, scores
from core.inference.predict import head_logits, upsampled_probabilities
from core.training.cell_heads import Watch, fit_cells, points_of, starting_head_of
from core.training.convolutional import fit_convolutional
from core.training.fitted import FitTask, Fitted
from core.training.joined_features import make_recipe_extractor
from core.training.linear import TrainingCells
from core.training.material import Material, TileSource, read_material
from core.training.training_data import TrainingData
from core.training.validation import validation_scores
from models.heads import ContextLinearHead, Head


def fit_cached(task: FitTask) -> Fitted:
    """Train the recipe's head. Raises ``CancelledError`` where there is no head to keep yet; else keeps the best."""
    extractor = make_recipe_extractor(task.recipe, device=task.device)
    start = starting_head_of(task.recipe, extractor)
    source = TileSource(extractor, task.cache, task.progress)
    started = time.perf_counter()
    material = read_material(task, source)
    features_seconds = time.perf_counter() - started

    task.begin()
    trainer = _Trainer(task, material, source, start)
    cancelled = False
    try:
        trainer.train()
    except CancelledError:
        if trainer.best is None:
            raise
        cancelled = True
    if trainer.best is None:
        raise ValueError("a recipe without a single iteration")
    return Fitted(
        model=trainer.best,
        cancelled=cancelled,
        encoder_identity=extractor.encoder_identity,
        encoder_parameters=extractor.encoder_parameters,
        encoder_licence=extractor.encoder_licence,
        trained_parameters=sum(p.numel() for p in trainer.best.parameters()),
        device=extractor.device.type,
        features_seconds=features_seconds,
        training_seconds=trainer.seconds,
        validation=None if cancelled else _validate(trainer.best, task.tiles, material, extractor.device),
        measured=trainer.measured,
        warnings=trainer.warnings,
    )


class _Trainer:
    """Trains the recipe's head, writes the curve, and holds the best head so far for when it is stopped."""

    def __init__(self, task: FitTask, material: Material, source: TileSource, start: ContextLinearHead | None) -> None:
        self._task, self._material, self._source, self._start = task, material, source, start
        self._began = time.perf_counter()
        self.best: Head | None = None
        self.seconds = 0.0
        self.measured: dict[str, Any] = {}
        self.warnings: tuple[str, ...] = ()

    def train(self) -> None:
        material = self._material
        try:
            if material.cells is not None:
                self._fit_cells(material.cells)
            else:
                self.best = fit_convolutional(
                    material.tiles,
                    recipe=self._task.recipe,
                    generator=torch.Generator().manual_seed(self._task.seed),
                    validate=self._miou,
                    report=lambda done, loss, miou, head: self._report("epoch", done, loss, miou, head),
                )
        finally:
            self.seconds = time.perf_counter() - self._began

    def _fit_cells(self, cells: TrainingCells) -> None:
        fitted = fit_cells(
            cells,
            self._material.labels,
            task=self._task,
            source=self._source,
            start=self._start,
            watch=Watch(
                point=lambda done, loss, head: self._report("iteration", done, loss, self._miou(head), head),
                keep=self._keep,
                step=self._task.progress.update,
            ),
        )
        self.best, self.measured, self.warnings = fitted.head, fitted.measured, fitted.warnings

    def _keep(self, head: Head) -> None:
        self.best = head

    def _report(self, step: str, done: int, loss: float, miou: float | None, head: Head) -> None:
        self.best = head
        line = {
            step: done,
            "loss": round(loss, 6),
            "validation_miou": None if miou is None else round(miou, 4),
            "seconds": round(time.perf_counter() - self._began, 2),
        }
        self._task.measured(line)
        recipe = self._task.recipe
        total = points_of(recipe) if step == "iteration" else recipe.epochs
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


def _validate(head: Head, gathered: TrainingData, material: Material, device: torch.device) -> dict[str, Any] | None:
    """Scores on the validation tiles at full size; None without such tiles."""
    if not gathered.validation:
        return None
    matrices = {}
    for tile, features in zip(gathered.validation, material.validation, strict=True):
        truth = read_mask(tile.mask_path, shape=tile.grid.size).raster
        probabilities = upsampled_probabilities(head_logits(head, features, device), tile.grid)
        matrices[tile.name] = confusion.count(truth, probabilities.argmax(axis=0).astype(np.uint8))
    return validation_scores(matrices)
