"""The default head: class-balanced multinomial logistic regression on context vectors, by L-BFGS.

With a frozen encoder the problem is convex: no learning rate, no schedule, no lucky seed. Strong L2 on
standardised vectors is what keeps a few hundred labelled instances from being learnt by heart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from core.classes import CLASS_COUNT
from models.heads import ContextLinearHead

REPORT_EVERY = 5
NEVER = -1e4
"""The bias of a class without labels: a logit so low that it is never predicted."""
_HISTORY = 10
_SETTLED = 1e-5  # relative fall of the loss in one iteration; float32 sums carry little beyond


@dataclass(frozen=True, slots=True)
class TrainingCells:
    """The cells a linear head learns from.

    ``vectors`` is ``(n, windows * channels)`` float32, ``classes`` ``(n,)`` int64 in 0..5, ``weights`` ``(n,)``
    float32: how much labelled area each cell stands for. Where it is known, ``tiles`` ``(n,)`` int64 numbers the tile
    of each cell, ``instances`` ``(n,)`` int64 its connected labelled region (-1 unknown; numbers count within a tile),
    and ``machine_made`` ``(n,)`` bool says which labels a model gave rather than a person.
    """

    vectors: Tensor
    classes: Tensor
    weights: Tensor
    tiles: Tensor | None = None
    instances: Tensor | None = None
    machine_made: Tensor | None = None

    def taken(self, chosen: Tensor) -> "TrainingCells":
        """A copy of some of the cells, by index or by mask."""
        return TrainingCells(
            self.vectors[chosen],
            self.classes[chosen],
            self.weights[chosen],
            *(None if known is None else known[chosen] for known in (self.tiles, self.instances, self.machine_made)),
        )


def join_cells(parts: Sequence[TrainingCells]) -> TrainingCells:
    """All cells of several lots, in order.

    A lot that does not know its instances has unknown ones, and one that does not say so has labels by people. Tiles
    are known where every lot knows its own.
    """
    tiles = [part.tiles for part in parts if part.tiles is not None]
    vectors, classes, weights = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("vectors", "classes", "weights")
    )
    return TrainingCells(
        vectors,
        classes,
        weights,
        tiles=torch.cat(tiles) if len(tiles) == len(parts) else None,
        instances=_joined([part.instances for part in parts], parts, otherwise=-1),
        machine_made=_joined([part.machine_made for part in parts], parts, otherwise=False),
    )


def _joined(values: list[Tensor | None], parts: Sequence[TrainingCells], *, otherwise: int | bool) -> Tensor | None:
    if all(value is None for value in values):
        return None
    return torch.cat(
        [
            torch.full_like(part.classes, otherwise, dtype=torch.int64 if otherwise == -1 else torch.bool)
            if value is None
            else value
            for value, part in zip(values, parts, strict=True)
        ]
    )


def fit_linear(
    cells: TrainingCells,
    *,
    windows: tuple[int, ...],
    l2: float,
    balance: float,
    iterations: int,
    report: Callable[[int, float, ContextLinearHead], None],
    start: ContextLinearHead | None = None,
    tile_balance: float = 0.0,
    tile_variation: float = 0.0,
    prior: ContextLinearHead | None = None,
) -> ContextLinearHead:
    """Minimise the weighted mean cross-entropy plus ``l2 / 2`` times the squared weights; the bias goes free.

    A class's cells together weigh its labelled area to the power ``1 - balance``, and within a class the cells of a
    tile theirs to the power ``1 - tile_balance``. ``tile_variation / 2`` times the squared ``tile_shifts`` of the
    logits are added to the loss. With a ``prior``, a head of the same windows, it is the weights' distance to the
    prior's that is penalised, and the fit begins there.

    ``report(iteration, loss, head)`` is called every few iterations and at the end, and may raise to stop.
    ``cells.vectors`` is standardised in place: a copy of the largest array of the fit would double its memory. With a
    ``start``, a head of the same windows fitted to almost the same cells, a few iterations do: the problem is convex,
    so all ways end in the same place. A class without labels is never predicted, whatever the start or prior knew.
    Raises ``ValueError`` where tiles are to count and ``cells`` does not know its tiles.
    """
    mean, deviation = standardise(cells.vectors)
    weights, present = balanced_weights(cells, balance=balance, tile_balance=tile_balance)
    absent = torch.where(present, 0.0, NEVER)
    shape = (cells.vectors.shape[1] + 1, CLASS_COUNT)  # the last row is the bias
    begin = prior if start is None else start
    objective = _Objective(
        vectors=cells.vectors,
        wanted=F.one_hot(cells.classes, CLASS_COUNT).float(),
        weights=weights,
        absent=absent,
        l2=l2,
        centre=None if prior is None else _slope(prior, deviation),
        shifts=tile_shifts(cells, weights) * tile_variation**0.5 if tile_variation else None,
    )

    def head_at(flat: NDArray[np.float64]) -> ContextLinearHead:
        point = torch.from_numpy(flat.reshape(shape)).float().to(cells.vectors.device)
        return folded(point[:-1], point[-1] + absent, mean=mean, deviation=deviation, windows=windows)

    done = 0

    def after_iteration(flat: NDArray[np.float64]) -> None:
        nonlocal done
        done += 1
        if done % REPORT_EVERY == 0:
            report(done, objective.last, head_at(flat))

    # SciPy's L-BFGS keeps its own short vectors out of torch, whose threads would take longer to wake than to add.
    found = minimize(
        objective,
        np.zeros(shape).ravel() if begin is None else _unfolded(begin, mean=mean, deviation=deviation),
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options={"maxiter": iterations, "maxcor": _HISTORY, "ftol": _SETTLED},
    )
    head = head_at(found.x)
    report(done, float(found.fun), head)
    return head


@dataclass(slots=True)
class _Objective:
    """The loss of ``fit_linear`` and its gradient at a point ``(windows * channels + 1, 6)``, flat."""

    vectors: Tensor
    wanted: Tensor
    weights: Tensor
    absent: Tensor
    l2: float
    centre: Tensor | None  # the slope that the penalty draws to, None for nought
    shifts: Tensor | None  # rows by which the logits of one class may not differ
    last: float = 0.0

    def __call__(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        point = torch.from_numpy(flat.reshape(-1, CLASS_COUNT)).float().to(self.vectors.device)
        slope, offset = point[:-1], point[-1]
        away = slope if self.centre is None else slope - self.centre
        log_probability = (self.vectors @ slope + offset + self.absent).log_softmax(dim=1)
        loss = -(log_probability * self.wanted).sum(dim=1) @ self.weights + self.l2 / 2 * away.square().sum()
        error = (log_probability.exp() - self.wanted) * self.weights[:, None]
        by_slope = (error.T @ self.vectors).T + self.l2 * away
        if self.shifts is not None:
            shifted = self.shifts @ slope
            loss = loss + shifted.square().sum() / 2
            by_slope = by_slope + self.shifts.T @ shifted
        gradient = torch.cat([by_slope, error.sum(dim=0)[None]])
        self.last = float(loss)
        return self.last, gradient.double().cpu().numpy().ravel()


def tile_shifts(cells: TrainingCells, weights: Tensor) -> Tensor:
    """How far the mean of one class lies from tile to tile: ``(pairs, windows * channels)``, a row a (class, tile).

    With the cells' ``weights`` summing to 1, the rows ``D`` are ``sqrt(p_ct) (m_ct - m_c)``: the means of class c in
    tile t and in all tiles, and the weight of the pair. So ``D' D`` is the between-tile, within-class scatter ``B``,
    and ``tr(W' B W) = ||D W||^2`` the variance between tiles of the mean logits of a class. To let directions of large
    ``B`` count less is the idea of within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006, where
    sessions stand for tiles) and of the domain scatter in domain generalisation (Ghifary et al. 2017, scatter
    component analysis); as a penalty on the logits it is a conditional variance penalty (Heinze-Deml and Meinshausen
    2021). One tile to a class gives a row of zeros. Raises ``ValueError`` where ``cells`` does not know its tiles.
    """
    pair = _class_and_tile(cells)
    count = int(pair.max()) + 1
    means = torch.empty((count, cells.vectors.shape[1]), device=cells.vectors.device)
    mass = torch.zeros(count, device=weights.device).index_add_(0, pair, weights).clamp(min=1e-12)
    class_of = torch.zeros_like(mass, dtype=torch.int64)
    for index in range(count):
        inside = (pair == index).nonzero()[:, 0]
        means[index] = weights[inside] @ cells.vectors[inside] / mass[index]
        class_of[index] = cells.classes[inside[0]]
    for index in range(CLASS_COUNT):
        of_class = class_of == index
        if of_class.any():
            means[of_class] -= mass[of_class] @ means[of_class] / mass[of_class].sum()
    return means * mass.sqrt()[:, None]


def balanced_weights(cells: TrainingCells, *, balance: float, tile_balance: float = 0.0) -> tuple[Tensor, Tensor]:
    """The weights ``(n,)`` of the cells in a fit, summing to 1, and which of the six classes have any.

    A class weighs its area to the power ``1 - balance``; of that, a tile's share goes by the class's area in the tile
    to the power ``1 - tile_balance``.
    """
    area = _sums(cells.weights, cells.classes, CLASS_COUNT)
    present = area > 0
    factor = torch.where(present, area.clamp(min=1e-9) ** -balance, 0.0)
    weights = cells.weights * factor[cells.classes]
    if tile_balance:
        pair = _class_and_tile(cells)
        within = cells.weights * _sums(cells.weights, pair, int(pair.max()) + 1).clamp(min=1e-9)[pair] ** -tile_balance
        share = area / _sums(within, cells.classes, CLASS_COUNT).clamp(min=1e-9)
        weights = within * (share * factor)[cells.classes]
    return weights / weights.sum(), present


def _class_and_tile(cells: TrainingCells) -> Tensor:
    """A number from 0 for each (class, tile) that occurs, ``(n,)`` int64."""
    if cells.tiles is None:
        raise ValueError("tiles are to count, but the cells do not say which tile they lie in")
    pair: Tensor = torch.unique(torch.stack([cells.classes, cells.tiles]), dim=1, return_inverse=True)[1]
    return pair


def _sums(values: Tensor, groups: Tensor, count: int) -> Tensor:
    return torch.zeros(count, device=values.device).index_add_(0, groups, values)


def independent_groups(cells: TrainingCells) -> Tensor:
    """For each cell the number of its instance, ``(n,)`` int64 from 0; a cell of unknown instance is one by itself.

    Cells of one instance look alike, so it is instances that count as independent draws.
    """
    place = torch.arange(len(cells.classes), device=cells.classes.device)
    unknown = torch.full_like(place, -1)
    tiles = unknown if cells.tiles is None else cells.tiles
    instances = unknown if cells.instances is None else cells.instances
    by_itself = torch.where(instances < 0, place, unknown)
    keys = torch.stack([cells.classes, tiles, instances, by_itself])
    group: Tensor = torch.unique(keys, dim=1, return_inverse=True)[1]
    return group


def standardise(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the mean and divide by the deviation, in place; gives both, ``(dimensions,)``."""
    mean = vectors.mean(dim=0)
    vectors -= mean
    deviation = vectors.square().mean(dim=0).sqrt().clamp(min=1e-4)
    vectors /= deviation
    return mean, deviation


def folded(
    slope: Tensor, offset: Tensor, *, mean: Tensor, deviation: Tensor, windows: tuple[int, ...]
) -> ContextLinearHead:
    """The head that does the same on raw features: standardisation taken into weights and bias."""
    raw = slope / deviation[:, None]
    channels = len(slope) // len(windows)
    head = ContextLinearHead(channels=channels, classes=CLASS_COUNT, windows=windows)
    with torch.no_grad():
        head.weight.copy_(raw.view(len(windows), channels, CLASS_COUNT).transpose(1, 2))
        head.bias.copy_(offset - mean @ raw)
    return head.eval()


def _slope(head: ContextLinearHead, deviation: Tensor) -> Tensor:
    """The head's weights on vectors divided by ``deviation``: ``(windows * channels, 6)``."""
    return head.weight.detach().transpose(1, 2).flatten(0, 1).to(deviation.device) * deviation[:, None]


def _unfolded(head: ContextLinearHead, *, mean: Tensor, deviation: Tensor) -> NDArray[np.float64]:
    """The point whose ``folded`` head is ``head``: ``(windows * channels + 1, 6)``, flat.

    The bias of a class that had no labels then is not a fitted one; it begins at 0.
    """
    with torch.no_grad():
        raw = head.weight.detach().transpose(1, 2).flatten(0, 1).to(mean.device)
        offset = head.bias.detach().to(mean.device) + mean @ raw
        offset = torch.where(offset > NEVER / 2, offset, 0.0)
        point = torch.cat([raw * deviation[:, None], offset[None]])
    return point.double().cpu().numpy().ravel()
