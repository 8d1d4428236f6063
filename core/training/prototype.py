"""The prototype head: each class is its mean, and a cell belongs to the nearest one.

Near by the covariance that all classes have in common: linear discriminant analysis (Fisher 1936; Hastie, Tibshirani
and Friedman 2009, 4.3). With more dimensions than labelled instances that covariance is hardly known, so it is shrunk
towards a multiple of the identity by as much as the data say (Ledoit and Wolf 2004). Nothing is iterated, and the
decision is linear, so the result is a ``ContextLinearHead`` that predicts as fast as the default head.
"""

import torch
from torch import Tensor

from core.classes import CLASS_COUNT
from core.training.linear import (
    NEVER,
    TrainingCells,
    balanced_weights,
    folded,
    independent_groups,
    standardise,
    tile_shifts,
)
from models.heads import ContextLinearHead


def fit_prototype(
    cells: TrainingCells, *, windows: tuple[int, ...], balance: float, tile_variation: float = 0.0
) -> ContextLinearHead:
    """Class means on standardised vectors under the shrunk covariance within the classes.

    A class's prior probability is its labelled area to the power ``1 - balance``, and its covariance counts as much.
    ``tile_variation`` times the between-tile scatter (``linear.tile_shifts``) is added to the covariance, so that
    directions count less in which one class differs from tile to tile. A class without labels is never predicted.

    ``cells.vectors`` is standardised and then centred in place. Takes memory for three copies of them, and for three
    square matrices of ``windows * channels`` float32. Raises ``ValueError`` where tiles are to count
    and ``cells`` does not know them.
    """
    mean, deviation = standardise(cells.vectors)
    weights, present = balanced_weights(cells, balance=balance)
    shifts = tile_shifts(cells, weights) * tile_variation**0.5 if tile_variation else None
    prior = torch.zeros(CLASS_COUNT, device=weights.device).index_add_(0, cells.classes, weights)
    means = class_means(cells, weights)
    cells.vectors.sub_(means[cells.classes])
    covariance, _ = shrunk_covariance(cells.vectors, weights, groups=independent_groups(cells))
    if shifts is not None:
        covariance += shifts.T @ shifts
    slope = torch.cholesky_solve(means.T, torch.linalg.cholesky(covariance))
    offset = prior.clamp(min=1e-12).log() - (means * slope.T).sum(dim=1) / 2
    slope = torch.where(present, slope, 0.0)
    offset = torch.where(present, offset, NEVER)
    return folded(slope, offset, mean=mean, deviation=deviation, windows=windows)


def class_means(cells: TrainingCells, weights: Tensor) -> Tensor:
    """The weighted mean of each class's vectors, ``(6, windows * channels)``; nought for a class without cells."""
    means = torch.zeros((CLASS_COUNT, cells.vectors.shape[1]), device=weights.device)
    for index in range(CLASS_COUNT):
        inside = (cells.classes == index).nonzero()[:, 0]
        mass = weights[inside].sum()
        if mass > 0:
            means[index] = weights[inside] @ cells.vectors[inside] / mass
    return means


def shrunk_covariance(centred: Tensor, weights: Tensor, *, groups: Tensor) -> tuple[Tensor, float]:
    """The covariance of ``centred`` vectors ``(n, d)`` drawn towards the identity, and how far (0 to 1).

    Ledoit and Wolf (2004): ``(1 - a) S + a m I`` with ``m`` the mean variance and ``a = b^2 / d^2``, where ``d^2`` is
    the squared Frobenius distance of ``S`` from ``m I`` and ``b^2`` the estimated error of ``S``. Theirs is for
    independent draws of equal weight. Here it is groups of cells (``groups`` ``(n,)`` from 0: the instances) that are
    drawn independently, with ``weights`` ``(n,)`` that sum to 1: ``b^2`` is the sum over the groups of
    ``|p_g (S_g - S)|^2``, ``S_g`` a group's own covariance and ``p_g`` its weight, which is theirs where every cell is
    a group of its own.
    """
    count, dimensions = centred.shape
    scaled = centred * weights.sqrt()[:, None]
    covariance = scaled.T @ scaled
    size = covariance.square().sum()
    mass = torch.zeros(int(groups.max()) + 1, device=weights.device).index_add_(0, groups, weights)
    cross = ((scaled @ covariance) * scaled).sum(dim=1)  # a group's sum of these is p_g <S_g, S>
    crosses = torch.zeros_like(mass).index_add_(0, groups, cross)
    squares = torch.zeros_like(mass)
    if len(mass) == count:
        squares.index_add_(0, groups, scaled.square().sum(dim=1).square())
    else:
        order = groups.argsort(stable=True)
        for index, members in enumerate(torch.split(order, torch.bincount(groups).tolist())):
            squares[index] = _squared_size(scaled[members])
    error = (squares - 2 * mass * crosses + mass.square() * size).sum()
    middle = covariance.diagonal().mean()
    distance = size - dimensions * middle**2
    amount = float((error / distance.clamp(min=1e-12)).clamp(0, 1))
    covariance *= 1 - amount
    # A covariance of nought (all vectors of a class alike) still has an inverse then.
    covariance.diagonal().add_(max(amount * float(middle), 1e-6))
    return covariance, amount


def _squared_size(rows: Tensor) -> Tensor:
    """The squared Frobenius norm of ``rows' rows``, by whichever product is the smaller."""
    product = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    return product.square().sum()
