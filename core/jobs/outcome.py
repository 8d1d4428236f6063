"""How a job ended, from what is known of it, and the one sentence that tells a person."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

CANCELLED_STATUS = 130
BAD_INPUT_STATUS = 2


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Traces:
    """What a job left behind: the last object on stdout, the closing event and the last plain lines on stderr."""

    result: dict[str, Any] | None
    verdict: tuple[str, str] | None
    last_lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An end state, and a sentence where it is not simply done."""

    state: JobState
    message: str | None = None


def judge(*, exit_status: int | None, cancel_requested: bool, traces: Traces) -> Outcome:
    """How a job whose process is gone ended.

    ``exit_status`` is what the process returned, minus a signal's number if that killed it, or None when the
    one who could have known (the worker) died before it; the traces then have to tell.
    """
    if exit_status is None:
        return _judge_by_traces(cancel_requested, traces)
    if exit_status == 0:
        return Outcome(JobState.DONE)
    if exit_status == CANCELLED_STATUS:
        return Outcome(JobState.CANCELLED, traces.verdict[1] if traces.verdict else "Cancelled.")
    if exit_status < 0:
        return _judge_signal(-exit_status, cancel_requested)
    if exit_status == BAD_INPUT_STATUS and traces.last_lines:
        return Outcome(JobState.FAILED, traces.last_lines[-1])
    last = traces.last_lines[-1] if traces.last_lines else "it said nothing"
    return Outcome(JobState.FAILED, f"The job stopped with an error of its own (exit status {exit_status}): {last}")


def _judge_by_traces(cancel_requested: bool, traces: Traces) -> Outcome:
    if traces.result is not None:
        return Outcome(JobState.DONE)
    if traces.verdict and traces.verdict[0] == "error":
        return Outcome(JobState.FAILED, traces.verdict[1])
    if traces.verdict:
        return Outcome(JobState.CANCELLED, traces.verdict[1])
    if cancel_requested:
        return Outcome(JobState.CANCELLED, "Cancelled; what was finished is kept.")
    return Outcome(
        JobState.LOST,
        "The job's process is gone and left no result: the machine was restarted, or somebody ended it. Start it anew.",
    )


def _judge_signal(number: int, cancel_requested: bool) -> Outcome:
    if cancel_requested and number == signal.SIGKILL:
        return Outcome(JobState.CANCELLED, "Cancelled; it did not stop by itself and was ended by force.")
    if cancel_requested:
        return Outcome(JobState.CANCELLED, "Cancelled before it had finished anything.")
    if number == signal.SIGKILL:
        return Outcome(
            JobState.LOST,
            "The job was killed (signal 9), most often because memory ran out: "
            "try smaller tiles, a smaller batch or a smaller encoder.",
        )
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    return Outcome(JobState.LOST, f"The job was killed by signal {number} ({name}) before it was done; start it anew.")
