"""How a job ended, from what is known of it, and the one sentence that tells a person."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

CANCELLED_STATUS = 130
BAD_INPUT_STATUS = 2

MEMORY = "Memory ran out: try a smaller batch, smaller patches or a smaller encoder, or run fewer jobs at once."
DISK = "The disk is full: free some space, then try again; what was finished before is kept."


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def active(self) -> bool:
        """Whether it waits or runs: something may happen to it by itself."""
        return self in (JobState.QUEUED, JobState.RUNNING)

    @property
    def ended(self) -> bool:
        """Whether it is over; a paused job is neither active nor over."""
        return not self.active and self is not JobState.PAUSED


@dataclass(frozen=True, slots=True)
class Traces:
    """What a job left behind: the last object on stdout, the closing event and the last plain lines on stderr.

    ``disk_full`` says that the disk has no room left, which may be why it could not say anything.
    """

    result: dict[str, Any] | None
    verdict: tuple[str, str] | None
    last_lines: Sequence[str]
    disk_full: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A state, and a sentence where it is not simply done."""

    state: JobState
    message: str | None = None


def judge(*, exit_status: int | None, cancel_requested: bool, traces: Traces, pause_requested: bool = False) -> Outcome:
    """How a job whose process is gone ended.

    ``exit_status`` is what the process returned, minus a signal's number if that killed it, or None when the
    one who could have known (the worker) died before it; the traces then have to tell. Of a job that was asked to
    pause and then to stop, the stop counts; one that was done before it could pause is done.
    """
    if exit_status is None:
        outcome = _judge_by_traces(cancel_requested or pause_requested, traces)
    elif exit_status == 0:
        return Outcome(JobState.DONE)
    elif exit_status == CANCELLED_STATUS:
        outcome = Outcome(JobState.CANCELLED, traces.verdict[1] if traces.verdict else "Cancelled.")
    elif exit_status < 0:
        outcome = _judge_signal(-exit_status, cancel_requested or pause_requested)
    elif exit_status == BAD_INPUT_STATUS and traces.last_lines:
        outcome = Outcome(JobState.FAILED, traces.last_lines[-1])
    else:
        outcome = Outcome(JobState.FAILED, _crash(exit_status, traces))
    if pause_requested and not cancel_requested and outcome.state is JobState.CANCELLED:
        return Outcome(JobState.PAUSED)
    return outcome


def _crash(exit_status: int, traces: Traces) -> str:
    """The sentence for an error that the command did not answer itself: the known causes plainly, others as said."""
    for pattern, sentence in _CAUSES:
        if any(pattern.search(line) for line in traces.last_lines[-_CAUSE_LINES:]):
            return sentence
    if traces.disk_full:
        return DISK
    last = traces.last_lines[-1] if traces.last_lines else "it said nothing"
    return f"The job stopped with an error of its own (exit status {exit_status}): {last}"


_CAUSE_LINES = 3
_CAUSES = (
    (re.compile(r"\bout of memory\b|can't allocate memory|cannot allocate memory|\bMemoryError\b", re.I), MEMORY),
    (re.compile(r"no space left on device|disk quota exceeded|disk is full", re.I), DISK),
)


def _judge_by_traces(stop_requested: bool, traces: Traces) -> Outcome:
    if traces.result is not None:
        return Outcome(JobState.DONE)
    if traces.verdict and traces.verdict[0] == "error":
        return Outcome(JobState.FAILED, traces.verdict[1])
    if traces.verdict:
        return Outcome(JobState.CANCELLED, traces.verdict[1])
    if stop_requested:
        return Outcome(JobState.CANCELLED, "Cancelled; what was finished is kept.")
    return Outcome(
        JobState.LOST,
        "The job's process is gone and left no result: the machine was restarted, or somebody ended it. Start it anew.",
    )


def _judge_signal(number: int, stop_requested: bool) -> Outcome:
    if stop_requested and number == signal.SIGKILL:
        return Outcome(JobState.CANCELLED, "Cancelled; it did not stop by itself and was ended by force.")
    if stop_requested:
        return Outcome(JobState.CANCELLED, "Cancelled before it had finished anything.")
    if number == signal.SIGKILL:
        return Outcome(
            JobState.LOST,
            "Ended by the system (signal 9), most likely because memory ran out: "
            "try a smaller batch, smaller patches or a smaller encoder, or run fewer jobs at once.",
        )
    if number == signal.SIGBUS:
        return Outcome(JobState.LOST, "Ended by the system (signal 7), most likely because the disk is full.")
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    return Outcome(JobState.LOST, f"The job was killed by signal {number} ({name}) before it was done; start it anew.")
