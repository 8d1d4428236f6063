"""Fit: tiles and labels in, a run folder out."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.catalog.splitting.users import SplitRecord
from core.classes import CLASS_NAMES
from core.errors import CancelledError, InputError
from core.progress import Progress
from core.training.cached_fit import fit_cached
from core.training.checkpoints import remove_checkpoint
from core.training.encoder_weights import fetch_recipe_weights
from core.training.feature_cache import FeatureCache, default_cache
from core.training.fitted import FitTask, Fitted
from core.training.folds import fit_folds
from core.training.provenance import provenance
from core.training.recipe import Recipe
from core.training.runs import RunCard, check_run_folder, finish_run, read_run
from core.training.training_data import TrainingData, gather

_VERSIONED = ("torch", "timm", "segmentation-models-pytorch", "numpy")


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What to fit, from what, and where to put it.

    ``labels`` is a folder of masks by tile name, None for the masks beside the images. ``cache`` is where
    features are kept, None for the user's own cache. ``resume`` goes on from the checkpoint in ``out``; a fit of a
    head on cached features has none, since it takes seconds, and begins anew. ``split`` is the named split that the
    recipe's tiles follow, for the card.
    """

    data: Path
    out: Path
    recipe: Recipe
    labels: Path | None = None
    seed: int = 0
    device: str = "auto"
    cache: FeatureCache | None = None
    resume: bool = False
    split: SplitRecord | None = None


def fit_task(task: FitTask) -> Fitted:
    """Train what the task's recipe says."""
    network = task.recipe.kind == "network"
    if task.recipe.folds > 1 or (network and task.recipe.members > 1):
        return fit_folds(task)
    if network:
        # Imported late: the networks' libraries take seconds that a head on cached features need not wait for.
        from core.training.network_fit import fit_network  # noqa: PLC0415

        return fit_network(task)
    return fit_cached(task)


def fit(request: FitRequest, progress: Progress, *, train: Callable[[FitTask], Fitted] = fit_task) -> dict[str, Any]:
    """Train a model and write its run folder; returns the result that the command line prints.

    ``train`` is what trains, where it is not simply what the recipe says.

    Features of a frozen encoder are taken from the cache or computed into it; only what is labelled trains. The fixed
    seed makes two runs on one CPU equal bit for bit. Raises ``InputError`` for labels that do not suffice, and
    ``CancelledError`` after a cancel, when the best model so far, if there is one, has been kept as a run.
    """
    check_run_folder(request.out)
    if request.resume:
        check_unfinished(request.out)
    gathered = gather(request.data, request.labels, request.recipe)
    fetch_recipe_weights(request.recipe, progress)
    for sentence in gathered.warnings:
        progress.update(0, len(gathered.training), f"Warning: {sentence}")
    task = FitTask(
        recipe=request.recipe,
        tiles=gathered,
        out=request.out,
        seed=request.seed,
        device=request.device,
        cache=request.cache or default_cache(),
        progress=progress,
        resume=request.resume,
    )
    fitted = train(task)
    card = _card(request, gathered, fitted)
    finish_run(request.out, head=fitted.model, card=card)
    if fitted.failure:
        raise InputError(f"{fitted.failure} The best so far is kept in {request.out}.")
    if fitted.cancelled:
        raise CancelledError
    remove_checkpoint(request.out)
    return {
        "run": str(request.out),
        "tiles": len(gathered.training),
        "classes": card.classes,
        "missing_classes": card.missing_classes,
        "warnings": card.warnings,
        "features_seconds": card.features_seconds,
        "head_seconds": card.head_seconds,
        "validation": fitted.validation,
        "device": card.device,
    }


def check_unfinished(folder: Path) -> None:
    """Raise ``InputError`` where the run in a folder has ended, so that there is nothing to go on with."""
    try:
        state = read_run(folder).card.state
    except InputError:
        return
    if state == "finished":
        raise InputError(f"The run {folder} is finished; there is nothing to resume. Train anew without --resume.")


def _card(request: FitRequest, gathered: TrainingData, fitted: Fitted) -> RunCard:
    amounts = gathered.amounts()
    both = (*gathered.training, *gathered.validation)
    return RunCard(
        state="cancelled" if fitted.cancelled or fitted.failure else "finished",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe_name=request.recipe.name,
        encoder=request.recipe.encoder,
        encoder_identity=fitted.encoder_identity,
        encoder_parameters=fitted.encoder_parameters,
        encoder_licence=fitted.encoder_licence,
        head=fitted.model.kind,
        head_parameters=fitted.trained_parameters,
        seed=request.seed,
        device=fitted.device,
        training_tiles={tile.name: tile.image_fingerprint for tile in gathered.training},
        validation_tiles={tile.name: tile.image_fingerprint for tile in gathered.validation},
        label_fingerprints={tile.name: tile.mask_fingerprint for tile in both},
        label_source="given" if request.labels is None else str(request.labels),
        classes=amounts,
        missing_classes=[name for name in CLASS_NAMES if not amounts[name]["pixels"]],
        warnings=[*gathered.warnings, *fitted.warnings, *([fitted.failure] if fitted.failure else [])],
        validation=fitted.validation,
        features_seconds=round(fitted.features_seconds, 2),
        head_seconds=round(fitted.training_seconds, 2),
        versions={"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}},
        measured=fitted.measured,
        split=request.split,
        **provenance(
            request.recipe,
            images={tile.name: tile.image_fingerprint for tile in both},
            labels={tile.name: tile.mask_fingerprint for tile in both},
        ),
    )
