"""Self-training: what a head is sure of on unlabelled cells becomes labels for the next head.

Lee 2013 (pseudo-labels), with the balance by class of Zou et al. 2018 (class-balanced self-training): without it the
common classes grow round by round and the rare ones vanish. A head is surer of itself than it is right, so sureness is
first scaled by a temperature (Guo et al. 2017) that is fitted on tiles left out in turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from scipy.optimize import minimize_scalar
from torch import Tensor

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED
from core.training.linear import TrainingCells, balanced_weights, join_cells
from models.heads import ContextLinearHead, Head, context_vectors

FitCells = Callable[[TrainingCells], ContextLinearHead]
"""Fits a head on cells that it may change."""

MOST_PER_RAREST = 3.0
"""A class takes at most so many times the machine-made labels of the class that has fewest."""

MOST_CELLS = 12_000
"""Machine-made labels at most, of all tiles together: a fit's time and memory grow with them."""

WEIGHT = 0.5
"""What the machine-made labels of a class weigh together, as a share of what people's labels of it weigh."""

FOLDS = 5
_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures that are looked among


class UnlabelledTile(Protocol):
    """A tile whose unlabelled cells may take machine-made labels."""

    @property
    def number(self) -> int:
        """As in ``TrainingCells.tiles``."""

    @property
    def classes(self) -> Tensor:
        """``(rows, columns)`` int64 or uint8, 255 where nobody has labelled; other cells are left alone."""

    def features(self) -> Tensor:
        """``(channels, rows, columns)``; asked for twice a round, so that they need not stay in memory."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """What logits are divided by before their softmax counts as confidence; ``warning`` says where it is a guess."""

    value: float
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Machine-made labels, None where the head is sure of nothing; how many by class, and at which temperature."""

    cells: TrainingCells | None
    counts: dict[str, int]
    temperature: Temperature


def self_train(
    cells: TrainingCells,
    tiles: Sequence[UnlabelledTile],
    *,
    fit: FitCells,
    rounds: int,
    confidence: float,
    windows: tuple[int, ...],
    balance: float,
    generator: torch.Generator,
    report: Callable[[int, ContextLinearHead, PseudoLabels], None],
) -> tuple[ContextLinearHead, PseudoLabels | None]:
    """Fit on people's labels, then ``rounds`` times on those and on what the head before is sure of.

    Every round chooses anew, so a mistake of one round need not stay. The temperature is fitted once, on people's
    labels. Stops early where the head is sure of nothing. ``report(round, head, labels it learnt from)`` comes after
    each round and may raise to stop. Returns the last head and the machine-made labels that it learnt from (None
    without any); ``cells`` stays as it is, and each fit works on a copy.
    """
    head = fit(_copy(cells))
    if not rounds:
        return head, None
    temperature = held_out_temperature(cells, fit=fit, balance=balance)
    used: PseudoLabels | None = None
    for done in range(1, rounds + 1):
        found = choose_pseudo_labels(
            head,
            tiles,
            own=cells,
            temperature=temperature,
            confidence=confidence,
            windows=windows,
            generator=generator,
        )
        if found.cells is None:
            break
        head, used = fit(join_cells([cells, found.cells])), found
        report(done, head, found)
    return head, used


def choose_pseudo_labels(
    head: Head,
    tiles: Sequence[UnlabelledTile],
    *,
    own: TrainingCells,
    temperature: Temperature,
    confidence: float,
    windows: tuple[int, ...],
    generator: torch.Generator,
    most_per_rarest: float = MOST_PER_RAREST,
    most_cells: int = MOST_CELLS,
    weight: float = WEIGHT,
) -> PseudoLabels:
    """Take unlabelled cells of which the head is sure as labelled, balanced by class, drawn evenly over the tiles.

    Args:
        head: gives logits.
        tiles: where to look.
        own: people's labels, which say what a class weighs.
        temperature: of the head's logits.
        confidence: the least calibrated probability of the likeliest class.
        windows: of the context vectors, as those of ``own``.
        generator: which of more sure cells than are wanted; on the CPU.
        most_per_rarest: most cells of a class per cell of the class with fewest sure cells (that has any).
        most_cells: of all classes and tiles together.
        weight: of a class's machine-made labels together, as a share of its own labels' weight.
    """
    place, predicted = _sure_cells(head, tiles, temperature.value, confidence)
    counts = torch.bincount(predicted, minlength=CLASS_COUNT)
    kinds = int((counts > 0).sum())
    if not kinds:
        return PseudoLabels(None, dict.fromkeys(CLASS_NAMES, 0), temperature)
    limit = min(int(most_per_rarest * int(counts[counts > 0].min())), most_cells // kinds)
    kept = []
    for index in counts.nonzero()[:, 0].tolist():
        mine = (predicted == index).nonzero()[:, 0]
        kept.append(mine[torch.randperm(len(mine), generator=generator)[: max(limit, 1)]])
    chosen = torch.cat(kept).sort().values
    place, predicted = place[chosen], predicted[chosen]
    counts = torch.bincount(predicted, minlength=CLASS_COUNT)
    area = torch.zeros(CLASS_COUNT).index_add_(0, own.classes.cpu(), own.weights.cpu())
    each = weight * area / counts.clamp(min=1)
    parts = []
    for index, tile in enumerate(tiles):
        here = place[:, 0] == index
        if here.any():
            parts.append(_cells_of(tile, place[here, 1], predicted[here], each, windows, device=own.vectors.device))
    by_class = dict(zip(CLASS_NAMES, counts.tolist(), strict=True))
    return PseudoLabels(join_cells(parts), by_class, temperature)


def held_out_temperature(cells: TrainingCells, *, fit: FitCells, balance: float, folds: int = FOLDS) -> Temperature:
    """The temperature of heads of this kind on tiles that they have not seen.

    The tiles are parted into at most ``folds`` groups; the cells of each are judged by a head fitted on the others. A
    cell of a class that those others lack tells nothing of sureness and is left out. With one tile only, or nothing
    left to judge, the temperature is 1, with a warning.
    """
    tiles = [] if cells.tiles is None else torch.unique(cells.tiles).tolist()
    if len(tiles) < 2:
        return Temperature(
            1.0, "Confidence could not be calibrated, since the labels lie in one tile only; label a second tile."
        )
    assert cells.tiles is not None  # noqa: S101
    logits, held_out = [], []
    for fold in range(min(folds, len(tiles))):
        outside = torch.isin(cells.tiles, torch.tensor(tiles[fold::folds], device=cells.tiles.device))
        others = cells.taken(~outside)
        known = torch.bincount(others.classes, minlength=CLASS_COUNT) > 0
        judged = cells.taken(outside & known[cells.classes])
        if int(known.sum()) < 2 or not len(judged.classes):
            continue
        logits.append(_logits(fit(others), judged.vectors))
        held_out.append(judged)
    if not held_out:
        return Temperature(
            1.0, "Confidence could not be calibrated, since no class is labelled in two tiles; label more of them."
        )
    judged = join_cells(held_out)
    weights, _ = balanced_weights(judged, balance=balance)
    return Temperature(fit_temperature(torch.cat(logits), judged.classes, weights))


def fit_temperature(logits: Tensor, classes: Tensor, weights: Tensor) -> float:
    """The temperature at which the weighted cross-entropy of ``logits / temperature`` is least (Guo et al. 2017).

    ``logits`` is ``(n, 6)``, ``classes`` and ``weights`` are ``(n,)``.
    """

    def loss(exponent: float) -> float:
        scaled = logits * (2.0**-exponent)
        return float(F.cross_entropy(scaled, classes, reduction="none") @ weights)

    bounds = tuple(float(torch.tensor(limit).log2()) for limit in (_LOWEST, _HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(2.0**found.x)


@torch.inference_mode()
def _sure_cells(
    head: Head, tiles: Sequence[UnlabelledTile], temperature: float, confidence: float
) -> tuple[Tensor, Tensor]:
    """Tile index and flat cell ``(n, 2)`` of each unlabelled cell that is sure enough, and its class ``(n,)``."""
    places, classes = [torch.zeros((0, 2), dtype=torch.int64)], [torch.zeros(0, dtype=torch.int64)]
    device = next(head.parameters()).device
    for index, tile in enumerate(tiles):
        logits = head(tile.features().to(device).float()[None])[0].flatten(1).cpu()
        probability, predicted = (logits / temperature).softmax(dim=0).max(dim=0)
        free = tile.classes.flatten().cpu() == UNLABELLED
        sure = (free & (probability >= confidence)).nonzero()[:, 0]
        places.append(torch.stack([torch.full_like(sure, index), sure], dim=1))
        classes.append(predicted[sure])
    return torch.cat(places), torch.cat(classes)


def _cells_of(
    tile: UnlabelledTile,
    cells: Tensor,
    classes: Tensor,
    weight_of_class: Tensor,
    windows: tuple[int, ...],
    *,
    device: torch.device,
) -> TrainingCells:
    features = tile.features().to(device).float()
    return TrainingCells(
        context_vectors(features, cells.to(device), windows),
        classes.to(device),
        weight_of_class[classes].to(device),
        tiles=torch.full_like(classes, tile.number).to(device),
        instances=torch.full_like(classes, -1).to(device),
        machine_made=torch.ones_like(classes, dtype=torch.bool).to(device),
    )


def _logits(head: ContextLinearHead, vectors: Tensor) -> Tensor:
    """The head's logits of context vectors ``(n, windows * channels)``: ``(n, 6)``."""
    return vectors @ head.weight.detach().transpose(1, 2).flatten(0, 1) + head.bias.detach()


def _copy(cells: TrainingCells) -> TrainingCells:
    return cells.taken(torch.ones_like(cells.classes, dtype=torch.bool))
