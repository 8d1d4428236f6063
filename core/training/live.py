"""A linear head that keeps up with somebody who paints: refitted on all labels so far, in a fraction of a second.

The same loss and the same features as ``fit`` with the recipe 'head'. Three things make it quick. The sample of cells
is bounded and *steady*: every cell of a tile has a random rank of its own for good, and the first of each class are
taken, so a stroke changes few of them and only those vectors are computed. L-BFGS starts from the head before, and
since the problem is convex it is on its way to the same optimum. And features are never computed twice.

After a tile has left the training labels (it was held out, say) the next fit starts from nothing, so that no trace of
it is left in the head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED
from core.errors import InputError
from core.training.cells import LabelledCells
from core.training.linear import TrainingCells, fit_linear
from core.training.recipe import Recipe
from models.heads import ContextLinearHead

MAX_CELLS = 4_000
"""Cells that the head is fitted on: its time grows with them, `live_accuracy` in benchmarks tells what is lost."""

FIRST_ITERATIONS = 60
"""Of L-BFGS from nothing: settled on every workspace that was tried."""

ITERATIONS = 12
"""Of L-BFGS from the head before."""

_SPARE = 1.25  # vectors are computed and kept for so many more cells, since shares shift a little with every stroke
_SEED = 0

Cells = NDArray[np.int64]
"""Flat indices into a tile's ``rows x columns`` of cells, ascending."""

ReadVectors = Callable[[int, Tensor], Tensor]
"""Gives the context vectors of some cells of the tile of an id: ``(n, windows * channels)`` float32."""


class NeedsLabelsError(InputError):
    """There are not enough labels yet to tell anything apart."""


@dataclass(frozen=True, slots=True)
class _Labels:
    """The labelled cells of one tile, and where each stands in the tile's fixed random order (0 to 1)."""

    cells: Cells
    classes: NDArray[np.int64]
    weights: NDArray[np.float64]
    order: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Vectors:
    """The vectors of some cells of one tile."""

    cells: Cells
    values: Tensor


class LiveTrainer:
    """The labels so far of some tiles, by the tile's id, and the head that was last fitted to them."""

    def __init__(self, recipe: Recipe, read_vectors: ReadVectors, *, max_cells: int = MAX_CELLS) -> None:
        self._recipe, self._read_vectors, self._max_cells = recipe, read_vectors, max_cells
        self._labels: dict[int, _Labels] = {}
        self._vectors: dict[int, _Vectors] = {}
        self._head: ContextLinearHead | None = None

    @property
    def tiles(self) -> frozenset[int]:
        """The tiles whose labels train."""
        return frozenset(self._labels)

    @property
    def labelled_cells(self) -> int:
        """How many cells are labelled, in the sample or not."""
        return sum(labels.cells.size for labels in self._labels.values())

    @property
    def held_bytes(self) -> int:
        """What the vectors take in memory."""
        return sum(kept.values.numel() * kept.values.element_size() for kept in self._vectors.values())

    def learn_from(self, tile: int, labelled: LabelledCells) -> None:
        """Take the labels of a tile as they are now; a tile that has none any more is forgotten."""
        flat = labelled.classes.ravel()
        cells = np.flatnonzero(flat != UNLABELLED)
        if not cells.size:
            self.forget(tile)
            return
        order = np.random.default_rng((_SEED, tile)).random(flat.size)[cells]
        weights = labelled.weights.ravel()[cells].astype(np.float64)
        self._labels[tile] = _Labels(cells, flat[cells].astype(np.int64), weights, order)

    def forget(self, tile: int) -> None:
        """Train on the labels of a tile no more; the next fit starts from nothing."""
        if self._labels.pop(tile, None) is not None:
            self._head = None
        self._vectors.pop(tile, None)

    def fit(self) -> ContextLinearHead:
        """Fit a head to all labels so far. Raises ``NeedsLabelsError`` where fewer than two classes are labelled."""
        chosen, spare, stands_for = steady_sample(
            {tile: (labels.classes, labels.order) for tile, labels in self._labels.items()}, limit=self._max_cells
        )
        self._check_classes()
        parts = []
        for tile, labels in self._labels.items():
            self._hold(tile, labels.cells[chosen[tile]], spare=labels.cells[spare[tile]])
            parts.append(self._training_cells(tile, chosen[tile], stands_for))
        joined = TrainingCells(*(torch.cat([getattr(part, name) for part in parts]) for name in _FIELDS))
        self._head = fit_linear(
            joined,
            windows=self._recipe.windows,
            l2=self._recipe.l2,
            balance=self._recipe.balance,
            iterations=FIRST_ITERATIONS if self._head is None else ITERATIONS,
            report=_say_nothing,
            start=self._head,
        )
        return self._head

    def _check_classes(self) -> None:
        present = np.zeros(CLASS_COUNT, np.bool_)
        for labels in self._labels.values():
            present[labels.classes] = True
        if present.sum() < 2:
            only = [name for name, is_there in zip(CLASS_NAMES, present, strict=True) if is_there]
            so_far = f"Only {only[0]} is labelled so far" if only else "Nothing is labelled so far"
            raise NeedsLabelsError(f"{so_far}; label two classes, then the model suggests the rest.")

    def _hold(self, tile: int, wanted: Cells, *, spare: Cells) -> None:
        """Have the vectors of the wanted cells, and of a few more, computing only those that are not there."""
        held = self._vectors.get(tile)
        if held is not None and np.isin(wanted, held.cells, assume_unique=True).all():
            if held.cells.size <= 2 * spare.size:
                return
            keep = np.isin(held.cells, spare, assume_unique=True)
            self._vectors[tile] = _Vectors(held.cells[keep], held.values[torch.from_numpy(keep)])
            return
        if held is None:
            self._vectors[tile] = _Vectors(spare, self._read_vectors(tile, torch.from_numpy(spare)))
            return
        kept = np.isin(held.cells, spare, assume_unique=True)
        missing = np.setdiff1d(spare, held.cells, assume_unique=True)
        cells = np.concatenate([held.cells[kept], missing])
        new = self._read_vectors(tile, torch.from_numpy(missing))
        values = torch.cat([held.values[torch.from_numpy(kept)], new])
        order = np.argsort(cells)
        self._vectors[tile] = _Vectors(cells[order], values[torch.from_numpy(order)])

    def _training_cells(self, tile: int, chosen: NDArray[np.bool_], stands_for: NDArray[np.float64]) -> TrainingCells:
        labels, held = self._labels[tile], self._vectors[tile]
        place = np.searchsorted(held.cells, labels.cells[chosen])
        classes = labels.classes[chosen]
        weights = labels.weights[chosen] * stands_for[classes]
        return TrainingCells(
            held.values[torch.from_numpy(place)],
            torch.from_numpy(classes),
            torch.from_numpy(weights.astype(np.float32)),
        )


_FIELDS = ("vectors", "classes", "weights")


def steady_sample(
    tiles: Mapping[int, tuple[NDArray[np.int64], NDArray[np.float64]]], *, limit: int
) -> tuple[dict[int, NDArray[np.bool_]], dict[int, NDArray[np.bool_]], NDArray[np.float64]]:
    """Choose at most about ``limit`` labelled cells over several tiles, as evenly by class as there are cells.

    As ``cells.balanced_sample``, but a cell that was chosen is chosen again unless its class's share shrinks: each tile
    comes with the classes of its labelled cells and with their fixed random order. Returns for each tile which of them
    are chosen and which are worth having vectors of (a quarter more), and for each class the number of its cells that
    one chosen cell stands for.
    """
    classes = np.concatenate([classes for classes, _ in tiles.values()] or [np.zeros(0, np.int64)])
    order = np.concatenate([order for _, order in tiles.values()] or [np.zeros(0)])
    chosen, spare = np.zeros(classes.size, np.bool_), np.zeros(classes.size, np.bool_)
    stands_for = np.ones(CLASS_COUNT)
    available = np.bincount(classes, minlength=CLASS_COUNT)
    room, left = limit, int((available > 0).sum())
    for index in np.argsort(available, kind="stable"):
        if available[index] == 0:
            continue
        quota = min(int(available[index]), room // left)
        members = np.flatnonzero(classes == index)
        members = members[np.argsort(order[members], kind="stable")]
        chosen[members[:quota]] = True
        spare[members[: int(quota * _SPARE)]] = True
        stands_for[index] = available[index] / max(quota, 1)
        room, left = room - quota, left - 1
    bounds = np.cumsum([classes.size for classes, _ in tiles.values()])[:-1]
    parts = (dict(zip(tiles, np.split(mask, bounds), strict=True)) if tiles else {} for mask in (chosen, spare))
    return next(parts), next(parts), stands_for


def _say_nothing(_iteration: int, _loss: float, _head: ContextLinearHead) -> None:
    """A fit of a fraction of a second has no curve."""
