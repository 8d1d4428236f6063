"""What each worker of a fit by several runs: the same fit, as one of a team."""

import json
import socket
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch

from core.cluster.mailbox import Sender
from core.cluster.ray_import import import_ray
from core.errors import CancelledError, InputError
from core.progress import SilentProgress
from core.training.checkpoints import SUMMARY, ingredients
from core.training.distributed_team import BeginAnewError, Ranks, TeamProgress
from core.training.encoder_weights import fetch_recipe_weights
from core.training.feature_cache import default_cache
from core.training.fit import FitRequest
from core.training.fitted import FitTask
from core.training.network_fit import fit_network
from core.training.parcels import pack_fitted, unpack_request
from core.training.provenance import digest
from core.training.training_data import gather

PROGRESS, METRICS, STARTED, FITTED, CANCELLED, REFUSED, BEGIN_ANEW = [
    "progress",
    "metrics",
    "started",
    "fitted",
    "cancelled",
    "refused",
    "begin-anew",
]
"""The kinds of messages that a worker sends; the last four end the fit."""


def train_on_rank(plan: dict[str, Any]) -> None:
    """The loop of Ray Train's workers; ``plan`` is what ``distributed.fit_on_workers`` made.

    What the fit came to is sent to the mailbox: rank 0 speaks for all, but a worker that cannot go on speaks for itself
    and raises, so that Ray ends the others, which wait for it.
    """
    ray = import_ray()
    context = import_ray("train").get_context()
    sender = Sender(ray, plan["mailbox"], context.get_world_rank())
    torch.set_num_threads(plan["threads"])
    device = import_ray("train.torch").get_device() if plan["gpu"] else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    team = Ranks(device, limit=plan["patches_at_once"], timeout=timedelta(seconds=plan["timeout_s"]))
    try:
        _fit(plan, team, sender)
    except InputError as error:
        sender.send(REFUSED, str(error))
        raise
    except BeginAnewError as error:
        sender.send(BEGIN_ANEW, error.patches_at_once)
        raise


def seen(task: FitTask) -> str:
    """What a process sees of a fit's files: equal where they are the same, for all that it depends on."""
    summary = task.out / SUMMARY
    checkpoint = json.loads(summary.read_text()) if task.resume and summary.is_file() else None
    return digest({"made_of": ingredients(task), "checkpoint": checkpoint})


def _fit(plan: dict[str, Any], team: Ranks, sender: Sender) -> None:
    request = unpack_request(plan["request"])
    task = _checked_task(request, plan["seen"], team, sender)
    hosts = team.texts(socket.gethostname())
    if team.rank == 0:
        sender.send(STARTED, hosts)
    try:
        fitted = fit_network(task, team)
    except CancelledError:
        if team.rank == 0:
            sender.send(CANCELLED, None)
        return
    if team.rank == 0:
        measured = {**fitted.measured, "workers": team.size, "nodes": dict(Counter(hosts))}
        sender.send(FITTED, pack_fitted(replace(fitted, measured=measured)))


def _checked_task(request: FitRequest, wanted: str, team: Ranks, sender: Sender) -> FitTask:
    """The fit as this process sees it. Raises ``InputError`` in all where one sees something else."""
    said = ""
    try:
        gathered = gather(request.data, request.labels, request.recipe)
        fetch_recipe_weights(request.recipe, SilentProgress())
        task = FitTask(
            recipe=request.recipe,
            tiles=gathered,
            out=request.out,
            seed=request.seed,
            device=request.device,
            cache=request.cache or default_cache(),
            progress=TeamProgress(team, sender),
            resume=request.resume,
        )
        if seen(task) != wanted:
            said = f"it finds other tiles, labels or another checkpoint in {request.data} and {request.out}"
    except InputError as error:
        said = str(error).rstrip(".")
    for rank, sentence in enumerate(team.texts(said and f"{socket.gethostname()}: {said}")):
        if sentence:
            raise InputError(
                f"Worker {rank + 1} cannot take part, on {sentence}; the tiles, the labels and the run's folder must "
                "lie on a disk that all nodes share, under the same paths."
            )
    return task
