"""The processes of Ray Train as a team: gradients averaged by torch's DistributedDataParallel.

A step is that of one process with the whole batch: every process computes the loss of all logits, with its own as the
only ones that carry a gradient, so that the processes' gradients add up to the batch's. A process whose patches have no
label gives zeros and keeps nobody waiting. BatchNorm in training mode: on GPUs over the whole batch (SyncBatchNorm); on
CPUs, for which torch has none, over the process's own patches, and the running statistics are the processes' mean.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from core.cluster.mailbox import Sender
from core.errors import CancelledError
from core.training.patch_sampling import Draw
from core.training.team import Network

_Norm = nn.modules.batchnorm._BatchNorm


class BeginAnewError(Exception):
    """One process ran out of memory in a step that the others have taken part in: all must begin anew, with less."""

    def __init__(self, patches_at_once: int) -> None:
        super().__init__(f"begin anew with {patches_at_once} patches at once")
        self.patches_at_once = patches_at_once


class Ranks:
    """A ``core.training.team.Team`` over torch's default process group.

    ``limit`` bounds the patches that a process sends through the network at once, None does not.
    """

    def __init__(self, device: torch.device, *, limit: int | None, timeout: timedelta) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._device, self._limit = device, limit
        # What is agreed on lies in main memory: no GPU has to wait for it.
        self._control = dist.new_group(backend="gloo", timeout=timeout)

    def patches_at_once(self, batch_size: int) -> int:
        """The process's share of the batch, within the limit."""
        share = batch_size // self.size
        return share if self._limit is None else min(share, self._limit)

    def own(self, draws: Sequence[Draw], *, batch_size: int) -> Sequence[Draw]:
        """The process's equal share of each batch, in order."""
        share = batch_size // self.size
        starts = range(self.rank * share, len(draws), batch_size)
        return [draw for start in starts for draw in draws[start : start + share]]

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Seed dropout by run, epoch and process, so that a fit that goes on needs no process's random state."""
        sequence = np.random.SeedSequence([seed, epoch, self.rank])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)

    def prepare(self, network: Network) -> Network:
        """On GPUs its BatchNorm sees the whole batch."""
        if self._device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return network

    def wrap(self, network: nn.Module, *, unused: bool) -> nn.Module:
        """In DistributedDataParallel; statistics are brought together by ``settle`` alone."""
        return DistributedDataParallel(
            network, broadcast_buffers=False, find_unused_parameters=unused, gradient_as_bucket_view=True
        )

    def accumulating(self, wrapped: nn.Module) -> AbstractContextManager[None]:
        """``no_sync``."""
        if not isinstance(wrapped, DistributedDataParallel):
            raise TypeError("only what wrap() gave accumulates")
        context: AbstractContextManager[None] = wrapped.no_sync()
        return context

    def gather(self, tensor: Tensor) -> Tensor:
        """All processes' tensors; the own one is the tensor itself, so that its gradient stays this process's."""
        parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, tensor.detach().contiguous())
        parts[self.rank] = tensor
        return torch.stack(parts)

    def settle(self, network: nn.Module) -> None:
        """The mean of the processes' running means and variances."""
        for norm in network.modules():
            if isinstance(norm, _Norm) and norm.running_mean is not None and norm.running_var is not None:
                for statistic in (norm.running_mean, norm.running_var):
                    dist.all_reduce(statistic)
                    statistic.div_(self.size)

    def total(self, matrix: NDArray[np.int64]) -> NDArray[np.int64]:
        """The exact sum."""
        summed = torch.from_numpy(matrix.copy())
        dist.all_reduce(summed, group=self._control)
        return summed.numpy()

    def begin_anew(self, patches_at_once: int) -> None:
        """Raise ``BeginAnewError``: the others wait in a step that this process cannot finish."""
        raise BeginAnewError(patches_at_once)

    def any(self, said: bool) -> bool:
        """Whether any process says so."""
        flag = torch.tensor([int(said)])
        dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self._control)
        return bool(flag.item())

    def texts(self, own: str) -> list[str]:
        """What each process says, by rank."""
        said: list[str] = [""] * self.size
        dist.all_gather_object(said, own, group=self._control)
        return said


class TeamProgress:
    """The progress of a process among others: a cancel reaches all of them in the same call."""

    def __init__(self, team: Ranks, sender: Sender) -> None:
        self._team, self._sender = team, sender

    def update(self, done: float, total: float, message: str) -> None:
        """Rank 0 sends it on; raises ``CancelledError`` in all processes, or in none."""
        if self._team.rank == 0:
            self._sender.progress(done, total, message)
        if self._team.any(self._sender.cancelled):
            raise CancelledError

    def metrics(self, values: dict[str, object]) -> None:
        """Send them on; only rank 0 measures."""
        self._sender.send("metrics", values)
