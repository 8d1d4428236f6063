"""Pruning a trained network: by magnitude, single weights become zero; structured, whole channels go.

Channels that only lead from one convolution to the next, through what treats every channel for itself, can be removed
for real: the network then has smaller convolutions and nothing else of it changes. Which ones those are is read off one
pass over a trial image, every call of it watched, so that no architecture needs to be known here. Channels that are
added to others, joined with others or read twice stay. Where a network has no such channels they are masked instead.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.checkpoint import TrainedNetwork
from models.errors import ModelError
from models.network_context import Context

_TRIAL_SIDE = 128
# Calls, by name, that treat each channel for itself.
_ACTIVATIONS = ("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "silu", "silu_", "hardswish", "hardswish_", "gelu")
_RESAMPLING = ("interpolate", "contiguous", "float", "to")
_CHANNELWISE = frozenset(
    (*_ACTIVATIONS, *_RESAMPLING, "leaky_relu", "leaky_relu_", "dropout", "dropout2d", "feature_dropout")
)
_NORM = "batch_norm"
_CONVOLUTION = "conv2d"


@dataclass(frozen=True, slots=True)
class Pruned:
    """A pruned copy and what was done: ``way`` 'weights', 'removed' or 'masked', or 'none' for a whole network.

    ``zero_share`` is the share of all convolutions' weights that are zero, ``parameters`` how many there are still.
    """

    network: TrainedNetwork
    way: str
    zero_share: float
    parameters: int

    @classmethod
    def whole(cls, network: TrainedNetwork) -> "Pruned":
        """A network that nothing was taken from; no copy."""
        return _told(network, "none")


def prune_weights(network: TrainedNetwork, sparsity: float) -> Pruned:
    """Zero the share ``sparsity`` (0 to 1) of all convolutions' weights that are smallest, over all layers at once.

    The network is as large and as slow as before, but for a runtime that skips zeros. Han et al. 2015, "Learning both
    weights and connections for efficient neural networks", without its training afterwards.
    """
    pruned = copy.deepcopy(network)
    weights = [module.weight.data for module in _convolutions(pruned)]
    sizes = torch.cat([weight.abs().flatten() for weight in weights])
    count = round(sparsity * sizes.numel())
    if count:
        threshold = sizes.kthvalue(count).values
        for weight in weights:
            weight[weight.abs() <= threshold] = 0
    return _told(pruned, "weights")


def prune_channels(network: TrainedNetwork, sparsity: float) -> Pruned:
    """Take the share ``sparsity`` of the channels away that matter least, of every convolution that allows it.

    A channel matters by the sum of its filter's absolute weights times its normalisation's factor (Li et al. 2017,
    "Pruning filters for efficient ConvNets"). Channels are removed where ``removable`` finds any, else masked: then
    filters are set to zero in every convolution but the last, which saves no time.
    """
    pruned = copy.deepcopy(network)
    chains = removable(pruned)
    for chain in chains:
        chain.keep(_best(chain.merit(), sparsity))
    if not chains:
        for module in _convolutions(pruned)[:-1]:
            kept = torch.zeros(module.out_channels, dtype=torch.bool)
            kept[_best(_filter_sizes(module), sparsity)] = True
            module.weight.data[~kept] = 0
            if module.bias is not None:
                module.bias.data[~kept] = 0
    return _told(pruned, "removed" if chains else "masked")


@dataclass(frozen=True, slots=True)
class Chain:
    """Channels that only lead from ``first`` to ``last``, by way of normalisations and depthwise convolutions."""

    first: nn.Conv2d
    between: tuple[nn.Module, ...]
    last: nn.Conv2d

    def merit(self) -> Tensor:
        """How much each channel matters, ``(channels,)``."""
        merit = _filter_sizes(self.first)
        for module in self.between:
            if isinstance(module, nn.BatchNorm2d) and module.affine:
                return merit * module.weight.data.abs()
        return merit

    def keep(self, channels: Tensor) -> None:
        """Remove all but these channels, by index and in order."""
        _keep_outputs(self.first, channels)
        for module in self.between:
            if isinstance(module, nn.Conv2d):
                _keep_outputs(module, channels)
                module.groups = module.in_channels = len(channels)
                continue
            for name in ("weight", "bias", "running_mean", "running_var"):
                _keep(module, name, channels, dim=0)
            module.num_features = len(channels)  # type: ignore[assignment]
        _keep(self.last, "weight", channels, dim=1)
        self.last.in_channels = len(channels)


def removable(network: TrainedNetwork) -> list[Chain]:
    """The chains of a network in evaluation mode, found by watching it look at one image.

    Raises ``ModelError`` where it needs more than an image and its place.
    """
    if network.needs_context != "none":
        raise ModelError("A network that reads the surroundings of a patch cannot be pruned by channels.")
    watcher = _Watcher()
    side = max(_TRIAL_SIDE, network.smallest)
    place = Context(torch.tensor([[0.0, 0, 1, 1]]), torch.full((1, 3), 127.0), torch.full((1, 3), 50.0))
    with torch.inference_mode(), watcher:
        network(torch.zeros(1, 3, side, side), place if network.needs_place else None)
    modules = {id(module.weight): module for module in network.modules() if isinstance(module, nn.Conv2d)}
    norms = {id(m.running_mean): m for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
    chains = [watcher.chain(call, modules, norms) for call in watcher.calls if call.name == _CONVOLUTION]
    return [chain for chain in chains if chain is not None]


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that was watched: the values (by number) that it took and gave, and its tensors by place."""

    name: str
    taken: tuple[int, ...]
    given: int
    tensors: tuple[Tensor, ...]


class _Watcher(TorchFunctionMode):
    """Writes down every call of torch: who takes which value. A value changed in place counts as a new one."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Call] = []
        self._values: dict[int, int] = {}
        self._alive: list[Tensor] = []  # so that no tensor gets the id of one that is gone
        self._count = 0

    def __torch_function__(
        self, function: Callable[..., Any], _types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call and write down."""
        given = function(*args, **(kwargs or {}))
        results = list(_tensors([given]))
        if results:
            tensors = tuple(_tensors([*args, *(kwargs or {}).values()]))
            taken = tuple(self._number(tensor) for tensor in tensors)
            numbers = [self._new(result) for result in results]
            several = len(numbers) > 1
            self.calls.append(_Call("several" if several else function.__name__, taken, numbers[0], tensors))
        return given

    def chain(self, first: _Call, modules: dict[int, nn.Conv2d], norms: dict[int, nn.BatchNorm2d]) -> Chain | None:
        """The chain that begins at a convolution; None where its channels go elsewhere too."""
        start = self._convolution(first, modules)
        between: list[nn.Module] = []
        passed: Sequence[nn.Module] | None
        call = self._only_reader(first) if start is not None and start.groups == 1 else None
        while start is not None and call is not None:
            if call.name == _CONVOLUTION:
                found = self._convolution(call, modules)
                if found is not None and found.groups == 1:
                    return Chain(start, tuple(between), found)
                depthwise = found is not None and found.groups == found.in_channels == found.out_channels
                passed = [found] if found is not None and depthwise else None
            elif call.name == _NORM:
                passed = [norms[id(tensor)] for tensor in call.tensors if id(tensor) in norms] or None
            else:
                passed = [] if call.name in _CHANNELWISE else None
            if passed is None:
                return None
            between += passed
            call = self._only_reader(call)
        return None

    def _only_reader(self, call: _Call) -> _Call | None:
        """The call that takes what another gave; None where several do, or not as what it works on."""
        readers = [other for other in self.calls if call.given in other.taken]
        return readers[0] if len(readers) == 1 and readers[0].taken[0] == call.given else None

    def _convolution(self, call: _Call, modules: dict[int, nn.Conv2d]) -> nn.Conv2d | None:
        """The module of a call; None where its weights are used more than once."""
        weight = call.tensors[1]
        uses = sum(any(tensor is weight for tensor in other.tensors) for other in self.calls)
        return modules.get(id(weight)) if uses == 1 else None

    def _number(self, tensor: Tensor) -> int:
        return self._values[id(tensor)] if id(tensor) in self._values else self._new(tensor)

    def _new(self, tensor: Tensor) -> int:
        self._alive.append(tensor)
        self._count += 1
        self._values[id(tensor)] = self._count
        return self._count


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _filter_sizes(module: nn.Conv2d) -> Tensor:
    return module.weight.data.abs().sum(dim=(1, 2, 3))


def _best(merit: Tensor, sparsity: float) -> Tensor:
    """The channels to keep, one at least, in their order."""
    count = max(1, round(len(merit) * (1 - sparsity)))
    return merit.topk(count).indices.sort().values


def _keep_outputs(module: nn.Conv2d, channels: Tensor) -> None:
    _keep(module, "weight", channels, dim=0)
    _keep(module, "bias", channels, dim=0)
    module.out_channels = len(channels)


def _keep(module: nn.Module, name: str, channels: Tensor, *, dim: int) -> None:
    tensor = getattr(module, name)
    if tensor is None:
        return
    kept = tensor.data.index_select(dim, channels)
    setattr(module, name, nn.Parameter(kept) if isinstance(tensor, nn.Parameter) else kept)


def _told(network: TrainedNetwork, way: str) -> Pruned:
    weights = [module.weight.data for module in _convolutions(network)]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Pruned(network, way, zeros / sum(weight.numel() for weight in weights), parameters)
