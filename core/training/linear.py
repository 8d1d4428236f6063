"""The default head: class-balanced multinomial logistic regression on context vectors, by L-BFGS.

With a frozen encoder the problem is convex: no learning rate, no schedule, no lucky seed. Strong L2 on
standardised vectors is what keeps a few hundred labelled instances from being learnt by heart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from core.classes import CLASS_COUNT
from models.heads import ContextLinearHead

REPORT_EVERY = 5
NEVER = -1e4
"""The bias of a class without labels: a logit so low that it is never predicted."""
_HISTORY = 10
_SETTLED = 1e-6
_FLAT = 1e-4


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
) -> ContextLinearHead:
    """Minimise the weighted mean cross-entropy plus ``l2 / 2`` times the squared weights; the bias goes free.

    A class's cells together weigh its labelled area to the power ``1 - balance``. ``report(iteration, loss, head)``
    is called every few iterations and may raise to stop. ``cells.vectors`` is standardised in place: a copy of the
    largest array of the fit would double its memory.
    """
    mean, deviation = _standardise(cells.vectors)
    weights, present = _balanced(cells, balance)
    slope = torch.zeros(cells.vectors.shape[1], CLASS_COUNT, device=cells.vectors.device, requires_grad=True)
    offset = torch.zeros(CLASS_COUNT, device=cells.vectors.device, requires_grad=True)
    absent = torch.where(present, 0.0, NEVER)
    optimizer = torch.optim.LBFGS(
        [slope, offset],
        max_iter=REPORT_EVERY,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_grad=_SETTLED,
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        logits = cells.vectors @ slope + offset + absent
        losses = F.cross_entropy(logits, cells.classes, reduction="none")
        total = (losses * weights).sum() + l2 / 2 * slope.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    def head_now() -> ContextLinearHead:
        return _folded(slope.detach(), offset.detach() + absent, mean=mean, deviation=deviation, windows=windows)

    before = float("inf")
    for iteration in range(0, iterations, REPORT_EVERY):
        optimizer.param_groups[0]["max_iter"] = min(REPORT_EVERY, iterations - iteration)
        at_start: Tensor = optimizer.step(objective)  # type: ignore[no-untyped-call]
        loss = float(at_start.detach())  # before these iterations: LBFGS returns its first evaluation
        report(iteration + optimizer.param_groups[0]["max_iter"], loss, head_now())
        if before - loss < _FLAT * abs(before) and before != float("inf"):
            break
        before = loss
    return head_now()


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
