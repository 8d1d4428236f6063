"""Independent calls of a study or a run: here one after the other, or all at once on a cluster."""

from collections.abc import Callable, Sequence

from core.cluster.connection import ClusterUse
from core.cluster.fan_out import Asked, Call, OnOutcome, Outcome, fan_out
from core.errors import InputError
from core.progress import Progress
from core.training.folds import PartProgress


def call_each(
    call: Call,
    asked: Sequence[Asked],
    *,
    cluster: ClusterUse | None,
    device: str,
    progress: Progress,
    on_outcome: OnOutcome,
    needless: Callable[[int], bool],
) -> None:
    """Make the calls, here without a ``cluster``; ``on_outcome`` is told each one's number and outcome.

    ``needless`` is asked before a call is made here whether what has ended by then makes it so. Raises what
    ``on_outcome`` does, ``CancelledError``, and ``InputError`` for a cluster that cannot be had.
    """
    if cluster is not None:
        fan_out(call, asked, cluster=cluster, device=device, progress=progress, on_outcome=on_outcome)
        return
    for number, one in enumerate(asked):
        if needless(number):
            continue
        try:
            outcome = Outcome(call(one.request, device, PartProgress(progress, number, len(asked), one.name)))
        except InputError as error:
            outcome = Outcome(None, str(error))
        on_outcome(number, outcome)
