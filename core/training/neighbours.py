"""The neighbours head: the labelled cells that look most like a cell vote on what it is.

Distances between some two thousand correlated numbers mean little, so the standardised vectors are first brought to
their principal components and each of those to the same variance (PCA whitening), with the small ones held down, since
they are mostly noise.
"""

import torch
from scipy.linalg import eigh
from torch import Tensor

from core.classes import CLASS_COUNT
from core.training.linear import TrainingCells, balanced_weights, standardise, tile_shifts
from models.heads import NeighboursHead

DIMENSIONS = 64
"""Principal components that are kept at most."""

MAX_REFERENCES = 4096
"""Labelled cells that are kept at most: a tile's distances to so many take about a second on two cores."""

SHRINKAGE = 0.1
"""How far the variances of the components are drawn to their mean before the whitening."""


def fit_neighbours(
    cells: TrainingCells,
    *,
    windows: tuple[int, ...],
    neighbours: int,
    balance: float,
    tile_variation: float = 0.0,
    generator: torch.Generator,
    dimensions: int = DIMENSIONS,
) -> NeighboursHead:
    """Keep labelled cells as references, in a whitened space of at most ``dimensions`` principal components.

    A class's references together weigh its labelled area to the power ``1 - balance``. ``tile_variation`` times the
    between-tile scatter (``linear.tile_shifts``) joins the covariance that is whitened, so that directions count less
    in which one class differs from tile to tile. Of more than ``MAX_REFERENCES`` cells some are drawn, as evenly by
    class as there are cells. A class without labels is never voted for.

    ``cells.vectors`` is standardised in place. Raises ``ValueError`` where tiles are to count and ``cells`` does not
    know them.
    """
    mean, deviation = standardise(cells.vectors)
    weights, present = balanced_weights(cells, balance=balance)
    projection = _components(cells.vectors, min(dimensions, *cells.vectors.shape))
    places = cells.vectors @ projection
    covariance = torch.diag(_held_down(places.square().mean(dim=0)))
    if tile_variation:
        shifts = tile_shifts(cells, weights) @ projection
        covariance += tile_variation * shifts.T @ shifts
    # With C = L L', the rows of p L'^-1 have the covariance 1.
    whitening = torch.linalg.inv(torch.linalg.cholesky(covariance)).T
    projection = projection @ whitening
    chosen, standing = _references(cells.classes, generator)
    head = NeighboursHead(
        channels=cells.vectors.shape[1] // len(windows),
        classes=CLASS_COUNT,
        windows=windows,
        dimensions=projection.shape[1],
        references=len(chosen),
        neighbours=neighbours,
    ).to(weights.device)
    raw = projection / deviation[:, None]
    head.projection.copy_(raw.view(len(windows), head.channels, -1).transpose(1, 2))
    head.offset.copy_(-mean @ raw)
    head.references.copy_(places[chosen] @ whitening)
    head.labels.copy_(cells.classes[chosen])
    head.weights.copy_(weights[chosen] * standing)
    head.known.copy_(present)
    return head.eval()


def _components(vectors: Tensor, count: int) -> Tensor:
    """The ``count`` principal directions of standardised vectors ``(n, d)`` with most variance, ``(d, count)``."""
    wide = vectors.shape[1] > vectors.shape[0]
    product = (vectors @ vectors.T if wide else vectors.T @ vectors).cpu().numpy()
    size = len(product)
    _, found = eigh(product, subset_by_index=(size - count, size - 1), overwrite_a=True)
    directions = torch.from_numpy(found).to(vectors.device)
    if wide:  # the eigenvectors of X X' are those of X' X, seen through X
        directions = vectors.T @ directions
    unit: Tensor = directions / directions.norm(dim=0).clamp(min=1e-12)
    return unit


def _held_down(variances: Tensor) -> Tensor:
    return (1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean() + 1e-9


def _references(classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Indices of at most ``MAX_REFERENCES`` cells, ascending, and how many of its class each stands for."""
    available = torch.bincount(classes.cpu(), minlength=CLASS_COUNT)
    chosen = []
    room, left = MAX_REFERENCES, int((available > 0).sum())
    for index in available.argsort(stable=True).tolist():
        if not available[index]:
            continue
        quota = min(int(available[index]), room // left)
        mine = (classes.cpu() == index).nonzero()[:, 0]
        chosen.append(mine[torch.randperm(len(mine), generator=generator)[:quota]])
        room, left = room - quota, left - 1
    kept = torch.cat(chosen).sort().values.to(classes.device)
    stands_for = available.to(classes.device) / torch.bincount(classes[kept], minlength=CLASS_COUNT).clamp(min=1)
    return kept, stands_for[classes[kept]]
