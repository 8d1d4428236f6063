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
    assert "memory" in kill
    assert "SIGSEGV" in fault
    assert "signal 60" in odd


def test_only_waiting_and_running_jobs_are_active():
    assert [state for state in JobState if state.active] == [JobState.QUEUED, JobState.RUNNING]
