"""Folds by whole tile: every part of the training tiles is left out once, and the members' average is the model.

Tiles are parted, never pixels, since pixels of one tile are alike. Each member is judged on the tiles that it never
saw; one confusion matrix over all of them is the cross-validation score of the recipe (Stone 1974). The average has
seen all tiles, so that score tells of the recipe and not of the average.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.catalog.images import read_mask
from core.classes import CLASS_NAMES
from core.errors import CancelledError, InputError
from core.evaluation import confusion, scores
from core.evaluation.intervals import interval_of_miou
from core.inference.predict import head_logits, upsampled_probabilities
from core.progress import Progress
from core.training.bagging import average_heads
from core.training.cached_fit import fit_cached
from core.training.fitted import FitTask, Fitted
from core.training.joined_features import make_recipe_extractor
from core.training.material import TileSource
from core.training.training_data import LabelledTile
from models.checkpoint import Trained
from models.heads import ContextLinearHead, EnsembleHead, Head
from models.networks import SegmentationNetwork


@dataclass(frozen=True, slots=True)
class PartProgress:
    """A part of longer work: its steps count from ``start`` of ``total``, as one step; its figures are its own."""

    whole: Progress
    start: int
    total: int
    name: str

    def update(self, done: float, total: float, message: str) -> None:
        """Tell the whole; may raise ``CancelledError``."""
        share = min(done / total, 1.0) if total else 0.0
        self.whole.update(self.start + share, self.total, f"{self.name}: {message}")

    def metrics(self, values: dict[str, Any]) -> None:
        """A part's curve is not the whole's."""


def fit_folds(task: FitTask) -> Fitted:
    """Train a member for every part of the training tiles that is left out, and average them.

    Linear heads become one linear head, so that prediction costs no more; others an ``EnsembleHead``. The curve has a
    point a member. Raises ``InputError`` for a network, for fewer tiles than folds, and where without a part fewer than
    two classes are labelled; ``CancelledError`` where no member is ready. Else the members so far are kept.
    """
    parts = _checked_parts(task)
    run = _FoldsRun(task, parts)
    cancelled = False
    try:
        for number in range(len(parts)):
            run.member(number)
    except CancelledError:
        if not run.fitted:
            raise
        cancelled = True
    return run.result(cancelled=cancelled or any(member.cancelled for member in run.fitted))


def part_tiles(dominant: Sequence[str], folds: int, *, seed: int) -> list[list[int]]:
    """Part tiles, given each one's dominant class, into ``folds`` groups of their indices, ascending.

    The sizes of the groups differ by at most one, and so do the numbers of a class's tiles in them: class by class, the
    rarest first, tiles are dealt in random order, each to the group with the fewest of its class so far, and among
    those to the smallest. With at least as many tiles as groups none is empty.
    """
    order = np.random.default_rng(seed).permutation(len(dominant)).tolist()
    often = Counter(dominant)
    groups: list[list[int]] = [[] for _ in range(folds)]
    for index in sorted(order, key=lambda index: (often[dominant[index]], dominant[index])):
        alike = [sum(dominant[other] == dominant[index] for other in group) for group in groups]
        groups[min(range(folds), key=lambda g: (alike[g], len(groups[g])))].append(index)
    return [sorted(group) for group in groups]


def dominant_class(pixels: dict[str, int]) -> str:
    """The class with the most labelled pixels; the first in class order where several have."""
    return max(CLASS_NAMES, key=lambda name: pixels[name])


def average_members(members: Sequence[Head]) -> Head:
    """The heads as one: the mean of linear heads is a linear head, others become an ``EnsembleHead``."""
    linear = [member for member in members if isinstance(member, ContextLinearHead)]
    if len(members) == 1:
        return members[0]
    return average_heads(linear) if len(linear) == len(members) else EnsembleHead(members=members).eval()


def _checked_parts(task: FitTask) -> list[list[int]]:
    recipe, tiles = task.recipe, task.tiles.training
    if recipe.kind == "network":
        raise InputError(
            "Folds average heads on cached features, and this recipe trains a network (train, folds); set folds to 1, "
            "or train several runs with other train_tiles and predict with all of them."
        )
    if len(tiles) < recipe.folds:
        raise InputError(
            f"{recipe.folds} folds need as many labelled tiles to train on, and there are {len(tiles)}; label more "
            "tiles, or take fewer folds."
        )
    parts = part_tiles([dominant_class(tile.pixels) for tile in tiles], recipe.folds, seed=task.seed)
    for part in parts:
        others = [tile for index, tile in enumerate(tiles) if index not in part]
        labelled = [name for name in CLASS_NAMES if any(tile.pixels[name] for tile in others)]
        if len(labelled) < 2:
            names = ", ".join(tiles[index].name for index in part)
            raise InputError(
                f"Without the tiles of one fold ({names}) only {labelled[0]} is labelled, and nothing is left to tell "
                "apart; label more classes on the other tiles, or set folds to 1."
            )
    return parts


@dataclass(frozen=True, slots=True)
class _MemberTask(FitTask):
    """A member's fit: it has no folder of its own; the run's begins when the first member does."""

    whole: FitTask | None = None  # the run, for the member that begins it
    curve: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        if self.whole is not None:
            self.whole.begin()

    def measured(self, line: dict[str, Any]) -> None:
        self.curve.append(line)


class _FoldsRun:
    """The members so far, and what they made of the tiles that they never saw."""

    def __init__(self, task: FitTask, parts: list[list[int]]) -> None:
        self._task, self._parts = task, parts
        self._source = TileSource(make_recipe_extractor(task.recipe, device=task.device), task.cache, task.progress)
        self._began = time.perf_counter()
        self._told: list[dict[str, Any]] = []
        self._matrices: list[confusion.Confusion] = []
        self.fitted: list[Fitted] = []

    def member(self, number: int) -> None:
        task, left_out = self._task, set(self._parts[number])
        tiles = task.tiles.training
        name = f"Member {number + 1} of {len(self._parts)}"
        progress = PartProgress(task.progress, number, len(self._parts), name)
        one = _MemberTask(
            recipe=task.recipe.model_copy(update={"folds": 1}),
            tiles=replace(task.tiles, training=tuple(t for i, t in enumerate(tiles) if i not in left_out)),
            out=task.out,
            seed=task.seed,
            device=task.device,
            cache=task.cache,
            progress=progress,
            whole=None if self.fitted else task,
        )
        fitted = fit_cached(one)
        if fitted.cancelled and self.fitted:
            raise CancelledError  # whole members only, as long as there is one
        self.fitted.append(fitted)
        if fitted.cancelled:
            raise CancelledError
        judged = []
        for index in self._parts[number]:
            progress.update(1, 1, f"Judging it on tile {tiles[index].name}")
            judged.append(self._judged(_head(fitted.model), tiles[index]))
        self._matrices += judged
        self._told.append(
            {
                "left_out": [tiles[index].name for index in self._parts[number]],
                "miou": scores.from_confusion(_summed(judged)).miou,
                "seconds": round(fitted.training_seconds, 2),
                **fitted.measured,
            }
        )
        last = one.curve[-1] if one.curve else {}
        task.measured(
            {
                "iteration": number + 1,
                "loss": last.get("loss"),
                "validation_miou": last.get("validation_miou"),
                "left_out_miou": self._told[-1]["miou"],
                "seconds": round(time.perf_counter() - self._began, 2),
            }
        )

    def result(self, *, cancelled: bool) -> Fitted:
        model = average_members([_head(member.model) for member in self.fitted])
        first = self.fitted[0]
        return replace(
            first,
            model=model,
            cancelled=cancelled,
            trained_parameters=sum(p.numel() for p in model.parameters()),
            features_seconds=sum(member.features_seconds for member in self.fitted),
            training_seconds=sum(member.training_seconds for member in self.fitted),
            validation=None if cancelled else self._validation(model),
            measured={"members": len(self.fitted), "fold_members": self._told, "cross_validation": self._crossed()},
            warnings=tuple(dict.fromkeys(sentence for member in self.fitted for sentence in member.warnings)),
        )

    def _crossed(self) -> dict[str, Any] | None:
        """The score on left-out tiles, of the members that were judged; None before the first was."""
        if not self._matrices:
            return None
        summed = _summed(self._matrices)
        return {
            "tiles": sum(len(told["left_out"]) for told in self._told),
            **scores.from_confusion(summed).as_dict(),
            "interval": {"miou": interval_of_miou(self._matrices)},
            "confusion": summed.tolist(),
        }

    def _validation(self, model: Head) -> dict[str, Any] | None:
        tiles = self._task.tiles.validation
        if not tiles:
            return None
        matrix = _summed([self._judged(model, tile) for tile in tiles])
        return {"tiles": [tile.name for tile in tiles], **scores.from_confusion(matrix).as_dict()}

    def _judged(self, head: Head, tile: LabelledTile) -> confusion.Confusion:
        """The confusion of a tile's labels and the prediction at full size."""
        truth = read_mask(tile.mask_path, shape=tile.grid.size).raster
        logits = head_logits(head, self._source.features(tile), self._source.extractor.device)
        return confusion.count(truth, upsampled_probabilities(logits, tile.grid).argmax(axis=0).astype(np.uint8))


def _head(model: Trained) -> Head:
    if isinstance(model, SegmentationNetwork):
        raise TypeError("folds are for heads on cached features")
    return model


def _summed(matrices: Sequence[confusion.Confusion]) -> confusion.Confusion:
    summed: confusion.Confusion = np.sum(matrices, axis=0)
    return summed
