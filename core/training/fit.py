"""Fit a head: tiles and labels in, a run folder out."""

import platform
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.catalog.images import read_image, read_mask
from core.classes import CLASS_COUNT, CLASS_NAMES
from core.errors import CancelledError, InputError
from core.evaluation import confusion, scores
from core.inference.predict import head_logits, upsampled_probabilities
from core.progress import Progress
from core.training.cells import LabelledCells, balanced_sample
from core.training.convolutional import TrainingTile, fit_convolutional
from core.training.feature_cache import FeatureCache, default_cache
from core.training.features import FeatureExtractor, Features, make_extractor
from core.training.linear import TrainingCells, fit_linear
from core.training.recipe import Recipe
from core.training.runs import RunCard, add_metrics, check_run_folder, finish_run, start_run
from core.training.training_data import LabelledTile, TrainingData, gather
from models.heads import Head, context_vectors

_VERSIONED = ("torch", "timm", "segmentation-models-pytorch", "numpy")


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What to fit, from what, and where to put it.

    ``labels`` is a folder of masks by tile name, None for the masks beside the images. ``cache`` is where
    features are kept, None for the user's own cache.
    """

    data: Path
    out: Path
    recipe: Recipe
    labels: Path | None = None
    seed: int = 0
    device: str = "auto"
    cache: FeatureCache | None = None


def fit(request: FitRequest, progress: Progress) -> dict[str, Any]:
    """Train a head and write its run folder; returns the result that the command line prints.

    Features are taken from the cache or computed into it; only labelled cells train. The fixed seed makes two
    runs on one CPU equal bit for bit. Raises ``InputError`` for labels that do not suffice, and ``CancelledError``
    after a cancel, when the best head so far, if there is one, has been kept as a run.
    """
    check_run_folder(request.out)
    gathered = gather(request.data, request.labels, request.recipe)
    for sentence in gathered.warnings:
        progress.update(0, len(gathered.training), f"Warning: {sentence}")
    extractor = make_extractor(
        encoder=request.recipe.encoder,
        weights=request.recipe.weights,
        resolution_m=request.recipe.resolution_m,
        device=request.device,
    )
    started = time.perf_counter()
    source = _FeatureSource(extractor, request.cache or default_cache(), progress)
    material = _read_features(gathered, source, request)
    features_seconds = time.perf_counter() - started

    start_run(request.out, request.recipe)
    trainer = _Trainer(request, gathered, material, progress)
    cancelled: CancelledError | None = None
    try:
        trainer.train()
    except CancelledError as error:
        if trainer.best is None:
            raise
        cancelled = error
    if trainer.best is None:
        raise ValueError("a recipe without a single iteration")
    validation = None if cancelled else _validate(trainer.best, gathered, material, extractor.device)
    card = _card(
        request,
        gathered,
        extractor,
        trainer=trainer,
        validation=validation,
        features_seconds=features_seconds,
        state="cancelled" if cancelled else "finished",
    )
    finish_run(request.out, head=trainer.best, card=card)
    if cancelled:
        raise cancelled
    return {
        "run": str(request.out),
        "tiles": len(gathered.training),
        "classes": card.classes,
        "missing_classes": card.missing_classes,
        "warnings": card.warnings,
        "features_seconds": card.features_seconds,
        "head_seconds": card.head_seconds,
        "validation": validation,
        "device": card.device,
    }


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


def _read_features(gathered: TrainingData, source: _FeatureSource, request: FitRequest) -> _Material:
    count = len(gathered.training) + len(gathered.validation)
    linear = request.recipe.head == "context-linear"
    chosen, stands_for = balanced_sample(
        [tile.cells.classes for tile in gathered.training],
        limit=request.recipe.max_cells,
        generator=np.random.default_rng(request.seed),
    )
    device = source.extractor.device
    parts: list[TrainingCells] = []
    tiles: list[TrainingTile] = []
    for index, (tile, cells) in enumerate(zip(gathered.training, chosen, strict=True)):
        source.progress.update(index, count, f"Reading the features of tile {tile.name}")
        features = torch.from_numpy(source.features(tile)).to(device)
        if linear:
            parts.append(_cells_of(tile.cells, cells, features, request.recipe.windows, stands_for))
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

    def __init__(self, request: FitRequest, gathered: TrainingData, material: _Material, progress: Progress) -> None:
        self._request, self._gathered, self._material, self._progress = request, gathered, material, progress
        self._start = time.perf_counter()
        self.best: Head | None = None
        self.seconds = 0.0

    def train(self) -> None:
        recipe, material = self._request.recipe, self._material
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
                    generator=torch.Generator().manual_seed(self._request.seed),
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
        add_metrics(self._request.out, line)
        self._progress.metrics(line)
        total = self._request.recipe.iterations if step == "iteration" else self._request.recipe.epochs
        self._progress.update(done, total, f"Training the head, loss {loss:.3f}")

    def _miou(self, head: Head) -> float | None:
        """Mean IoU on the validation tiles by cell: every labelled pixel counts, with its cell's prediction."""
        if not self._gathered.validation:
            return None
        matrix = np.zeros((CLASS_COUNT, CLASS_COUNT + 1), np.int64)
        device = next(head.parameters()).device
        for tile, features in zip(self._gathered.validation, self._material.validation, strict=True):
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


def _card(
    request: FitRequest,
    gathered: TrainingData,
    extractor: FeatureExtractor,
    *,
    trainer: _Trainer,
    validation: dict[str, Any] | None,
    features_seconds: float,
    state: Any,
) -> RunCard:
    if trainer.best is None:
        raise InputError("There is no trained head to describe.")
    amounts = gathered.amounts()
    both = (*gathered.training, *gathered.validation)
    return RunCard(
        state=state,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe_name=request.recipe.name,
        encoder=request.recipe.encoder,
        encoder_identity=extractor.encoder.identity,
        encoder_parameters=extractor.encoder.card.parameters,
        encoder_licence=extractor.encoder.card.licence,
        head=trainer.best.kind,
        head_parameters=sum(p.numel() for p in trainer.best.parameters()),
        seed=request.seed,
        device=extractor.device.type,
        training_tiles={tile.name: tile.image_fingerprint for tile in gathered.training},
        validation_tiles={tile.name: tile.image_fingerprint for tile in gathered.validation},
        label_fingerprints={tile.name: tile.mask_fingerprint for tile in both},
        label_source="given" if request.labels is None else str(request.labels),
        classes=amounts,
        missing_classes=[name for name in CLASS_NAMES if not amounts[name]["pixels"]],
        warnings=list(gathered.warnings),
        validation=validation,
        features_seconds=round(features_seconds, 2),
        head_seconds=round(trainer.seconds, 2),
        versions={"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}},
    )
