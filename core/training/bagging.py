"""Bagging (Breiman 1996): several heads, each fitted on its own draw of the labels, averaged into one.

At 20 or 50 instances a class the score swings with which instances somebody happened to label. Cells of one instance
look alike, so it is instances that are drawn, with replacement and class by class: a class that is labelled is in
every draw. The mean of linear heads is one linear head, so prediction costs no more than before.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from core.classes import CLASS_COUNT
from core.training.linear import NEVER, TrainingCells, independent_groups
from models.heads import ContextLinearHead

FitDraw = Callable[[TrainingCells, ContextLinearHead | None], ContextLinearHead]
"""Fits one head on cells that it may change, from a head to begin at (None begins at nought)."""


def fit_bagged(
    cells: TrainingCells,
    *,
    members: int,
    generator: torch.Generator,
    fit: FitDraw,
    report: Callable[[int, ContextLinearHead], None],
) -> ContextLinearHead:
    """Fit ``members`` heads and average them; a single one is fitted on all cells, undrawn.

    The first member begins at nought and each other at the average so far: their problems are almost the same and
    convex, so they end where they would anyway, in fewer steps. ``report(members so far, their average)`` comes after
    each member and may raise to stop. ``cells`` stays as it is but for a single member, and a draw copies two thirds
    of it. The draws depend on nothing but ``generator``, on the CPU.
    """
    if members == 1:
        head = fit(cells, None)
        report(1, head)
        return head
    fitted: list[ContextLinearHead] = []
    average: ContextLinearHead | None = None
    for member in range(members):
        fitted.append(fit(draw(cells, generator), average))
        average = average_heads(fitted)
        report(member + 1, average)
    return average_heads(fitted)


def draw(cells: TrainingCells, generator: torch.Generator) -> TrainingCells:
    """Instances drawn with replacement, of each class as many as it has; a copy.

    A cell whose instance is not known is drawn by itself. An instance that was drawn twice is there once, with twice
    the weight; one without any weight is left out.
    """
    group = independent_groups(cells).cpu()
    class_of_group = torch.zeros(int(group.max()) + 1, dtype=torch.int64)
    class_of_group[group] = cells.classes.cpu()  # all cells of a group are of one class
    counts = torch.zeros(len(class_of_group)).index_add_(0, group, cells.weights.cpu()) > 0
    times = torch.zeros(len(class_of_group))
    for index in range(CLASS_COUNT):
        members = (counts & (class_of_group == index)).nonzero()[:, 0]
        if len(members):
            drawn = torch.randint(len(members), (len(members),), generator=generator)
            times[members] = torch.bincount(drawn, minlength=len(members)).float()
    times_of_cell = times[group].to(cells.weights.device)
    taken = cells.taken(times_of_cell > 0)
    return replace(taken, weights=taken.weights * times_of_cell[times_of_cell > 0])


def average_heads(heads: Sequence[ContextLinearHead]) -> ContextLinearHead:
    """The linear head whose logits are the mean of those of ``heads``, all of the same windows and channels.

    A class counts only in the heads that had labels of it: in the others its bias says 'never', not how likely it is.
    """
    first = heads[0]
    weights = torch.stack([head.weight.detach() for head in heads])
    biases = torch.stack([head.bias.detach() for head in heads])
    known = biases > NEVER / 2
    share = known / known.sum(dim=0).clamp(min=1)
    average = ContextLinearHead(channels=first.channels, classes=len(first.bias), windows=first.windows)
    with torch.no_grad():
        average.weight.copy_((weights * share[:, None, :, None]).sum(dim=0))
        average.bias.copy_(torch.where(known.any(dim=0), (biases * share).sum(dim=0), NEVER))
    return average.to(first.bias.device).eval()
