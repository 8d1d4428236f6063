"""The processes that train one network together: what a fit asks of them, and the usual case of one alone.

Every process draws all patches of the fit and makes its own share of them, and sees all others' logits: so each has the
loss of the whole batch, whatever loss it is, and knows how hard every patch was.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from core.training.patch_sampling import Draw

Network = TypeVar("Network", bound=nn.Module)


class Team(Protocol):
    """One process's view of the processes. All of them make the same calls in the same order."""

    @property
    def rank(self) -> int:
        """The process's number; 0 writes the run's files and speaks for all."""

    @property
    def size(self) -> int:
        """How many there are."""

    def patches_at_once(self, batch_size: int) -> int:
        """How many patches of a batch this process sends through the network at once, to begin with."""

    def own(self, draws: Sequence[Draw], *, batch_size: int) -> Sequence[Draw]:
        """This process's draws: its equal share of each batch."""

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Make what is random in the passes (dropout) the process's own, and repeatable from here."""

    def prepare(self, network: Network) -> Network:
        """The network with what its layers need to work together; the parameters are the same."""

    def wrap(self, network: nn.Module, *, unused: bool) -> nn.Module:
        """What to send batches through so that gradients are the processes' mean; all trainable parameters take part.

        ``unused``: there may be parameters that no gradient reaches.
        """

    def accumulating(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """Passes in it add to the process's own gradients only; those of the next pass outside bring all together."""

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors ``(...)`` of all processes, alike in shape, as ``(size, ...)``; gradients flow into the own."""

    def settle(self, network: nn.Module) -> None:
        """Give all processes the mean of their BatchNorm statistics."""

    def total(self, matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sum of all processes' matrices."""

    def begin_anew(self, patches_at_once: int) -> None:
        """Called where a pass did not fit into memory: may raise, where a single process cannot take a step back."""


class Alone:
    """The usual case: one process, which does everything."""

    rank, size = 0, 1

    def patches_at_once(self, batch_size: int) -> int:
        """All."""
        return batch_size

    def own(self, draws: Sequence[Draw], *, batch_size: int) -> Sequence[Draw]:  # noqa: ARG002
        """All."""
        return draws

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Random numbers go on from epoch to epoch; a checkpoint keeps where they stand."""

    def prepare(self, network: Network) -> Network:
        """As it is."""
        return network

    def wrap(self, network: nn.Module, *, unused: bool) -> nn.Module:  # noqa: ARG002
        """As it is."""
        return network

    def accumulating(self, wrapped: nn.Module) -> AbstractContextManager[None]:  # noqa: ARG002
        """Gradients add up anyway."""
        return nullcontext()

    def gather(self, tensor: Tensor) -> Tensor:
        """``(1, ...)``."""
        return tensor[None]

    def settle(self, network: nn.Module) -> None:
        """There is nobody to differ from."""

    def total(self, matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        """As it is."""
        return matrix

    def begin_anew(self, patches_at_once: int) -> None:
        """One process can try again."""


ALONE = Alone()
