import threading
from contextlib import contextmanager

import pytest

from core.database import Database
from core.errors import InputError, NotSavedError
from core.jobs import queue, worker
from core.jobs.outcome import JobState
from tests.core.jobs import stand_in


def run_here(bench):
    """A worker in a thread, so that what it calls can be made to fail."""
    options = {"command": stand_in.PREFIX, "idle": 0.3}
    thread = threading.Thread(target=worker.run_worker, args=(bench.workspace, "cpu"), kwargs=options)
    thread.start()
    return thread


def test_the_end_of_a_job_is_written_down_when_a_full_disk_has_room_again(bench, monkeypatch):
    monkeypatch.setattr(worker, "_DISK_FULL_SECONDS", 0.05)
    settle, refusals = queue.settle, []

    def refuse_twice(*arguments, **options):
        if len(refusals) < 2:
            refusals.append(options)
            raise NotSavedError("the disk is full")
        settle(*arguments, **options)

    monkeypatch.setattr(queue, "settle", refuse_twice)
    job = bench.submit("bad")
    thread = run_here(bench)
    view = bench.until_state(job, JobState.FAILED)
    thread.join(20)
    assert (len(refusals), view.exit_status) == (2, 2)


def test_a_job_whose_start_could_not_be_written_down_has_not_begun_and_is_started_later(bench, monkeypatch):
    monkeypatch.setattr(worker, "_DISK_FULL_SECONDS", 0.05)
    write, refusals = Database.write, []

    @contextmanager
    def refuse_once(database):
        with write(database) as session:
            yield session
            if not refusals and any(row.state == JobState.RUNNING for row in session.dirty):
                refusals.append(session)
                raise NotSavedError("the disk is full")

    monkeypatch.setattr(Database, "write", refuse_once)
    record = bench.workspace.root / "record"
    job = bench.submit("hold", str(record), "a")
    thread = run_here(bench)
    bench.until_state(job, JobState.DONE)
    thread.join(20)
    assert refusals
    assert record.read_text() == "a begins\na ends\n"


def test_a_workspace_whose_jobs_cannot_be_written_is_reported(bench):
    bench.workspace.jobs.write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"worker .* could not be started"):
        bench.start()
