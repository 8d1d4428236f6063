"""Training the small convolutional head on cached features: AdamW, the recipe's schedule, averaged weights.

A step sees one crop of a tile around a labelled cell, moved by a random symmetry of the square where the recipe's
``dihedral`` says so. Where validation tiles are given, the best epoch by their mean IoU is kept; else the last.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from core.classes import CLASS_COUNT, UNLABELLED
from core.training.recipe import Recipe
from core.training.schedules import rate_share
from models.heads import ConvolutionalHead

CROP = 64
"""Side of a training crop in cells: wider than the head's largest window, and a sixth of a DeepGlobe tile's area."""

_MAX_CLASS_WEIGHT = 30.0


@dataclass(frozen=True, slots=True)
class TrainingTile:
    """Features ``(channels, rows, columns)`` float16, classes ``(rows, columns)`` int64 with 255, weights alike."""

    features: Tensor
    classes: Tensor
    weights: Tensor


def fit_convolutional(
    tiles: Sequence[TrainingTile],
    *,
    recipe: Recipe,
    generator: torch.Generator,
    validate: Callable[[ConvolutionalHead], float | None],
    report: Callable[[int, float, float | None, ConvolutionalHead], None],
) -> ConvolutionalHead:
    """Train on labelled cells only; returns the averaged head of the best epoch.

    ``validate`` gives a mean IoU, or None without validation tiles. ``report(epoch, loss, miou, best head)`` comes
    after each epoch and may raise to stop.
    """
    device = tiles[0].features.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        head = ConvolutionalHead(channels=tiles[0].features.shape[0], classes=CLASS_COUNT, width=recipe.width)
        head.to(device)
        _set_standard(head, tiles)
        class_weights = _class_weights(tiles, recipe.balance)
        steps = recipe.epochs * len(tiles)
        optimizer = torch.optim.AdamW(head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        schedule = _schedule(optimizer, recipe, steps)
        averaged = AveragedModel(head, multi_avg_fn=get_ema_multi_avg_fn(recipe.averaging))  # type: ignore[no-untyped-call]
        best, best_miou = head, -math.inf
        for epoch in range(recipe.epochs):
            losses = []
            order = torch.randperm(len(tiles), generator=generator)
            for index in order.tolist():
                loss = _step(head, tiles[index], class_weights, optimizer, generator, moving=recipe.dihedral)
                averaged.update_parameters(head)
                schedule.step()
                losses.append(loss)
            candidate = copy.deepcopy(head)
            candidate.load_state_dict(averaged.module.state_dict())
            candidate.eval()
            miou = validate(candidate)
            if miou is None or miou > best_miou:
                best, best_miou = candidate, -math.inf if miou is None else miou
            report(epoch + 1, sum(losses) / len(losses), miou, best)
    return best


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    if recipe.schedule == "one-cycle":  # torch's own, which moves the momentum against the rate (Smith and Topin 2018)
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_share(recipe.schedule, step, steps))


def _step(
    head: ConvolutionalHead,
    tile: TrainingTile,
    class_weights: Tensor,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    *,
    moving: bool,
) -> float:
    turns, mirrored = (int(torch.randint(n, (), generator=generator)) if moving else 0 for n in (4, 2))
    crop = _crop_around_a_label(tile.classes, generator)
    features, classes, weights = (
        _moved(part[..., crop[0], crop[1]], turns, bool(mirrored))
        for part in (tile.features, tile.classes, tile.weights)
    )
    head.train()
    optimizer.zero_grad()
    logits = head(features.float()[None])[0]
    labelled = classes != UNLABELLED
    truth = classes[labelled]
    weight = weights[labelled] * class_weights[truth]
    # The divisor is the same for all tiles: a tile with few labels must not pull as hard as a full one.
    loss = (F.cross_entropy(logits[:, labelled].T, truth, reduction="none") * weight).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _crop_around_a_label(classes: Tensor, generator: torch.Generator) -> tuple[slice, slice]:
    """A square of at most ``CROP`` cells a side that holds some labelled cell, drawn at random."""
    labelled = (classes != UNLABELLED).nonzero()
    centre = labelled[int(torch.randint(len(labelled), (), generator=generator))].tolist()
    starts = [max(0, min(c - CROP // 2, n - CROP)) for c, n in zip(centre, classes.shape, strict=True)]
    return slice(starts[0], starts[0] + CROP), slice(starts[1], starts[1] + CROP)


def _moved(part: Tensor, turns: int, mirrored: bool) -> Tensor:
    turned = torch.rot90(part, turns, dims=(-2, -1))
    return turned.flip(-1) if mirrored else turned


def _set_standard(head: ConvolutionalHead, tiles: Sequence[TrainingTile]) -> None:
    """Mean and deviation per channel over the labelled cells of all tiles; 1 for a channel without any."""
    total = torch.zeros(head.channels, dtype=torch.float64, device=head.mean.device)
    squares, count = torch.zeros_like(total), 0
    for tile in tiles:
        vectors = tile.features[:, tile.classes != UNLABELLED].double()
        total += vectors.sum(dim=1)
        squares += vectors.square().sum(dim=1)
        count += vectors.shape[1]
    mean = total / count
    variance = squares / count - mean.square()
    head.mean.copy_(mean)
    # A channel that is the same everywhere here (metadata of tiles alike) must not be blown up where it is another.
    head.std.copy_(torch.where(variance < 1e-8, 1.0, variance).sqrt())


def _class_weights(tiles: Sequence[TrainingTile], balance: float) -> Tensor:
    """Weights by class, scaled so that the loss of all tiles together is a weighted mean times their number."""
    area = torch.zeros(CLASS_COUNT, device=tiles[0].weights.device)
    for tile in tiles:
        labelled = tile.classes != UNLABELLED
        area.index_add_(0, tile.classes[labelled], tile.weights[labelled])
    share = area / area.sum()
    weights = torch.where(share > 0, share.clamp(min=1e-9) ** -balance, 0.0).clamp(max=_MAX_CLASS_WEIGHT)
    return weights * (len(tiles) / (weights * area).sum())
