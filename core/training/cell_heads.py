"""Fitting the recipe's head on labelled cells: linear, prototype or nearest neighbours.

A linear head may be the mean of several on draws of the labels (``bagging``), begin at another run's head and stay near
it (``starting_head``), and learn in rounds from what it is sure of itself (``pseudo_labels``), or all of these at once:
every round fits all members, each from the start.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from core.errors import InputError
from core.training.bagging import fit_bagged
from core.training.fitted import FitTask
from core.training.joined_features import Extractor
from core.training.linear import TrainingCells, fit_linear
from core.training.material import TileSource
from core.training.neighbours import fit_neighbours
from core.training.prototype import fit_prototype
from core.training.pseudo_labels import PseudoLabels, self_train
from core.training.recipe import Recipe
from core.training.runs import read_head, read_recipe, read_run
from core.training.training_data import LabelledTile
from models.heads import ContextLinearHead, Head

_SEEN_ALIKE = (
    *(
        "resolution_m",
        "more_resolutions_m",
        "stages",
        "texture_stages",
        "cell_m",
        "grey",
        "standardise",
        "tile_metadata",
    ),
    "windows",
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches a fit on cells; each may raise ``CancelledError``.

    ``point(number, loss, head)`` is a point of the curve with the best head so far, ``keep`` a head that is worth
    keeping without a point of its own, ``step(done, total, sentence)`` progress between points.
    """

    point: Callable[[int, float, Head], None]
    keep: Callable[[Head], None]
    step: Callable[[float, float, str], None]


@dataclass(frozen=True, slots=True)
class CellFit:
    """A head, what there is to measure of its fit, and warnings for whoever reads its card."""

    head: Head
    measured: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def fit_cells(
    cells: TrainingCells,
    labels: tuple[NDArray[Any], ...],
    *,
    task: FitTask,
    source: TileSource,
    start: ContextLinearHead | None,
    watch: Watch,
) -> CellFit:
    """Fit the recipe's head on ``cells``, which it may change.

    ``labels`` are the classes of the training tiles' cells, ``(rows, columns)`` uint8 with 255 where there is none:
    where self-training may look. ``start`` is what ``starting_head_of`` gave.
    """
    recipe = task.recipe
    shared: dict[str, Any] = {
        "windows": recipe.windows,
        "balance": recipe.balance,
        "tile_variation": recipe.tile_variation,
    }
    generator = torch.Generator().manual_seed(task.seed)
    if recipe.kind == "prototype":
        return CellFit(fit_prototype(cells, **shared))
    if recipe.kind == "neighbours":
        return CellFit(fit_neighbours(cells, **shared, neighbours=recipe.neighbours, generator=generator))
    course = _LinearCourse(recipe, start, generator, watch)
    if recipe.members == 1 and not recipe.pseudo_rounds:
        return CellFit(course.one(cells, watch.point))
    if not recipe.pseudo_rounds:
        return CellFit(course.several(cells), {"members": recipe.members})
    head, used = self_train(
        cells,
        [
            _Unlabelled(number, tile, classes, source)
            for number, (tile, classes) in enumerate(zip(task.tiles.training, labels, strict=True))
        ],
        fit=course.several,
        rounds=recipe.pseudo_rounds,
        confidence=recipe.pseudo_confidence,
        windows=recipe.windows,
        balance=recipe.balance,
        generator=generator,
        report=course.round_done,
    )
    return CellFit(head, {"members": recipe.members, **_machine_made(used)}, _warnings(used))


def points_of(recipe: Recipe) -> int:
    """How many points a whole curve has: iterations, or else members and rounds."""
    plain = recipe.members == 1 and not recipe.pseudo_rounds
    return recipe.iterations if plain else recipe.members + recipe.pseudo_rounds


def starting_head_of(recipe: Recipe, extractor: Extractor) -> ContextLinearHead | None:
    """The head of the run that the recipe starts from; None where it starts from nought.

    Raises ``InputError`` for a folder that is no run, and for a run whose head is not linear or sees other features.
    """
    if not recipe.start or recipe.kind != "linear":
        return None
    folder = Path(recipe.start)
    card, other, head = read_run(folder).card, read_recipe(folder), read_head(folder)
    if not isinstance(head, ContextLinearHead):
        raise InputError(
            f"The run {folder} has no linear head to start from (start); choose another, or leave it empty."
        )
    if card.encoder_identity != extractor.encoder_identity:
        raise InputError(
            f"The run {folder}, which is to be started from (start), saw through another encoder ({card.encoder}); "
            "choose the same encoder, or another run."
        )
    for name in _SEEN_ALIKE:
        if getattr(other, name) != getattr(recipe, name):
            raise InputError(
                f"The run {folder}, which is to be started from (start), was trained with {name} "
                f"{getattr(other, name)} and this recipe has {getattr(recipe, name)}; make them alike."
            )
    return head.to(extractor.device)


class _LinearCourse:
    """Fits linear heads one after another and tells of them."""

    def __init__(
        self, recipe: Recipe, start: ContextLinearHead | None, generator: torch.Generator, watch: Watch
    ) -> None:
        self._recipe, self._start, self._generator, self._watch = recipe, start, generator, watch
        self._points = 0
        self._loss = 0.0
        self._first = True  # until all members are fitted once, each of them is worth keeping

    def one(
        self, cells: TrainingCells, report: Callable[[int, float, ContextLinearHead], None], begin: Any = None
    ) -> ContextLinearHead:
        recipe = self._recipe
        return fit_linear(
            cells,
            windows=recipe.windows,
            l2=recipe.l2,
            balance=recipe.balance,
            iterations=recipe.iterations,
            report=report,
            start=begin,
            tile_balance=recipe.tile_balance,
            tile_variation=recipe.tile_variation,
            prior=self._start,
        )

    def several(self, cells: TrainingCells) -> ContextLinearHead:
        """All members, averaged; only those that are first fitted make points of the curve."""
        head = fit_bagged(
            cells,
            members=self._recipe.members,
            generator=self._generator,
            fit=lambda drawn, begin: self.one(drawn, self._within, begin),
            report=self._member_done,
        )
        self._first = False
        return head

    def round_done(self, _round: int, head: ContextLinearHead, _used: PseudoLabels) -> None:
        self._point(head)

    def _within(self, done: int, loss: float, head: ContextLinearHead) -> None:
        self._loss = loss
        if not self._points:
            self._watch.keep(head)
        share = min(done / self._recipe.iterations, 1.0)
        self._watch.step(self._points + share, points_of(self._recipe), f"Training a head, loss {loss:.3f}")

    def _member_done(self, _number: int, head: ContextLinearHead) -> None:
        if self._first:
            self._point(head)

    def _point(self, head: ContextLinearHead) -> None:
        self._points += 1
        self._watch.point(self._points, self._loss, head)


@dataclass(frozen=True, slots=True)
class _Unlabelled:
    """A training tile for ``pseudo_labels``: its features are read whenever they are asked for."""

    number: int
    tile: LabelledTile
    labelled: NDArray[Any]
    source: TileSource

    @property
    def classes(self) -> torch.Tensor:
        return torch.from_numpy(self.labelled)

    def features(self) -> torch.Tensor:
        return torch.from_numpy(self.source.features(self.tile))


def _machine_made(used: PseudoLabels | None) -> dict[str, Any]:
    if used is None:
        return {"machine_made_labels": {}}
    return {"machine_made_labels": used.counts, "temperature": round(used.temperature.value, 3)}


def _warnings(used: PseudoLabels | None) -> tuple[str, ...]:
    if used is None:
        return (
            "No unlabelled cell was sure enough to become a label (pseudo_confidence); it learnt from yours alone.",
        )
    return () if used.temperature.warning is None else (used.temperature.warning,)
