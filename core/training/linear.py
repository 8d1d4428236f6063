"""The default head: class-balanced multinomial logistic regression on context vectors, by L-BFGS.

With a frozen encoder the problem is convex: no learning rate, no schedule, no lucky seed. Strong L2 on
standardised vectors is what keeps a few hundred labelled instances from being learnt by heart.
"""

from collections.abc import Callable
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
    float32: how much labelled area each cell stands for.
    """

    vectors: Tensor
    classes: Tensor
    weights: Tensor


def fit_linear(
    cells: TrainingCells,
    *,
    windows: tuple[int, ...],
    l2: float,
    balance: float,
    iterations: int,
    report: Callable[[int, float, ContextLinearHead], None],
    start: ContextLinearHead | None = None,
) -> ContextLinearHead:
    """Minimise the weighted mean cross-entropy plus ``l2 / 2`` times the squared weights; the bias goes free.

    A class's cells together weigh its labelled area to the power ``1 - balance``. ``report(iteration, loss, head)``
    is called every few iterations and at the end, and may raise to stop. ``cells.vectors`` is standardised in
    place: a copy of the largest array of the fit would double its memory. With a ``start``, a head of the same windows
    fitted to almost the same cells, a few iterations do: the problem is convex, so both ways end in the same place.
    """
    mean, deviation = _standardise(cells.vectors)
    weights, present = _balanced(cells, balance)
    absent = torch.where(present, 0.0, NEVER)
    wanted = F.one_hot(cells.classes, CLASS_COUNT).float()
    shape = (cells.vectors.shape[1] + 1, CLASS_COUNT)  # the last row is the bias
    losses: list[float] = []

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        point = torch.from_numpy(flat.reshape(shape)).float().to(cells.vectors.device)
        slope, offset = point[:-1], point[-1]
        log_probability = (cells.vectors @ slope + offset + absent).log_softmax(dim=1)
        loss = -(log_probability * wanted).sum(dim=1) @ weights + l2 / 2 * slope.square().sum()
        error = (log_probability.exp() - wanted) * weights[:, None]
        gradient = torch.cat([(error.T @ cells.vectors).T + l2 * slope, error.sum(dim=0)[None]])
        losses.append(float(loss))
        return losses[-1], gradient.double().cpu().numpy().ravel()

    def head_at(flat: NDArray[np.float64]) -> ContextLinearHead:
        point = torch.from_numpy(flat.reshape(shape)).float().to(cells.vectors.device)
        return _folded(point[:-1], point[-1] + absent, mean=mean, deviation=deviation, windows=windows)

    done = 0

    def after_iteration(flat: NDArray[np.float64]) -> None:
        nonlocal done
        done += 1
        if done % REPORT_EVERY == 0:
            report(done, losses[-1], head_at(flat))

    # SciPy's L-BFGS keeps its own short vectors out of torch, whose threads would take longer to wake than to add.
    found = minimize(
        objective,
        np.zeros(shape).ravel() if start is None else _unfolded(start, mean=mean, deviation=deviation),
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options={"maxiter": iterations, "maxcor": _HISTORY, "ftol": _SETTLED},
    )
    head = head_at(found.x)
    report(done, float(found.fun), head)
    return head


def _standardise(vectors: Tensor) -> tuple[Tensor, Tensor]:
    mean = vectors.mean(dim=0)
    vectors -= mean
    deviation = vectors.square().mean(dim=0).sqrt().clamp(min=1e-4)
    vectors /= deviation
    return mean, deviation


def _balanced(cells: TrainingCells, balance: float) -> tuple[Tensor, Tensor]:
    area = torch.zeros(CLASS_COUNT, device=cells.weights.device).index_add_(0, cells.classes, cells.weights)
    present = area > 0
    factor = torch.where(present, area.clamp(min=1e-9) ** -balance, 0.0)
    weights = cells.weights * factor[cells.classes]
    return weights / weights.sum(), present


def _folded(
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


def _unfolded(head: ContextLinearHead, *, mean: Tensor, deviation: Tensor) -> NDArray[np.float64]:
    """The point whose ``_folded`` head is ``head``: ``(windows * channels + 1, 6)``, flat.

    The bias of a class that had no labels then is not a fitted one; it begins at 0.
    """
    with torch.no_grad():
        raw = head.weight.detach().transpose(1, 2).flatten(0, 1).to(mean.device)
        offset = head.bias.detach().to(mean.device) + mean @ raw
        offset = torch.where(offset > NEVER / 2, offset, 0.0)
        point = torch.cat([raw * deviation[:, None], offset[None]])
    return point.double().cpu().numpy().ravel()
