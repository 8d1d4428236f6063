"""What training minimises. Each loss leaves unlabelled pixels (255) out, and gives exactly 0 with zero gradients for a
batch in which nothing is labelled; torch's cross-entropy and the focal loss of segmentation_models_pytorch give NaN
there, and the latter is one against the rest, not the softmax one that GLNet trains with, hence our own.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from models.errors import ModelError

IGNORED = 255
LOSSES = ("cross-entropy", "focal", "dice", "tversky", "lovasz", "cross-entropy+dice")

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``(logits (N, C, H, W) float, target (N, H, W) int64 with 255, class weights (C,) or None)`` to a scalar float32."""

_LEAST = 1e-12  # stands for a sum of weights that is 0, under a sum of losses that is 0 too
_LEAST_MISS = 1e-6  # of 1 - p in focal loss, whose power has no slope at 0


def make_loss(
    name: str,
    *,
    label_smoothing: float = 0.0,
    focal_gamma: float = 2.0,
    tversky_alpha: float = 0.5,
    hard_pixels: float = 1.0,
) -> Loss:
    """A loss by its name in a recipe.

    ``label_smoothing`` counts in cross-entropy and focal loss. With ``hard_pixels`` below 1, only that share of the
    batch's labelled pixels counts, those of the highest cross-entropy (online hard example mining), whatever the loss.
    Raises ``ModelError`` for another name.
    """

    def cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        return focal_loss(logits, target, weights, gamma=0, smoothing=label_smoothing)

    def dice(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
        return tversky_loss(logits, target, weights, alpha=0.5)

    losses: dict[str, Loss] = {
        "cross-entropy": cross_entropy,
        "focal": lambda logits, *rest: focal_loss(logits, *rest, gamma=focal_gamma, smoothing=label_smoothing),
        "dice": dice,
        "tversky": lambda logits, *rest: tversky_loss(logits, *rest, alpha=tversky_alpha),
        "lovasz": lovasz_loss,
        "cross-entropy+dice": lambda logits, *rest: cross_entropy(logits, *rest) + dice(logits, *rest),
    }
    if name not in losses:
        raise ModelError(f"There is no loss called {name!r}; choose one of {', '.join(LOSSES)}.")
    chosen = losses[name]

    def loss(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
        logits = logits.float()  # half precision is too coarse for sums over a million pixels
        return chosen(logits, hardest(logits, target, hard_pixels), class_weights)

    return loss


def focal_loss(
    logits: Tensor, target: Tensor, weights: Tensor | None, *, gamma: float, smoothing: float = 0.0
) -> Tensor:
    """Softmax focal loss (Lin et al. 2017): the weighted mean of (1 - p)^gamma times cross-entropy; gamma 0 is that.

    A pixel weighs as its class does. Smoothing is torch's: a share of each label is spread over all classes.
    """
    losses = F.cross_entropy(
        logits, target, weight=weights, ignore_index=IGNORED, label_smoothing=smoothing, reduction="none"
    )
    labelled = target != IGNORED
    known = target.where(labelled, 0)
    if gamma:
        sure = logits.softmax(dim=1).gather(1, known[:, None])[:, 0]
        losses = losses * (1 - sure).clamp(min=_LEAST_MISS).pow(gamma)
    count = labelled.float() if weights is None else weights[known] * labelled
    return losses.sum() / count.sum().clamp(min=_LEAST)


def tversky_loss(logits: Tensor, target: Tensor, weights: Tensor | None, *, alpha: float) -> Tensor:
    """1 - TP / (TP + alpha FP + (1 - alpha) FN) of soft counts over the batch (Salehi et al. 2017); .5 is Dice's loss.

    The mean over the classes that are labelled in the batch, weighted.
    """
    chances, truth, present = _flat(logits, target)
    hit = (chances * truth).sum(dim=0)
    false, missed = (chances * (1 - truth)).sum(dim=0), ((1 - chances) * truth).sum(dim=0)
    score = hit / (hit + alpha * false + (1 - alpha) * missed).clamp(min=_LEAST)
    return _mean_over_classes(1 - score, present, weights)


def lovasz_loss(logits: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Lovasz-softmax (Berman et al. 2018): the convex surrogate of 1 - IoU, over the batch as a whole.

    The mean over the classes that are labelled in the batch, weighted.
    """
    chances, truth, present = _flat(logits, target)
    errors, order = (truth - chances).abs().sort(dim=0, descending=True, stable=True)
    hits = truth.gather(0, order)
    positives = hits.sum(dim=0)
    union = positives + (1 - hits).cumsum(dim=0)
    # The first k worst pixels wrong, and no other, would make an IoU of this:
    jaccard = 1 - (positives - hits.cumsum(dim=0)) / union.clamp(min=1)
    slope = torch.diff(jaccard, dim=0, prepend=torch.zeros_like(jaccard[:1]))
    return _mean_over_classes((errors * slope).sum(dim=0), present, weights)


@torch.no_grad()
def hardest(logits: Tensor, target: Tensor, share: float) -> Tensor:
    """The target with all but a share of its labelled pixels unlabelled: those of highest cross-entropy stay."""
    if share >= 1:
        return target
    losses = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none").flatten()
    labelled = target.flatten() != IGNORED
    count = int(labelled.sum())
    if not count:
        return target
    kept = losses.masked_fill(~labelled, -torch.inf).topk(max(1, round(share * count))).indices
    harder = torch.full_like(target, IGNORED).flatten()
    harder[kept] = target.flatten()[kept]
    return harder.view_as(target)


def _flat(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the labelled pixels: probabilities and truth, both ``(pixels, C)``, and which classes occur ``(C,)``."""
    classes = logits.shape[1]
    labelled = target != IGNORED
    chances = logits.movedim(1, -1)[labelled].softmax(dim=1)
    truth = F.one_hot(target[labelled], classes).to(chances.dtype)
    return chances, truth, truth.amax(dim=0) if len(truth) else truth.new_zeros(classes)


def _mean_over_classes(losses: Tensor, present: Tensor, weights: Tensor | None) -> Tensor:
    shares = present if weights is None else present * weights
    return (losses * shares).sum() / shares.sum().clamp(min=_LEAST)
