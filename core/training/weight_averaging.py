"""Averages of a network's weights over the steps of a fit (EMA) and over its last epochs (SWA)."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = tuple[Tensor, ...] | list[Tensor]
_Norm = nn.modules.batchnorm._BatchNorm


def exponential_average(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of the network that follows its weights by an exponential moving average.

    The decay begins low, as (1 + n) / (10 + n) after n steps: a fit of few steps must not be held back by the weights
    that it began with. BatchNorm's statistics are those of the network at the last step.
    """

    @torch.no_grad()
    def average(averaged: _Tensors, current: _Tensors, steps: Tensor | int) -> None:
        n = int(steps)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return AveragedModel(network, multi_avg_fn=average)


def even_average(network: nn.Module) -> AveragedModel:
    """A copy of the network that takes the plain mean of the weights it is given (Izmailov et al. 2018, SWA)."""
    return AveragedModel(network)


@torch.no_grad()
def renew_statistics(network: nn.Module, batches: Iterable[Callable[[nn.Module], object]]) -> None:
    """Take the BatchNorm statistics of a network anew, which averaging its weights has made stale.

    ``batches`` are calls that send one batch through the network they are given. Layers that stay in evaluation mode
    (a frozen encoder's) keep theirs.
    """
    was_training = network.training
    network.train()
    norms = [m for m in network.modules() if isinstance(m, _Norm) and m.training and m.running_mean is not None]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    if norms:
        for send in batches:
            send(network)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(was_training)


def pack_average(average: AveragedModel) -> dict[str, Tensor]:
    """Its tensors by the network's own names, with the number of weights that it has taken in."""
    state: dict[str, Tensor] = average.state_dict()
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def restore_average(average: AveragedModel, tensors: Mapping[str, Tensor]) -> None:
    """Give a new average of the same network what ``pack_average`` took."""
    average.load_state_dict(
        {name if name == "n_averaged" else f"module.{name}": tensor for name, tensor in tensors.items()}
    )
