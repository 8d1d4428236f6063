import json
import os
from datetime import timedelta

import pytest

from core.jobs import log, process, queue
from core.jobs.fits import curve, figures, list_fits
from core.jobs.outcome import JobState
from core.tables import Job, now
from core.training.runs import CARD, METRICS
from core.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(tmp_path)
    yield opened
    opened.database.close()


def submit(workspace, name, kind="fit"):
    arguments = ["fit", "--out", str(workspace.runs / name)]
    return queue.submit(workspace, kind=kind, title=f"Train {name}", arguments=arguments, device="cpu")


def set_state(workspace, job_id, state, **values):
    with workspace.database.write() as session:
        row = session.get_one(Job, job_id)
        row.state = state
        for key, value in values.items():
            setattr(row, key, value)


def write_run(workspace, name, *points):
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    (folder / CARD).write_text("{}")
    (folder / METRICS).write_text("".join(json.dumps(point) + "\n" for point in points))


def say(workspace, job_id, *events):
    log.job_folder(workspace, job_id).mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(event) + "\n" for event in events)
    log.log_path(workspace, job_id).write_text(text)


def only(workspace, name):
    return next(fit for fit in list_fits(workspace) if fit.name == name)


def test_jobs_and_runs_of_one_name_are_one_fit_and_active_ones_come_first(workspace):
    write_run(workspace, "imported")
    write_run(workspace, "trained")
    trained, waiting, running = submit(workspace, "trained"), submit(workspace, "waits"), submit(workspace, "runs")
    set_state(workspace, trained, JobState.DONE, ended=now())
    set_state(workspace, running, JobState.RUNNING, started=now())
    submit(workspace, "prediction", kind="predict")
    found = list_fits(workspace)
    assert [fit.name for fit in found] == ["runs", "waits", "trained", "imported"]
    assert [fit.state for fit in found] == [JobState.RUNNING, JobState.QUEUED, JobState.DONE, JobState.DONE]
    assert [fit.job and fit.job.id for fit in found] == [running, waiting, trained, None]


def test_of_two_fits_with_one_name_the_latest_counts(workspace):
    first, second = submit(workspace, "again"), submit(workspace, "again")
    set_state(workspace, first, JobState.FAILED, ended=now())
    assert [fit.job.id for fit in list_fits(workspace)] == [second]


def test_a_cancelled_fit_shows_only_where_it_left_a_run(workspace):
    gone, kept = submit(workspace, "gone"), submit(workspace, "kept")
    write_run(workspace, "kept")
    for job in (gone, kept):
        set_state(workspace, job, JobState.CANCELLED, ended=now())
    assert [fit.name for fit in list_fits(workspace)] == ["kept"]


def test_the_curve_comes_from_the_job_while_it_says_something_and_else_from_the_run(workspace):
    job = submit(workspace, "r")
    set_state(workspace, job, JobState.RUNNING, started=now())
    assert curve(workspace, only(workspace, "r")) == []
    say(workspace, job, {"event": "metrics", "epoch": 1, "loss": 0.5, "seconds": 1.0})
    assert curve(workspace, only(workspace, "r")) == [{"epoch": 1, "loss": 0.5, "seconds": 1.0}]
    more = {"event": "metrics", "epoch": 2, "loss": 0.4, "seconds": 2.0}
    with log.log_path(workspace, job).open("a") as stream:
        stream.write(json.dumps(more) + "\n")
    assert len(curve(workspace, only(workspace, "r"))) == 2, "a log that has grown is read again"
    write_run(workspace, "imported", {"epoch": 1, "loss": 0.3, "seconds": 4.0})
    assert curve(workspace, only(workspace, "imported")) == [{"epoch": 1, "loss": 0.3, "seconds": 4.0}]


def test_the_figures_are_the_latest_and_the_best(workspace):
    job = submit(workspace, "r")
    identity = process.identify(os.getpid())
    started = now() - timedelta(seconds=90)
    set_state(
        workspace, job, JobState.RUNNING, started=started, pid=identity.pid, pid_started=identity.started,
        worked_seconds=30.0,
    )  # fmt: skip
    point = {"event": "metrics", "learning_rate": 1e-3, "images_per_second": 8.0, "memory_bytes": 2**30}
    steps = [{"event": "progress", "done": n, "total": 4, "message": "m", "seconds": 10.0 * n} for n in (0, 1)]
    say(
        workspace, job, *steps,
        point | {"epoch": 1, "loss": 0.9, "validation_miou": 0.4, "seconds": 1},
        point | {"epoch": 2, "loss": 0.8, "validation_miou": 0.3, "seconds": 2, "memory_bytes": 2**29},
        {"event": "metrics", "epoch": 3, "loss": 0.7, "validation_miou": None, "seconds": 3},
    )  # fmt: skip
    fit = only(workspace, "r")
    told = figures(workspace, fit, curve(workspace, fit))
    assert (told.unit, told.step, told.member, told.loss) == ("epoch", 3, None, 0.7)
    assert (told.miou, told.best_miou) == (0.3, 0.4)
    assert (told.learning_rate, told.images_per_second, told.device_memory) == (1e-3, 8.0, 2**30)
    assert told.memory > 2**20
    assert told.elapsed_seconds == pytest.approx(120, abs=5)
    assert told.remaining_seconds == pytest.approx(30)


def test_of_a_fit_that_said_nothing_there_are_no_figures(workspace):
    submit(workspace, "r")
    told = figures(workspace, only(workspace, "r"), [])
    assert {told.step, told.member, told.loss, told.miou, told.memory, told.remaining_seconds} == {None}
    assert told.elapsed_seconds == 0


def test_a_member_of_folds_is_named_and_iterations_are_counted(workspace):
    write_run(workspace, "r", {"iteration": 7, "member": 2, "loss": 0.3, "seconds": 4.0})
    fit = only(workspace, "r")
    told = figures(workspace, fit, curve(workspace, fit))
    assert (told.unit, told.step, told.member, told.elapsed_seconds) == ("iteration", 7, "2", 4.0)
