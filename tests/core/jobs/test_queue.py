import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from core.errors import InputError
from core.jobs import log, process, queue
from core.jobs.outcome import JobState
from core.tables import Job
from core.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(tmp_path)
    yield opened
    opened.database.close()


def submit(workspace, device="cpu"):
    return queue.submit(workspace, kind="fit", title="Train", arguments=["fit"], device=device)


def pretend_running(workspace, job_id, identity):
    with workspace.database.write() as session:
        row = session.get(Job, job_id)
        row.state, row.pid, row.pid_started = JobState.RUNNING, identity.pid, identity.started


@pytest.fixture
def sleeper():
    """A process group of its own that does nothing."""
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield started
    started.kill()
    started.wait()


def test_waiting_jobs_know_their_place_on_their_own_device(workspace):
    first, other, second = submit(workspace), submit(workspace, "cuda"), submit(workspace)
    places = {view.id: view.place for view in queue.jobs(workspace)}
    assert places == {first: 1, other: 1, second: 2}
    assert queue.job(workspace, second).place == 2
    queue.cancel(workspace, first)
    assert queue.job(workspace, second).place == 1
    assert queue.job(workspace, first).place is None


def test_active_jobs_are_listed_first_and_ended_ones_latest_first(workspace, sleeper):
    ids = [submit(workspace) for _ in range(5)]
    queue.cancel(workspace, ids[0])
    queue.cancel(workspace, ids[1])
    pretend_running(workspace, ids[4], process.identify(sleeper.pid))
    assert [view.id for view in queue.jobs(workspace)] == [ids[4], ids[2], ids[3], ids[1], ids[0]]
    assert [view.id for view in queue.jobs(workspace, limit=2)] == [ids[4], ids[2]]
    assert queue.busy_devices(workspace) == ["cpu"]


def test_an_unknown_job_is_reported(workspace):
    for ask in (queue.job, queue.cancel):
        with pytest.raises(InputError, match="no job 7"):
            ask(workspace, 7)


@pytest.mark.parametrize("device", ["", "../cpu", "CPU", "cuda:", "cpu\n"])
def test_a_device_that_is_not_spelt_like_one_is_refused(workspace, device):
    with pytest.raises(ValueError, match="no device"):
        submit(workspace, device)


def test_a_job_needs_a_command(workspace):
    with pytest.raises(ValueError, match="command"):
        queue.submit(workspace, kind="fit", title="Train", arguments=[], device="cpu")


def test_a_job_that_ended_is_not_cancelled_any_more(workspace, sleeper):
    job = submit(workspace)
    pretend_running(workspace, job, process.identify(sleeper.pid))
    queue.settle(workspace, job, exit_status=0)
    queue.cancel(workspace, job)
    assert queue.job(workspace, job).state == JobState.DONE
    assert sleeper.poll() is None


def test_the_first_word_on_how_a_job_ended_stands(workspace, sleeper):
    job = submit(workspace)
    pretend_running(workspace, job, process.identify(sleeper.pid))
    queue.settle(workspace, job, exit_status=0)
    queue.settle(workspace, job, exit_status=None)
    assert queue.job(workspace, job).state == JobState.DONE


def test_a_running_job_is_left_alone(workspace, sleeper):
    job = submit(workspace)
    pretend_running(workspace, job, process.identify(sleeper.pid))
    queue.reconcile(workspace)
    assert queue.job(workspace, job).state == JobState.RUNNING


def test_a_pid_that_was_given_to_another_process_counts_as_gone_and_that_process_is_spared(workspace, sleeper):
    reused = replace(process.identify(sleeper.pid), started=process.identify(sleeper.pid).started - 3600)
    job = submit(workspace)
    pretend_running(workspace, job, reused)
    queue.cancel(workspace, job)
    queue.reconcile(workspace, grace=0)
    assert queue.job(workspace, job).state == JobState.CANCELLED
    assert sleeper.poll() is None


def test_a_gone_job_is_lost_unless_its_files_tell_more(workspace):
    gone = process.ProcessIdentity(pid=2**22 + 1, started=1.0)
    jobs = {name: submit(workspace) for name in ("nothing", "result", "half a result", "error", "cancelled")}
    for job in jobs.values():
        pretend_running(workspace, job, gone)
        log.job_folder(workspace, job).mkdir(parents=True)
    log.result_path(workspace, jobs["result"]).write_text('noise\n{"tiles": 3}\n')
    log.result_path(workspace, jobs["half a result"]).write_text('{"tiles": ')
    log.log_path(workspace, jobs["error"]).write_text('{"event": "error", "message": "No tile has a label."}\n')
    log.log_path(workspace, jobs["cancelled"]).write_text('{"event": "cancelled", "message": "Kept."}\n')
    queue.reconcile(workspace)
    ended = {name: queue.job(workspace, job) for name, job in jobs.items()}
    assert {name: view.state for name, view in ended.items()} == {
        "nothing": JobState.LOST,
        "result": JobState.DONE,
        "half a result": JobState.LOST,
        "error": JobState.FAILED,
        "cancelled": JobState.CANCELLED,
    }
    assert ended["error"].message == "No tile has a label."
    assert "restarted" in ended["nothing"].message


def test_a_watched_device_is_left_to_its_worker(workspace):
    job = submit(workspace)
    pretend_running(workspace, job, process.ProcessIdentity(pid=2**22 + 1, started=1.0))
    queue.reconcile(workspace, watched=frozenset({"cpu"}))
    assert queue.job(workspace, job).state == JobState.RUNNING


def test_a_process_that_ended_but_was_not_waited_for_is_not_alive(sleeper):
    identity = process.identify(sleeper.pid)
    assert process.is_alive(identity)
    os.killpg(sleeper.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(sleeper.pid)], timeout=0.5)
    assert not process.is_alive(identity)
