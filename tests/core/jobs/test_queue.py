import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest

from core.database import Database
from core.errors import InputError
from core.jobs import log, process, queue
from core.jobs.outcome import JobState
from core.jobs.queue import Move
from core.tables import Job, now
from core.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(tmp_path)
    yield opened
    opened.database.close()


def submit(workspace, device="cpu", priority=0):
    return queue.submit(workspace, kind="fit", title="Train", arguments=["fit"], device=device, priority=priority)


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


def order(workspace):
    return [view.id for view in queue.jobs(workspace) if view.state == JobState.QUEUED]


def test_waiting_jobs_are_moved_up_down_and_to_the_front_and_stay_so_after_a_restart(workspace, tmp_path):
    a, b, c, d = (submit(workspace) for _ in range(4))
    queue.move(workspace, c, Move.UP)
    assert order(workspace) == [a, c, b, d]
    queue.move(workspace, a, Move.DOWN)
    assert order(workspace) == [c, a, b, d]
    queue.move(workspace, d, Move.FRONT)
    assert order(workspace) == [d, c, a, b]
    queue.move(workspace, d, Move.UP)
    queue.move(workspace, b, Move.DOWN)
    assert order(workspace) == [d, c, a, b], "there is nowhere further to go"
    workspace.database.close()
    again = replace(workspace, database=Database(workspace.database.path))
    assert order(again) == [d, c, a, b]
    assert [queue.job(again, one).place for one in (d, c, a, b)] == [1, 2, 3, 4]
    with again.database.read() as session:
        assert queue.next_queued(session, "cpu").id == d
    again.database.close()


def test_a_greater_priority_goes_first_and_a_move_past_it_takes_it_on(workspace):
    low, high, other = submit(workspace), submit(workspace, priority=5), submit(workspace, "cuda")
    low2 = submit(workspace)
    assert [one for one in order(workspace) if one != other] == [high, low, low2]
    queue.move(workspace, low2, Move.FRONT)
    assert queue.job(workspace, low2).place == 1
    assert queue.job(workspace, low2).priority == 5
    assert queue.job(workspace, other).place == 1
    queue.move(workspace, low2, Move.DOWN)
    queue.move(workspace, low2, Move.DOWN)
    assert [queue.job(workspace, one).place for one in (high, low, low2)] == [1, 2, 3]
    assert queue.job(workspace, low2).priority == 0


def test_only_waiting_jobs_are_moved(workspace, sleeper):
    running, waiting = submit(workspace), submit(workspace)
    pretend_running(workspace, running, process.identify(sleeper.pid))
    queue.move(workspace, running, Move.DOWN)
    assert queue.job(workspace, waiting).place == 1
    assert queue.job(workspace, running).state == JobState.RUNNING


def test_a_waiting_job_that_is_paused_is_held_back_until_it_is_resumed(workspace):
    held, other = submit(workspace), submit(workspace)
    queue.pause(workspace, held)
    assert queue.job(workspace, held).state == JobState.PAUSED
    assert (queue.job(workspace, held).place, queue.job(workspace, other).place) == (None, 1)
    with workspace.database.read() as session:
        assert queue.next_queued(session, "cpu").id == other
    queue.resume(workspace, held)
    assert order(workspace) == [other, held]
    assert queue.job(workspace, held).arguments == ("fit",), "it has never begun, so there is nothing to go on from"


def test_a_paused_job_is_cancelled_at_once(workspace):
    job = submit(workspace)
    queue.pause(workspace, job)
    queue.cancel(workspace, job)
    assert queue.job(workspace, job).state == JobState.CANCELLED


def test_a_fit_that_ran_is_resumed_with_the_option_and_its_time_adds_up(workspace, sleeper):
    job = submit(workspace)
    for exit_status, state in ((130, JobState.PAUSED), (-9, JobState.LOST), (1, JobState.FAILED)):
        pretend_running(workspace, job, process.identify(sleeper.pid))
        with workspace.database.write() as session:
            row = session.get(Job, job)
            row.started = now() - timedelta(seconds=60)
            row.pause_requested = now() if state is JobState.PAUSED else None
        queue.settle(workspace, job, exit_status=exit_status)
        assert queue.job(workspace, job).state == state
        queue.resume(workspace, job)
        view = queue.job(workspace, job)
        assert (view.state, view.message, view.process, view.pausing) == (JobState.QUEUED, None, None, False)
        assert view.arguments == ("fit", "--resume")
    assert view.worked(now()) == pytest.approx(180, abs=2)


def test_what_is_done_or_cancelled_is_not_resumed(workspace, sleeper):
    done, cancelled = submit(workspace), submit(workspace)
    pretend_running(workspace, done, process.identify(sleeper.pid))
    queue.settle(workspace, done, exit_status=0)
    queue.cancel(workspace, cancelled)
    for job, state in ((done, JobState.DONE), (cancelled, JobState.CANCELLED)):
        queue.resume(workspace, job)
        queue.pause(workspace, job)
        assert queue.job(workspace, job).state == state


def test_a_fit_has_longer_to_stop_than_other_jobs(workspace, sleeper, monkeypatch):
    killed = []
    monkeypatch.setattr(queue, "signal_group", lambda identity, number: killed.append(number))
    for kind, seconds, ended in (("fit", 60, False), ("predict", 60, True), ("fit", 121, True)):
        job = queue.submit(workspace, kind=kind, title="t", arguments=[kind], device="cpu")
        pretend_running(workspace, job, process.identify(sleeper.pid))
        with workspace.database.write() as session:
            session.get(Job, job).pause_requested = now() - timedelta(seconds=seconds)
        killed.clear()
        queue.force_overdue(workspace, job)
        assert bool(killed) is ended


def test_a_job_knows_what_it_writes_and_whether_it_left_a_checkpoint_there(workspace, tmp_path):
    out = tmp_path / "runs" / "r"
    job = queue.submit(workspace, kind="fit", title="t", arguments=["fit", "--out", str(out)], device="cpu")
    assert queue.job(workspace, job).out == out
    assert not queue.job(workspace, job).has_checkpoint
    out.mkdir(parents=True)
    (out / "checkpoint.safetensors").touch()
    assert queue.job(workspace, job).has_checkpoint
    assert queue.job(workspace, submit(workspace)).out is None


def test_an_unknown_job_is_reported(workspace):
    for ask in (queue.job, queue.cancel, queue.pause, queue.resume, queue.end_now):
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
