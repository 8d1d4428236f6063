"""GLNet's three stages of training (Chen et al. 2019), as its released code has them.

First the whole tile's branch, then the patches', reading the first's maps, then the whole tile's once more, reading the
patches': 120, 50 and 120 epochs there, and in these parts of a recipe's epochs here. Each stage has a schedule and an
optimiser of its own; the second's rate is 2/5 of the others'. Losses are taken at a quarter of an image's size. A step
of the second and third stage is over all patches of a batch of tiles, some at a time, their gradients added up. The
second's loss is that of both branches together, that of the patches' own, and 0.15 times the mean squared difference
between the maps of both; the third's is that of the whole tile and that of both together. Gradients are not clipped.
Only patches with a labelled pixel take part, since 255 has no loss here.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from core.classes import UNLABELLED
from core.errors import InputError
from core.training.network_learner import LossNotFiniteError, NetworkLearner, Step, mean_losses, reduced
from core.training.patch_batches import Batch
from core.training.recipe import Recipe
from core.training.recipe_settings import STAGE_EPOCHS
from core.training.team import Team
from models.glnet import LOCAL, REFINED, WHOLE, GlnetNetwork, Place, all_places
from models.glnet_fpn import Readings
from models.networks import QUARTER

_RATES = {WHOLE: 1.0, LOCAL: 0.4, REFINED: 1.0}  # 5e-5, 2e-5, 5e-5
_REGULARISATION = 0.15


def stage_starts(epochs: int) -> tuple[int, int, int]:
    """The epochs, from 0, with which the stages begin. Raises ``InputError`` for fewer than three epochs."""
    if epochs < len(STAGE_EPOCHS):
        raise InputError(f"GLNet trains in three stages of an epoch or more; epochs is {epochs}, set it to 3 at least.")
    second = max(1, round(epochs * STAGE_EPOCHS[0] / sum(STAGE_EPOCHS)))
    third = max(second + 1, round(epochs * sum(STAGE_EPOCHS[:2]) / sum(STAGE_EPOCHS)))
    return 0, second, min(third, epochs - 1)


def check_recipe(recipe: Recipe, team: Team) -> None:
    """Raise ``InputError`` for what a recipe cannot ask of GLNet."""
    for name, only in {"train": "whole", "swa_after": 1.0}.items():
        if getattr(recipe, name) != only:
            raise InputError(f"GLNet is trained with {name} = {only}; it is {getattr(recipe, name)}.")
    if team.size > 1:
        raise InputError("GLNet is trained by one process; several GPUs cannot share its steps.")
    stage_starts(recipe.epochs)


class GlnetLearner(NetworkLearner[GlnetNetwork]):
    """Takes steps with GLNet; a batch is of whole tiles."""

    max_gradient = math.inf

    def begin_epoch(self, epoch: int) -> None:
        """Set the stage."""
        stage = self._stage(epoch)
        if epoch in stage_starts(self._recipe.epochs):
            self.network.enter(stage)
            self.optimiser.state.clear()
        else:
            self.network.settle(stage)
        self.network.train()

    def span(self, epoch: int) -> tuple[int, int]:
        """The epochs of the present stage: its first, and the one after its last."""
        starts = (*stage_starts(self._recipe.epochs), self._recipe.epochs)
        stage = self._stage(epoch)
        return starts[stage - 1], starts[stage]

    def set_rate(self, share: float) -> float:
        """Set the learning rate to a share of the stage's highest; returns the pyramids'."""
        return super().set_rate(share * _RATES[int(self.network.stage)])

    def _stage(self, epoch: int) -> int:
        return sum(start <= epoch for start in stage_starts(self._recipe.epochs))

    def _step(self, batch: Batch) -> Step:
        stage = int(self.network.stage)
        if stage == WHOLE:
            return super()._step(batch)
        self.optimiser.zero_grad()
        losses, tile_losses = self._local_pass(batch) if stage == LOCAL else self._refined_pass(batch)
        value = sum(losses) / max(1, len(losses))
        trained = [p.grad for p in self.network.parameters() if p.grad is not None]
        if not (math.isfinite(value) and all(bool(gradient.isfinite().all()) for gradient in trained)):
            raise LossNotFiniteError(batch)
        self.optimiser.step()
        return Step(value, tile_losses)

    def _local_pass(self, batch: Batch) -> tuple[list[float], list[float]]:
        """The second stage: the losses of the patches sent through at once, and of each tile."""
        losses, tile_losses = [], []
        for image, classes in zip(batch.images, batch.classes, strict=True):
            whole = self._whole(image[None])
            told = []
            for places, targets in self._labelled(classes):
                with self.arithmetic():
                    read = self.network.read_patches(image[None], places, whole)
                difference = F.mse_loss(read.joined.float(), read.there.float())
                together = self._loss(read.logits.float(), targets, self._weights)
                own = self._loss(read.own.float(), targets, self._weights)
                loss = together + own + _REGULARISATION * difference
                loss.backward()  # type: ignore[no-untyped-call]
                losses.append(float(loss.detach()))
                told.append(mean_losses(read.logits.detach(), targets))
            tile_losses.append(_mean(told))
        return losses, tile_losses

    def _refined_pass(self, batch: Batch) -> tuple[list[float], list[float]]:
        """The third stage: the losses of the whole tiles and of the patches, and those of each tile."""
        network = self.network
        whole = [self._whole(image[None]) for image in batch.images]
        with self.arithmetic():
            merged = [
                network.merged_patches(image[None], own, at_once=self.micro_batch)
                for image, own in zip(batch.images, whole, strict=True)
            ]
            logits, joined = network.read_refined(batch.images, _together(merged))
        targets = reduced(batch.classes, (logits.shape[-2], logits.shape[-1]))
        of_tiles = self._loss(logits.float(), targets, self._weights)
        # The patches' gradients are gathered here and go back through the whole tiles at once, not once a patch.
        gathered = joined.detach().requires_grad_()
        losses, tile_losses = [float(of_tiles.detach())], []
        for index, classes in enumerate(batch.classes):
            told = [mean_losses(logits[index : index + 1].detach(), targets[index : index + 1])]
            image, size = batch.images[index : index + 1], (classes.shape[-2], classes.shape[-1])
            for places, wanted in self._labelled(classes):
                with self.arithmetic():
                    with torch.no_grad():
                        own = network.read_patches(image, places, whole[index]).joined
                    together = network.join_patches(own, gathered[index : index + 1], places, size)
                loss = self._loss(together.float(), wanted, self._weights)
                loss.backward()  # type: ignore[no-untyped-call]
                losses.append(float(loss.detach()))
                told.append(mean_losses(together.detach(), wanted))
            tile_losses.append(_mean(told))
        torch.autograd.backward([of_tiles, joined], [None, gathered.grad])
        return losses, tile_losses

    @torch.no_grad()
    def _whole(self, image: Tensor) -> Readings:
        with self.arithmetic():
            return self.network.read_whole(image)

    def _labelled(self, classes: Tensor) -> list[tuple[Sequence[Place], Tensor]]:
        """The patches of a tile ``(H, W)`` in which something is labelled, some at a time, with their targets."""
        found: list[tuple[Place, Tensor]] = []
        side = self.network.side
        for top, left in all_places((classes.shape[0], classes.shape[1]), side):
            patch = classes[None, top : top + side, left : left + side]
            target = reduced(patch, (-(-patch.shape[1] // QUARTER), -(-patch.shape[2] // QUARTER)))
            if (target != UNLABELLED).any():
                found.append(((top, left), target))
        return [
            ([place for place, _ in some], torch.cat([target for _, target in some]))
            for some in (found[start : start + self.micro_batch] for start in range(0, len(found), self.micro_batch))
        ]


def _together(readings: Sequence[Readings]) -> Readings:
    """The readings of several tiles as one."""
    flat = [[*own.stages, *own.pyramid, *own.smooth, *own.narrow, own.joined] for own in readings]
    maps = iter([torch.cat(own) for own in zip(*flat, strict=True)])
    return readings[0].mapped(lambda _: next(maps))


def _mean(losses: Sequence[Tensor]) -> float:
    return float(torch.cat(list(losses)).mean()) if losses else 0.0
