"""Fit one network by several processes at once, on one machine's GPUs or cores or on those of a cluster.

Ray Train starts the workers and connects them (NCCL between GPUs, gloo between CPUs); each runs the fit as it is, as
one of a team. Their disk is shared: each reads the tiles, and the first writes the run. This process tells what they
do, passes a cancel on, and where a worker is lost has all of them go on from the last checkpoint.
"""

import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from core.cluster.connection import ClusterUse, check_room, connected, gpus_each
from core.cluster.mailbox import open_mailbox
from core.cluster.ray_import import import_ray
from core.errors import CancelledError, InputError
from core.progress import Progress
from core.training.checkpoints import CHECKPOINT
from core.training.distributed_folds import fit_members_on_cluster
from core.training.distributed_rank import (
    BEGIN_ANEW,
    CANCELLED,
    FITTED,
    METRICS,
    REFUSED,
    STARTED,
    seen,
    train_on_rank,
)
from core.training.fit import FitRequest, fit
from core.training.fitted import FitTask, Fitted
from core.training.parcels import pack_request, unpack_fitted
from core.training.recipe import Recipe
from core.training.recipe_settings import BOTH_BRANCHES

MOST_LOSSES = 3
"""How often a fit goes on after it lost a worker; then it is told as failed."""

_TIMEOUT_SECONDS = 1800
_POLL_SECONDS = 0.2
_STOPPING_SECONDS = 120


@dataclass(slots=True)
class _Attempt:
    """What became of the workers: the message that ended them, or the error where they were lost."""

    ended: tuple[str, Any] = ("", None)
    error: BaseException | None = None
    cancelled: bool = False
    hosts: list[str] = field(default_factory=list)  # of each worker, once they have begun


def fit_on_cluster(request: FitRequest, progress: Progress, *, workers: int, cluster: ClusterUse) -> dict[str, Any]:
    """``fit.fit`` by several workers that share one network's batches; by one, with a run's members spread."""

    def train(task: FitTask) -> Fitted:
        if workers > 1:
            return fit_on_workers(task, request, workers=workers, cluster=cluster)
        return fit_members_on_cluster(task, request, cluster=cluster)

    return fit(request, progress, train=train)


def fit_on_workers(task: FitTask, request: FitRequest, *, workers: int, cluster: ClusterUse) -> Fitted:
    """Train the recipe's network by so many processes, each with an equal share of every batch.

    The steps are those of one process: the same patches, the loss of the whole batch. With the same number of workers a
    fit on CPUs is repeated bit for bit. Raises ``InputError`` for what cannot be split, for a cluster that cannot be
    had, and as ``fit_network`` does; ``CancelledError`` where there is nothing to keep yet.
    """
    check_splits(request.recipe, workers)
    with connected(cluster.address) as ray:
        return _Fit(ray, task, request, workers, cluster).run()


def check_splits(recipe: Recipe, workers: int) -> None:
    """Raise ``InputError`` where so many workers have nothing to share in a recipe's fit."""
    if recipe.kind != "network":
        raise InputError(
            f"Several workers train one network, and the recipe {recipe.name} trains a head on cached features, which "
            "takes seconds; leave --workers out, or take a recipe such as decoder or finetune."
        )
    if recipe.decoder == BOTH_BRANCHES:
        raise InputError(f"The decoder {BOTH_BRANCHES} is trained by one process; leave --workers out.")
    if recipe.folds > 1 or recipe.members > 1:
        raise InputError(
            "Several workers train one network, and this recipe trains several (folds, members); leave --workers out, "
            "and spread them with --cluster instead."
        )
    if recipe.batch_size % workers:
        fitting = [str(count) for count in range(1, recipe.batch_size + 1) if recipe.batch_size % count == 0]
        raise InputError(
            f"{workers} workers cannot share a batch of {recipe.batch_size} evenly; take {' or '.join(fitting)}, or "
            "set batch_size to a multiple of their number."
        )


class _Fit:
    """The attempts at one fit, each beginning where the last checkpoint stands."""

    def __init__(self, ray: ModuleType, task: FitTask, request: FitRequest, workers: int, cluster: ClusterUse) -> None:
        self._ray, self._task, self._request = ray, task, request
        self._workers, self._cpus = workers, cluster.cpus
        self._gpus = gpus_each(ray, cluster, request.device)
        if self._gpus % 1:
            raise InputError(f"A worker of one fit needs whole GPUs, and {self._gpus:g} is none; mend --worker-gpus.")
        self._room = check_room(ray, cluster, gpus=self._gpus, count=workers)
        self._resume = request.resume
        self._patches_at_once: int | None = None
        self._warnings: list[str] = []
        self._losses = 0

    def run(self) -> Fitted:
        """Attempt it until it has ended, one way or the other."""
        while True:
            attempt = self._attempt()
            kind, content = attempt.ended
            if kind == FITTED:
                fitted = unpack_fitted(content)
                return replace(fitted, warnings=(*self._warnings, *fitted.warnings))
            if kind == REFUSED:
                raise InputError(content)
            if kind == CANCELLED or attempt.cancelled:
                raise CancelledError
            if kind == BEGIN_ANEW:
                self._patches_at_once = content
                self._warn(
                    f"Out of memory: {content} patches of a step now go through each worker's network at once, and "
                    "their gradients are added up"
                )
            else:
                self._count_loss(attempt)
            self._resume = (self._task.out / CHECKPOINT).is_file()

    def _count_loss(self, attempt: _Attempt) -> None:
        """Say that a worker was lost, or give up. Raises what it was, where no worker was lost."""
        ranks = _lost_ranks(attempt.error)
        if not ranks:
            raise attempt.error or RuntimeError("the workers ended without a word")
        self._losses += 1
        nodes = " and ".join(dict.fromkeys(attempt.hosts[rank] for rank in ranks if rank < len(attempt.hosts)))
        lost = f"A worker's process{f' on {nodes}' if nodes else ''} ended before its time"
        if self._losses > MOST_LOSSES:
            raise InputError(
                f"{lost}, as {MOST_LOSSES} before it, and the fit was given up; see to the node, then go on from the "
                "last checkpoint, if there is one yet, with --resume."
            ) from attempt.error
        self._warn(f"{lost}; all workers go on from the last checkpoint")

    def _warn(self, sentence: str) -> None:
        self._warnings.append(sentence)
        self._task.progress.update(0, 1, f"Warning: {sentence}")

    def _attempt(self) -> _Attempt:
        """Start the workers and tell what they do until they have ended."""
        attempt = _Attempt()
        mailbox = open_mailbox(self._ray)
        self._task.progress.update(0, 1, f"Starting {self._workers} workers ({self._room})")
        with tempfile.TemporaryDirectory() as scratch:
            trainer = self._trainer(mailbox, scratch)

            def train() -> None:
                try:
                    trainer.fit()
                except (Exception, SystemExit) as error:  # the latter is Ray's, where nobody waits any more
                    attempt.error = error

            thread = threading.Thread(target=train, name="ray-train", daemon=True)
            thread.start()
            deadline = float("inf")
            while thread.is_alive() and time.monotonic() < deadline:
                thread.join(_POLL_SECONDS)
                self._forward(mailbox, attempt)
                if (attempt.cancelled or attempt.ended[0]) and deadline == float("inf"):
                    deadline = time.monotonic() + (_STOPPING_SECONDS if attempt.hosts else _POLL_SECONDS)
            self._forward(mailbox, attempt)
        return attempt

    def _forward(self, mailbox: Any, attempt: _Attempt) -> None:
        """Hand on what the workers said, and a cancel to them."""
        for _, kind, content in self._ray.get(mailbox.take.remote()):
            if kind == STARTED:
                attempt.hosts = content
            elif kind in (FITTED, CANCELLED, REFUSED, BEGIN_ANEW):
                attempt.ended = attempt.ended if attempt.ended[0] else (kind, content)
            elif not attempt.cancelled:
                self._tell(mailbox, attempt, kind, content)

    def _tell(self, mailbox: Any, attempt: _Attempt, kind: str, content: Any) -> None:
        progress = self._task.progress
        try:
            if kind == METRICS:
                progress.metrics(content)
            else:
                progress.update(*content)
        except CancelledError:
            attempt.cancelled = True
            self._ray.get(mailbox.cancel.remote())

    def _trainer(self, mailbox: Any, scratch: str) -> Any:
        train, torch_train = import_ray("train"), import_ray("train.torch")
        device = "cuda" if self._gpus else "cpu"
        plan = {
            "mailbox": mailbox,
            "request": pack_request(replace(self._request, device=device, resume=self._resume)),
            "seen": seen(replace(self._task, resume=self._resume)),
            "threads": self._cpus,
            "gpu": bool(self._gpus),
            "patches_at_once": self._patches_at_once,
            "timeout_s": _TIMEOUT_SECONDS,
        }
        return torch_train.TorchTrainer(
            train_on_rank,
            train_loop_config=plan,
            torch_config=torch_train.TorchConfig(backend="nccl" if self._gpus else "gloo", timeout_s=_TIMEOUT_SECONDS),
            scaling_config=train.ScalingConfig(
                num_workers=self._workers,
                use_gpu=bool(self._gpus),
                resources_per_worker={"CPU": self._cpus, **({"GPU": self._gpus} if self._gpus else {})},
            ),
            # Ours is the decision whether to go on, and from where.
            run_config=train.RunConfig(
                storage_path=scratch, failure_config=train.FailureConfig(max_failures=0, max_preemption_failures=0)
            ),
        )


def _lost_ranks(error: BaseException | None) -> list[int]:
    """The workers whose processes went, where that is what ended a training; none where it was a fault of ours.

    Ray's own exceptions tell of processes and nodes, and a broken connection is what the other workers see of it.
    """
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    gone = [rank for rank, failure in failures.items() if type(failure).__module__.startswith("ray.")]
    cut = [rank for rank, failure in failures.items() if rank not in gone and _is_cut_connection(failure)]
    return (gone or cut) if len(gone) + len(cut) == len(failures) else []


def _is_cut_connection(error: Exception) -> bool:
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in said for word in ("gloo", "nccl", "connection"))
