"""The members of a run, each trained by a worker of a cluster."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.cluster.connection import ClusterUse
from core.cluster.fan_out import Asked, Outcome, fan_out
from core.errors import CancelledError, InputError
from core.progress import Progress
from core.training.feature_cache import default_cache
from core.training.fit import FitRequest
from core.training.fitted import FitTask, Fitted
from core.training.folds import MembersRun, checked_plans, member_kind
from core.training.members import Member
from core.training.parcels import pack_fitted, pack_request, unpack_fitted, unpack_request
from core.training.runs import read_metrics
from core.training.training_data import gather


def fit_members_on_cluster(task: FitTask, request: FitRequest, *, cluster: ClusterUse) -> Fitted:
    """What ``folds.fit_folds`` does, with all members at once.

    A member that fails, or whose node does for good, is missing from the average, and its sentence is a warning of the
    run. After a cancel the members that are ready are kept, and those that run are not. Raises ``InputError`` where
    there is nothing to spread or no member came about, and ``CancelledError`` where none is ready.
    """
    plans = checked_plans(task)
    if len(plans) == 1:
        raise InputError(
            f"The recipe {request.recipe.name} trains one model, and a cluster takes several members at once; set "
            "folds (or a network's members) to 2 or more, or share a network's batches with --workers."
        )
    parcel = pack_request(replace(request, resume=False))
    asked = [
        Asked({"fit": parcel, "number": number}, f"Member {number + 1} of {len(plans)}") for number in range(len(plans))
    ]
    ended: dict[int, Outcome] = {}
    cancelled = False
    try:
        fan_out(
            train_member,
            asked,
            cluster=cluster,
            device=request.device,
            progress=task.progress,
            on_outcome=ended.__setitem__,
        )
    except CancelledError:
        cancelled = True
    outcomes = [ended[number] for number in sorted(ended)]
    whole = [outcome.result for outcome in outcomes if outcome.result is not None]
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    if not whole:
        if cancelled:
            raise CancelledError
        raise InputError(failures[0])
    task.begin()
    run = MembersRun(task, plans, member_kind(task))
    for result in whole:
        run.members.append(_unpack_member(result))
        for line in result["curve"]:
            task.measured(line)
    fitted = run.result(cancelled=cancelled)
    return replace(fitted, warnings=(*fitted.warnings, *failures))


def train_member(request: dict[str, Any], device: str, progress: Progress) -> dict[str, Any]:
    """Train and judge the member of a number; a ``fan_out.Call``. Raises as ``folds.fit_folds`` does."""
    with tempfile.TemporaryDirectory() as scratch:
        fit = unpack_request(request["fit"])
        task = FitTask(
            recipe=fit.recipe,
            tiles=gather(fit.data, fit.labels, fit.recipe),
            out=Path(scratch) / "run",
            seed=fit.seed,
            device=device,
            cache=fit.cache or default_cache(),
            progress=progress,
        )
        task.begin()
        run = MembersRun(task, checked_plans(task), member_kind(task))
        run.member(request["number"], progress)
        (member,) = run.members
        if member.fitted.failure:
            raise InputError(member.fitted.failure)
        return {
            "fitted": pack_fitted(member.fitted),
            "left_out": list(member.left_out),
            "matrices": [matrix.tolist() for matrix in member.matrices],
            "curve": read_metrics(task.out),
        }


def _unpack_member(parcel: dict[str, Any]) -> Member:
    return Member(
        unpack_fitted(parcel["fitted"]),
        tuple(parcel["left_out"]),
        tuple(np.array(matrix, np.int64) for matrix in parcel["matrices"]),
    )
