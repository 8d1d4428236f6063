"""A network with its loss and optimiser, taking one step after another: what a fit and a rate test have in common."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from core.classes import CLASS_COUNT, UNLABELLED
from core.errors import InputError
from core.training.patch_batches import Batch
from core.training.recipe import Recipe
from core.training.team import ALONE, Team
from models.build import TrainableNetwork
from models.losses import make_loss
from models.networks import NetworkOutput

_MAX_CLASS_WEIGHT = 30.0
_MOMENTUM = 0.9
_LEAST_WEIGHT = 1e-9

N = TypeVar("N", bound=TrainableNetwork)


class LossNotFiniteError(Exception):
    """The loss or its gradient is no number any more; ``batch`` is what it came from."""

    def __init__(self, batch: Batch) -> None:
        super().__init__("the loss is not finite")
        self.batch = batch


@dataclass(frozen=True, slots=True)
class Step:
    """The loss of a step, and the plain cross-entropy of each of its patches, which tells where the network errs."""

    loss: float
    patch_losses: list[float]


class NetworkLearner(Generic[N]):
    """Takes steps with a network by a recipe.

    Out of memory is answered by sending fewer patches at once through the network and adding their gradients up:
    the step stays that of the whole batch (but for BatchNorm, which sees fewer). ``tell`` is given the sentence.
    In a ``team`` of processes each sends its share of a batch through, and a step is that of all shares together.
    """

    max_gradient = 1.0
    """The norm to which the gradient is clipped."""

    def __init__(
        self,
        network: N,
        recipe: Recipe,
        *,
        shares: NDArray[np.float64],
        device: torch.device,
        tell: Callable[[str], None],
        team: Team = ALONE,
    ) -> None:
        network = team.prepare(network)
        self.network: N = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.micro_batch = team.patches_at_once(recipe.batch_size)
        self.optimiser = make_optimiser(network, recipe)
        self._recipe, self._device, self._tell, self._team = recipe, device, tell, team
        self._weights = torch.from_numpy(class_weights(shares, recipe.balance)).to(device)
        self._bfloat16 = uses_bfloat16(recipe.precision, device)
        self._loss = _loss(recipe, recipe.loss)
        self._frozen = False
        if recipe.compile:
            self.network.compile()
        self._wrapped: torch.nn.Module | None = None

    def begin_epoch(self, epoch: int) -> None:
        """Set what goes by epoch (from 0): whether the encoder learns, and the loss."""
        recipe = self._recipe
        begun = epoch / recipe.epochs
        frozen = recipe.train == "decoder" or (recipe.train == "finetune" and begun < recipe.unfreeze_after)
        if frozen != self._frozen:
            self._wrapped = None  # which parameters take part has changed
        self._frozen = frozen
        self.freeze_alike(self.network)
        self._loss = _loss(recipe, "lovasz" if begun >= recipe.lovasz_after else recipe.loss)
        self.network.train()

    def span(self, epoch: int) -> tuple[int, int]:  # noqa: ARG002
        """The epochs over which the schedule goes: the first, and the one after the last."""
        return 0, self._recipe.epochs

    def freeze_alike(self, network: TrainableNetwork) -> None:
        """Freeze a network's encoder, or not, as this epoch has it; BatchNorm keeps its statistics in a frozen one."""
        if self._frozen:
            network.freeze_encoder()
        else:
            network.unfreeze_encoder()

    def set_rate(self, share: float) -> float:
        """Set the learning rate to a share of its highest; returns the decoder's."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["highest"] * share
        return float(self.optimiser.param_groups[0]["lr"])

    def step(self, batch: Batch) -> Step:
        """One step of the optimiser.

        Raises ``LossNotFiniteError``, before the weights are touched, and ``InputError`` where not even one patch
        fits into memory.
        """
        while True:
            try:
                return self._step(batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler, where the failed step's tensors are free.
            self.optimiser.zero_grad()
            self._halve()

    def send(self, batch: Batch, network: torch.nn.Module | None = None) -> NetworkOutput:
        """A batch through the network, or another of its kind, in the recipe's arithmetic."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        sent = network or self.network
        with self.arithmetic():
            try:
                output: NetworkOutput = sent(images, batch.context)
            except Exception as error:
                if not (self._recipe.compile and is_of_compiler(error)):
                    raise
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                self._tell(f"torch cannot compile this network here ({reason}); it runs as it is")
                self.network._compiled_call_impl = None
                output = sent(images, batch.context)
        return output

    def arithmetic(self) -> torch.autocast:
        """The recipe's arithmetic, to be entered."""
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._bfloat16)

    def micro_batches(self, batch: Batch) -> Iterator[Batch]:
        """The batch in parts that fit into memory."""
        for start in range(0, len(batch), self.micro_batch):
            yield batch.part(start, start + self.micro_batch)

    def _step(self, batch: Batch) -> Step:
        self.optimiser.zero_grad()
        everything = self._team.gather(batch.classes).long()
        total = torch.zeros((), device=self._device)
        patch_losses: list[Tensor] = []
        wrapped = self._wrapped or self._team.wrap(self.network, unused=True)
        for start in range(0, len(batch), self.micro_batch):
            stop = start + self.micro_batch
            with nullcontext() if stop >= len(batch) else self._team.accumulating(wrapped):
                output = self._everybodys(self.send(batch.part(start, stop), wrapped))
                everything = reduced(everything, (output.logits.shape[-2], output.logits.shape[-1]))
                classes = everything[:, start:stop].flatten(0, 1)
                # By what its labelled pixels weigh, so that the sum is the whole batch's weighted mean over them.
                share = self._weight(classes) / self._weight(everything).clamp(min=_LEAST_WEIGHT)
                loss = self._total_loss(output, classes) * share
                summed = loss * self._team.size  # the team takes the mean of its gradients
                summed.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
            patch_losses.append(mean_losses(output.logits.detach(), classes).view(self._team.size, -1))
        if self._wrapped is None:
            self._wrapped = self._team.wrap(self.network, unused=self._some_unused())
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.max_gradient)
        value, size = torch.stack([total, norm.to(total.device)]).tolist()
        if not (math.isfinite(value) and math.isfinite(size)):
            raise LossNotFiniteError(batch)
        self.optimiser.step()
        return Step(value, torch.cat(patch_losses, dim=1).flatten().tolist())

    def _everybodys(self, own: NetworkOutput) -> NetworkOutput:
        """What the networks of all processes say of their patches, in the order of the processes."""
        deep = [self._team.gather(logits).flatten(0, 1) for logits in own.deep]
        presence = None if own.presence is None else self._team.gather(own.presence).flatten(0, 1)
        return NetworkOutput(self._team.gather(own.logits).flatten(0, 1), deep, presence)

    def _some_unused(self) -> bool:
        """Whether there are parameters that learn, and that no gradient has reached in this step."""
        return any(p.requires_grad and p.grad is None for p in self.network.parameters())

    def _weight(self, classes: Tensor) -> Tensor:
        """What the labelled pixels weigh together."""
        return torch.stack([(classes == index).sum() for index in range(CLASS_COUNT)]).to(self._weights) @ self._weights

    def _total_loss(self, output: NetworkOutput, classes: Tensor) -> Tensor:
        recipe = self._recipe
        loss = self._loss(output.logits.float(), classes, self._weights)
        if output.deep and recipe.deep_supervision:
            size = list(classes.shape[-2:])
            inner = [
                self._loss(F.interpolate(logits.float(), size=size, mode="bilinear"), classes, self._weights)
                for logits in output.deep
            ]
            loss = loss + recipe.deep_supervision * torch.stack(inner).mean()
        if output.presence is not None and recipe.presence:
            loss = loss + recipe.presence * presence_loss(output.presence.float(), classes)
        return loss

    def _halve(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self.micro_batch == 1:
            raise InputError(
                f"Not even one patch of {self._recipe.patch} pixels fits into memory; make patch smaller, or choose a "
                "smaller encoder or decoder."
            )
        self.micro_batch //= 2
        self._team.begin_anew(self.micro_batch)
        self._tell(
            f"Out of memory: {self.micro_batch} of the {self._recipe.batch_size} patches of a step now go through the "
            "network at once, and their gradients are added up"
        )


def presence_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Binary cross-entropy of "the class occurs in the patch", ``(N, 6)`` logits and ``(N, H, W)`` classes with 255.

    A class that is not among a patch's labels may still be where nothing is labelled: its absence counts by the share
    of the patch that is labelled. 0 where nothing is labelled at all.
    """
    labelled = classes != UNLABELLED
    present = torch.stack([(classes == index).flatten(1).any(dim=1) for index in range(CLASS_COUNT)], dim=1)
    certain = labelled.flatten(1).float().mean(dim=1, keepdim=True)
    weights = torch.where(present, (certain > 0).float(), certain)
    losses = F.binary_cross_entropy_with_logits(logits, present.float(), reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1)


def class_weights(shares: NDArray[np.float64], balance: float) -> NDArray[np.float32]:
    """``(6,)`` weights that bring each class's share of what is seen to ``share ** (1 - balance)``, with mean 1.

    The mean is over the labelled pixels; a class without any has weight 0.
    """
    safe = np.where(shares > 0, shares, 1.0)
    weights = np.where(shares > 0, np.minimum((safe / safe.max()) ** -balance, _MAX_CLASS_WEIGHT), 0.0)
    return np.asarray(weights / (weights * shares).sum(), np.float32)


def make_optimiser(network: TrainableNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; its groups are the decoder and, where it is trained at all, the encoder at its own rate.

    A group's highest rate is kept in it under 'highest'.
    """
    groups = [{"params": list(network.other_parameters()), "highest": recipe.learning_rate}]
    if recipe.train != "decoder":
        encoder_rate = recipe.learning_rate * recipe.encoder_rate
        groups.append({"params": list(network.encoder_parameters()), "highest": encoder_rate})
    match recipe.optimiser:
        case "adamw":
            return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        case "adam":
            return torch.optim.Adam(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        case "sgd":
            return torch.optim.SGD(
                groups, lr=recipe.learning_rate, momentum=_MOMENTUM, weight_decay=recipe.weight_decay
            )


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether the passes run in bfloat16: 'auto' where a GPU has it, 'bfloat16' always.

    Raises ``InputError`` for 'bfloat16' on a GPU that does not have it.
    """
    if device.type != "cuda":
        return precision == "bfloat16"
    has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and not has_it:
        raise InputError("This GPU has no bfloat16 arithmetic; set precision to auto or float32.")
    return precision != "float32" and has_it


def is_of_compiler(error: BaseException) -> bool:
    """Whether ``torch.compile`` could not do its work (no compiler, an operation that it does not know)."""
    from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415  # seconds that few fits need

    return isinstance(error, TorchDynamoException)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch (or Python) could not get the memory that it asked for."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in said or "defaultcpuallocator" in said)


def _loss(recipe: Recipe, name: str) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    return make_loss(
        name,
        label_smoothing=recipe.label_smoothing,
        focal_gamma=recipe.focal_gamma,
        tversky_alpha=recipe.tversky_alpha,
        hard_pixels=recipe.hard_pixels,
    )


def reduced(classes: Tensor, size: tuple[int, int]) -> Tensor:
    """Classes ``(..., H, W)`` at ``size``, where the loss is taken: each is the middle one of those it stands for."""
    if classes.shape[-2:] == size:
        return classes
    planes = classes.byte().reshape(-1, 1, *classes.shape[-2:])
    return F.interpolate(planes, size=size, mode="nearest-exact").long().reshape(*classes.shape[:-2], *size)


def mean_losses(logits: Tensor, classes: Tensor) -> Tensor:
    """``(N,)`` mean cross-entropy over each patch's labelled pixels, 0 without any."""
    labelled = classes != UNLABELLED
    losses = F.cross_entropy(logits.float(), classes, ignore_index=UNLABELLED, reduction="none")
    return losses.flatten(1).sum(dim=1) / labelled.flatten(1).sum(dim=1).clamp(min=1)
