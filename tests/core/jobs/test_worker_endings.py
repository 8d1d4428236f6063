import os
import signal
from pathlib import Path

import psutil

from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from tests.core.jobs import stand_in
from tests.core.jobs.processes import running


def test_a_fit_is_paused_outlives_its_worker_and_goes_on_from_its_checkpoint(bench, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    job = bench.submit("count", str(out), "60", "--out", str(out), kind="fit")
    bench.start()
    bench.until_said(job)
    queue.pause(bench.workspace, job)
    paused = bench.until_state(job, JobState.PAUSED)
    reached = int((out / "checkpoint").read_text())
    assert reached < 60
    assert paused.has_checkpoint
    bench.until(lambda: worker.live_worker(bench.workspace, "cpu") is None)
    bench.keep_going()
    assert bench.job(job).state == JobState.PAUSED, "nothing but a person starts it again"
    queue.resume(bench.workspace, job)
    bench.keep_going()
    done = bench.until_state(job, JobState.DONE)
    assert done.arguments[-1] == "--resume"
    assert [point["epoch"] for point in log.read_metrics(bench.workspace, job)] == list(range(1, 61))


def test_a_job_that_takes_its_time_to_stop_can_be_ended_now(bench, monkeypatch):
    monkeypatch.setenv(stand_in.GRACE_VARIABLE, "60")
    job = bench.submit("stubborn")
    bench.start()
    bench.until_said(job)
    queue.end_now(bench.workspace, job)
    assert bench.job(job).state == JobState.RUNNING, "nobody asked it to stop yet"
    queue.pause(bench.workspace, job)
    assert bench.job(job).pausing
    queue.end_now(bench.workspace, job)
    bench.until_state(job, JobState.PAUSED)


def test_a_job_that_ran_out_of_memory_says_so_and_can_be_tried_again(bench):
    job = bench.submit("crash", "CUDA out of memory. Tried to allocate 2.00 GiB")
    bench.start()
    assert "Memory ran out" in bench.until_state(job, JobState.FAILED).message
    queue.resume(bench.workspace, job)
    assert bench.job(job).state == JobState.QUEUED


def test_a_running_job_that_is_cancelled_stops_and_keeps_what_it_finished(bench):
    job = bench.submit("wait", str(bench.flag))
    bench.start()
    bench.until_said(job)
    queue.cancel(bench.workspace, job)
    view = bench.until_state(job, JobState.CANCELLED)
    assert view.exit_status == 130
    assert "kept" in view.message
    assert Path(f"{bench.flag}.kept").exists()
    assert not psutil.pid_exists(view.process.pid)


def test_a_cancelled_job_that_ignores_the_signal_is_killed_with_its_children(bench):
    job = bench.submit("stubborn")
    bench.start()
    bench.until_said(job)
    grandchild = int(log.read_progress(bench.workspace, job).done)
    assert psutil.pid_exists(grandchild)
    queue.cancel(bench.workspace, job)
    assert bench.job(job).cancelling
    view = bench.until_state(job, JobState.CANCELLED)
    assert "by force" in view.message
    bench.until(lambda: not running(grandchild))


def test_what_a_killed_job_had_started_does_not_go_on_without_it(bench):
    job = bench.submit("stubborn")
    bench.start()
    bench.until_said(job)
    grandchild = int(log.read_progress(bench.workspace, job).done)
    os.kill(bench.job(job).process.pid, signal.SIGKILL)
    bench.until_state(job, JobState.LOST)
    bench.until(lambda: not running(grandchild))


def test_bad_input_fails_the_job_with_the_sentence_of_the_command(bench):
    job = bench.submit("bad")
    bench.start()
    view = bench.until_state(job, JobState.FAILED)
    assert view.message == "The folder /nowhere holds no image; choose another."
    assert view.exit_status == 2


def test_a_crash_fails_the_job_and_its_last_lines_can_be_read(bench):
    job = bench.submit("crash")
    bench.start()
    view = bench.until_state(job, JobState.FAILED)
    assert "the crash that was asked for" in view.message
    lines = log.tail(bench.workspace, job)
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "RuntimeError: the crash that was asked for"


def test_a_killed_job_shows_as_lost_with_its_last_lines_and_the_next_one_runs(bench):
    job, after = bench.submit("wait", str(bench.flag)), bench.submit("hold", str(bench.flag) + ".record", "a")
    bench.start()
    bench.until_said(job)
    with log.log_path(bench.workspace, job).open("a") as stream:
        stream.write("a last word\n")
    os.kill(bench.job(job).process.pid, signal.SIGKILL)
    view = bench.until_state(job, JobState.LOST)
    assert "memory" in view.message
    assert log.tail(bench.workspace, job) == ["a last word"]
    bench.until_state(after, JobState.DONE)
