import pytest

from core.jobs.outcome import JobState, Traces, judge

SILENT = Traces(result=None, verdict=None, last_lines=())


@pytest.mark.parametrize(
    ("exit_status", "cancel_requested", "state"),
    [
        (0, False, JobState.DONE),
        (0, True, JobState.DONE),  # it was quicker than the cancel
        (2, False, JobState.FAILED),
        (1, False, JobState.FAILED),
        (130, True, JobState.CANCELLED),
        (130, False, JobState.CANCELLED),  # somebody sent it a signal from a terminal
        (-15, True, JobState.CANCELLED),
        (-9, True, JobState.CANCELLED),
        (-15, False, JobState.LOST),
        (-9, False, JobState.LOST),
        (-11, False, JobState.LOST),
        (None, False, JobState.LOST),
        (None, True, JobState.CANCELLED),
    ],
)
def test_the_end_state_follows_from_exit_status_and_cancel(exit_status, cancel_requested, state):
    outcome = judge(exit_status=exit_status, cancel_requested=cancel_requested, traces=SILENT)
    assert outcome.state == state
    assert (outcome.message is None) == (state == JobState.DONE)


def test_a_killed_job_is_explained_and_other_signals_are_named():
    kill, fault, odd = (judge(exit_status=-n, cancel_requested=False, traces=SILENT).message for n in (9, 11, 60))
    assert "Ended by the system" in kill
    assert "memory" in kill
    assert "disk" in judge(exit_status=-7, cancel_requested=False, traces=SILENT).message
    assert "SIGSEGV" in fault
    assert "signal 60" in odd


def test_only_waiting_and_running_jobs_are_active():
    assert [state for state in JobState if state.active] == [JobState.QUEUED, JobState.RUNNING]
    assert [state for state in JobState if not state.active and not state.ended] == [JobState.PAUSED]


@pytest.mark.parametrize(
    ("exit_status", "cancel_requested", "state"),
    [
        (130, False, JobState.PAUSED),
        (-15, False, JobState.PAUSED),  # it was still loading
        (-9, False, JobState.PAUSED),  # it did not stop in time
        (None, False, JobState.PAUSED),  # the machine went down meanwhile
        (0, False, JobState.DONE),  # it was quicker
        (2, False, JobState.FAILED),
        (130, True, JobState.CANCELLED),  # the stop came later and counts
    ],
)
def test_a_job_that_was_asked_to_pause_is_paused_unless_it_ended_by_itself(exit_status, cancel_requested, state):
    outcome = judge(exit_status=exit_status, cancel_requested=cancel_requested, pause_requested=True, traces=SILENT)
    assert outcome.state == state


@pytest.mark.parametrize(
    ("last_line", "word"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "Memory ran out"),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory", "Memory ran out"),
        ("MemoryError", "Memory ran out"),
        ("OSError: [Errno 28] No space left on device: 'weights.safetensors'", "disk is full"),
        ("sqlite3.OperationalError: database or disk is full", "disk is full"),
    ],
)
def test_a_crash_for_want_of_memory_or_disk_is_told_plainly(last_line, word):
    traces = Traces(result=None, verdict=None, last_lines=["Traceback (most recent call last):", last_line])
    outcome = judge(exit_status=1, cancel_requested=False, traces=traces)
    assert outcome.state is JobState.FAILED
    assert word in outcome.message
    assert "exit status" not in outcome.message


def test_other_crashes_are_not_put_down_to_memory_or_disk():
    lines = ["a warning: out of memory is near", "1", "2", "ValueError: odd"]
    traces = Traces(result=None, verdict=None, last_lines=lines)
    message = judge(exit_status=1, cancel_requested=False, traces=traces).message
    assert message.endswith("ValueError: odd")


def test_a_job_that_could_say_nothing_on_a_full_disk_is_told_so():
    traces = Traces(result=None, verdict=None, last_lines=(), disk_full=True)
    assert "disk is full" in judge(exit_status=120, cancel_requested=False, traces=traces).message


def test_the_sentence_of_a_fit_that_diverged_is_shown_as_it_is():
    said = "The loss became NaN in epoch 3; the batch is kept in nan-batch.safetensors. Try a smaller learning rate."
    traces = Traces(result=None, verdict=("error", said), last_lines=["Epoch 3", said])
    assert judge(exit_status=2, cancel_requested=False, traces=traces).message == said
