"""A meta-learned starting head: weights from which a new region needs a handful of labels.

Reptile (Nichol, Achiam and Schulman 2018) over tasks, each the labelled cells of one tile or region, on cached context
vectors: from the weights so far go a few gradient steps on one task, then move the weights a part of that way. Russwurm
et al. (2020) found for DeepGlobe that such a start helps where regions differ, and that plain training does as well
where they do not. ``fit_linear`` takes the result as ``prior``: it then draws the weights to the start instead of to
nought, which is learning with a biased regulariser (Denevi et al. 2019).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from core.classes import CLASS_COUNT
from core.errors import InputError
from core.training.linear import NEVER, TrainingCells, folded
from models.heads import ContextLinearHead

ROUNDS = 60
INNER_STEPS = 8
PER_CLASS = 16
"""Cells of each class in one gradient step: about what a handful of labelled instances holds."""

_REPORT_EVERY = 10
_POWER_STEPS = 20


def meta_train(
    tasks: Sequence[TrainingCells],
    *,
    windows: tuple[int, ...],
    rounds: int = ROUNDS,
    generator: torch.Generator,
    report: Callable[[int, float, ContextLinearHead], None],
    inner_steps: int = INNER_STEPS,
    per_class: int = PER_CLASS,
) -> ContextLinearHead:
    """Weights that a few gradient steps bring near to the best ones of any of the tasks.

    Vectors are standardised by the mean and deviation over all tasks, each task counting alike, and the result has
    that folded in. A round goes from the weights so far into every task, and then along the mean of those ways. A
    gradient step is on ``per_class`` cells of each class that the task has, drawn with replacement by their weights;
    classes that it lacks stay out of the softmax and are not moved. The steps inside a task are as long as the
    curvature of the loss allows, and the outer step falls from 1 to nought.

    ``report(round, mean cross-entropy after the inner steps, head so far)`` comes every few rounds and at the end, and
    may raise to stop. The tasks' vectors are standardised in place. A class that no task has is never predicted.
    Raises ``InputError`` with fewer than two tasks of two classes or more.
    """
    usable = [task for task in tasks if len(torch.unique(task.classes)) > 1]
    if len(usable) < 2:
        raise InputError(
            f"A starting head is learnt over two tiles or regions with at least two classes each, and there are "
            f"{len(usable)}; label more tiles."
        )
    mean, deviation = _standardise_together(usable)
    prepared = [_Task.of(task) for task in usable]
    rate = 1 / _curvature(usable)
    weights = torch.zeros((usable[0].vectors.shape[1] + 1, CLASS_COUNT), device=mean.device)  # the last row is the bias
    known = torch.stack([task.present for task in prepared]).any(dim=0)
    unknown = torch.where(known, 0.0, NEVER)
    head = folded(weights[:-1], weights[-1] + unknown, mean=mean, deviation=deviation, windows=windows)
    for done in range(1, rounds + 1):
        ways, losses = torch.zeros_like(weights), []
        for task in prepared:
            near, loss = _adapted(weights, task, steps=inner_steps, per_class=per_class, rate=rate, generator=generator)
            ways += (near - weights) / len(prepared)
            losses.append(loss)
        weights = weights + (1 - (done - 1) / rounds) * ways
        if done % _REPORT_EVERY == 0 or done == rounds:
            head = folded(weights[:-1], weights[-1] + unknown, mean=mean, deviation=deviation, windows=windows)
            report(done, sum(losses) / len(losses), head)
    return head


@dataclass(frozen=True, slots=True)
class _Task:
    """One task's standardised vectors, and for each class it has the indices and chances of its cells, on the CPU."""

    vectors: Tensor
    members: tuple[tuple[int, Tensor, Tensor], ...]
    present: Tensor

    @staticmethod
    def of(cells: TrainingCells) -> "_Task":
        classes, weights = cells.classes.cpu(), cells.weights.cpu()
        members = []
        for index in torch.unique(classes).tolist():
            mine = (classes == index).nonzero()[:, 0]
            members.append((index, mine, weights[mine].clamp(min=1e-9)))
        present = torch.zeros(CLASS_COUNT, dtype=torch.bool)
        present[classes] = True
        return _Task(cells.vectors, tuple(members), present.to(cells.vectors.device))

    def drawn(self, per_class: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Vectors and classes of ``per_class`` cells of each class, with replacement."""
        chosen = [
            mine[torch.multinomial(chances, per_class, replacement=True, generator=generator)]
            for _, mine, chances in self.members
        ]
        classes = torch.tensor([index for index, _, _ in self.members]).repeat_interleave(per_class)
        device = self.vectors.device
        return self.vectors[torch.cat(chosen).to(device)], classes.to(device)


def _adapted(
    weights: Tensor, task: _Task, *, steps: int, per_class: int, rate: float, generator: torch.Generator
) -> tuple[Tensor, float]:
    """The weights after a few gradient steps on a task, and the cross-entropy at the last of them."""
    absent = torch.where(task.present, 0.0, NEVER)
    near, loss = weights.clone(), 0.0
    for _ in range(steps):
        vectors, classes = task.drawn(per_class, generator)
        log_probability = (vectors @ near[:-1] + near[-1] + absent).log_softmax(dim=1)
        error = (log_probability.exp() - F.one_hot(classes, CLASS_COUNT)) / len(classes)
        near[:-1] -= rate * (vectors.T @ error)
        near[-1] -= rate * error.sum(dim=0)
        loss = float(F.nll_loss(log_probability, classes))
    return near, loss


def _standardise_together(tasks: Sequence[TrainingCells]) -> tuple[Tensor, Tensor]:
    mean = torch.stack([task.vectors.mean(dim=0) for task in tasks]).mean(dim=0)
    for task in tasks:
        task.vectors.sub_(mean)
    square = torch.stack([task.vectors.square().mean(dim=0) for task in tasks]).mean(dim=0)
    deviation = square.sqrt().clamp(min=1e-4)
    for task in tasks:
        task.vectors.div_(deviation)
    return mean, deviation


def _curvature(tasks: Sequence[TrainingCells]) -> float:
    """A bound on the largest curvature of the cross-entropy in any task.

    Boehning (1992): the softmax's part is at most a half; the vectors' part is the largest eigenvalue of their second
    moments (with the 1 that the bias stands on), found by power iteration from a fixed vector.
    """
    largest = 0.0
    for task in tasks:
        vectors = task.vectors
        direction = torch.ones(vectors.shape[1], device=vectors.device) / vectors.shape[1] ** 0.5
        size = 0.0
        for _ in range(_POWER_STEPS):
            turned = vectors.T @ (vectors @ direction) / len(vectors)
            size = float(turned.norm())
            direction = turned / max(size, 1e-12)
        largest = max(largest, size)
    return (largest + 1) / 2
