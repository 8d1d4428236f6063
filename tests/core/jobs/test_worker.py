import os
import signal
import subprocess
import sys
from pathlib import Path

from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from core.jobs.slots import set_slots
from tests.core.jobs import stand_in
from tests.core.jobs.processes import running

PROJECT = Path(__file__).resolve().parents[3]


def test_a_submitted_job_runs_in_the_project_with_the_workspace_and_its_cache_named(bench):
    job = bench.submit("environment", "--data", "a folder; with $odd 'characters'")
    assert bench.job(job).state == JobState.QUEUED
    bench.start()
    view = bench.until_state(job, JobState.DONE)
    assert (view.exit_status, view.message) == (0, None)
    assert view.created <= view.started <= view.ended
    assert log.read_result(bench.workspace, job) == {
        "TILEWRIGHT_WORKSPACE": str(bench.workspace.root),
        "TILEWRIGHT_CACHE": str(bench.workspace.features),
        "cwd": str(PROJECT),
        "options": ["--data", "a folder; with $odd 'characters'", "--progress", "json"],
    }


def test_jobs_of_one_device_run_one_at_a_time_in_the_order_they_came(bench):
    record = bench.workspace.root / "record"
    jobs = [bench.submit("hold", str(record), str(i)) for i in range(3)]
    bench.start()
    bench.until_state(jobs[-1], JobState.DONE)
    assert record.read_text().split("\n")[:-1] == [f"{i} {what}" for i in range(3) for what in ("begins", "ends")]


def test_as_many_jobs_of_a_device_run_at_once_as_it_has_slots(bench):
    set_slots(bench.workspace, "cpu", 2)
    jobs = [bench.submit("wait", str(bench.flag)) for _ in range(3)]
    bench.start()
    for job in jobs[:2]:
        bench.until_said(job)
    assert [bench.job(job).state for job in jobs] == [JobState.RUNNING, JobState.RUNNING, JobState.QUEUED]
    set_slots(bench.workspace, "cpu", 3)  # the worker heeds it at once
    bench.until_said(jobs[2])
    assert len(bench.workers()) == 1
    bench.flag.touch()
    for job in jobs:
        bench.until_state(job, JobState.DONE)


def test_one_of_two_that_run_at_once_is_cancelled_and_the_other_goes_on(bench):
    set_slots(bench.workspace, "cpu", 2)
    cancelled, other = bench.submit("wait", str(bench.flag)), bench.submit("wait", str(bench.flag))
    bench.start()
    bench.until_said(cancelled)
    bench.until_said(other)
    queue.cancel(bench.workspace, cancelled)
    bench.until_state(cancelled, JobState.CANCELLED)
    assert bench.job(other).state == JobState.RUNNING
    bench.flag.touch()
    bench.until_state(other, JobState.DONE)


def test_jobs_left_by_a_dead_worker_keep_their_slots(bench):
    set_slots(bench.workspace, "cpu", 2)
    jobs = [bench.submit("wait", str(bench.flag)) for _ in range(3)]
    bench.start()
    bench.until_said(jobs[0])
    bench.until_said(jobs[1])
    bench.kill_worker()
    bench.keep_going()
    bench.until(lambda: worker.live_worker(bench.workspace, "cpu"))
    bench.until(lambda: "left running" in (bench.workspace.jobs / "worker-cpu.log").read_text())
    assert bench.job(jobs[2]).state == JobState.QUEUED
    bench.flag.touch()
    for job in jobs:
        bench.until_state(job, JobState.DONE)


def test_jobs_run_in_the_order_that_they_were_moved_to(bench):
    record = bench.workspace.root / "record"
    a, b, c = (bench.submit("hold", str(record), name) for name in "abc")
    queue.move(bench.workspace, c, queue.Move.FRONT)
    queue.pause(bench.workspace, a)
    bench.start()
    bench.until_state(b, JobState.DONE)
    assert record.read_text().split("\n")[:-1] == [f"{name} {what}" for name in "cb" for what in ("begins", "ends")]
    assert bench.job(a).state == JobState.PAUSED
    queue.resume(bench.workspace, a)
    bench.keep_going()
    bench.until_state(a, JobState.DONE)


def test_jobs_of_two_devices_run_side_by_side(bench):
    first, second = bench.submit("wait", str(bench.flag)), bench.submit("wait", str(bench.flag), device="cuda")
    bench.keep_going()
    bench.until_state(first, JobState.RUNNING)
    bench.until_state(second, JobState.RUNNING)
    bench.flag.touch()
    bench.until_state(first, JobState.DONE)
    bench.until_state(second, JobState.DONE)


def test_a_queued_job_that_is_cancelled_never_begins(bench):
    record = bench.workspace.root / "record"
    cancelled, other = bench.submit("hold", str(record), "a"), bench.submit("hold", str(record), "b")
    queue.cancel(bench.workspace, cancelled)
    assert bench.job(cancelled).state == JobState.CANCELLED
    bench.start()
    bench.until_state(other, JobState.DONE)
    assert "a begins" not in record.read_text()


def test_a_job_goes_on_when_its_worker_is_killed_and_ends_as_done(bench):
    job, after = bench.submit("wait", str(bench.flag)), bench.submit("hold", str(bench.flag) + ".record", "a")
    bench.start()
    bench.until_said(job)
    process = bench.job(job).process
    bench.kill_worker()
    bench.keep_going()
    bench.until(lambda: worker.live_worker(bench.workspace, "cpu"))
    assert (bench.job(job).state, bench.job(job).process) == (JobState.RUNNING, process)
    assert bench.job(after).state == JobState.QUEUED, "the second job must wait for the one that was left over"
    bench.flag.touch()
    bench.until_state(job, JobState.DONE)
    bench.until_state(after, JobState.DONE)


def test_a_job_that_died_with_its_worker_is_found_lost_by_whoever_looks(bench):
    job = bench.submit("wait", str(bench.flag))
    bench.start()
    bench.until_said(job)
    bench.kill_worker()
    os.kill(bench.job(job).process.pid, signal.SIGKILL)
    bench.until(lambda: not running(bench.job(job).process.pid))
    queue.reconcile(bench.workspace)
    assert bench.job(job).state == JobState.LOST


def test_a_job_without_a_worker_can_still_be_cancelled_by_force(bench):
    job = bench.submit("stubborn")
    bench.start()
    bench.until_said(job)
    bench.kill_worker()
    queue.cancel(bench.workspace, job)
    queue.reconcile(bench.workspace, grace=60)
    assert bench.job(job).state == JobState.RUNNING
    bench.until(lambda: queue.reconcile(bench.workspace, grace=0) or bench.job(job).state == JobState.CANCELLED)


def test_two_workers_that_race_leave_one(bench):
    job = bench.submit("wait", str(bench.flag))
    for _ in range(3):
        subprocess.Popen([*stand_in.PREFIX, "work", "--workspace", str(bench.workspace.root), "--device", "cpu"])
    bench.until_said(job)
    bench.until(lambda: len(bench.workers()) == 1)
    assert bench.workers()[0].pid == worker.live_worker(bench.workspace, "cpu").pid
    assert log.log_path(bench.workspace, job).read_text().count("waiting") == 1


def test_no_second_worker_is_started_while_one_lives(bench):
    job = bench.submit("wait", str(bench.flag))
    bench.start()
    bench.until_state(job, JobState.RUNNING)
    bench.start()
    bench.keep_going()
    assert len(bench.workers()) == 1


def test_a_worker_goes_when_the_queue_is_empty_and_a_later_job_gets_a_new_one(bench):
    first = bench.submit("environment")
    bench.start()
    bench.until_state(first, JobState.DONE)
    bench.until(lambda: worker.live_worker(bench.workspace, "cpu") is None)
    second = bench.submit("environment")
    bench.keep_going()
    bench.until_state(second, JobState.DONE)


def test_a_job_outlives_the_process_that_submitted_it_and_a_new_process_sees_it(bench):
    code = (
        "import sys; from pathlib import Path\n"
        "from core.jobs import queue, worker\n"
        "from core.workspace import open_workspace\n"
        "from tests.core.jobs import stand_in\n"
        "workspace = open_workspace(Path(sys.argv[1]))\n"
        "print(queue.submit(workspace, kind='test', title='t', arguments=['wait', sys.argv[2]], device='cpu'))\n"
        "worker.ensure_running(workspace, 'cpu', command=stand_in.PREFIX)\n"
    )
    submitter = subprocess.run(
        [sys.executable, "-c", code, str(bench.workspace.root), str(bench.flag)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    job = int(submitter.stdout)
    assert bench.until_state(job, JobState.RUNNING).title == "t"
    bench.flag.touch()
    bench.until_state(job, JobState.DONE)


def test_a_worker_that_dies_before_it_noted_the_process_starts_nothing(bench, tmp_path):
    from core.jobs.process import start_gated

    record = tmp_path / "record"
    gated = start_gated(
        [*stand_in.PREFIX, "hold", str(record), "a"],
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        cwd=PROJECT,
        environment=os.environ,
    )
    gated.handle.stdin.close()  # what the system does for a process that dies
    assert gated.exit_status() != 0
    assert not record.exists()


def test_a_job_that_cannot_be_started_fails_with_a_sentence(bench):
    job = bench.submit("environment")
    bench.workspace.jobs.mkdir()
    (bench.workspace.jobs / str(job)).write_text("a file where the job's folder should be")
    bench.start()
    view = bench.until_state(job, JobState.FAILED)
    assert "could not be started (File exists)" in view.message
