import json
import signal
from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import log, process, queue, worker
from core.jobs.outcome import JobState
from core.jobs.slots import SLOTS_VARIABLE, slots
from core.tables import Job, now
from core.workspace import open_workspace
from pages.components.job_cards import duration
from pages.components.jobs import Look

HOSTILE = "Train <script>alert(1)</script> *a* :smile:"


@pytest.fixture(autouse=True)
def workers_go_on_for_the_next_test(monkeypatch):
    monkeypatch.setattr(worker, "keep_going", worker.keep_going)  # what a script puts there goes when its test ends


def script(root):
    from pathlib import Path

    from core.jobs import worker
    from core.workspace import open_workspace
    from pages.components import jobs

    worker.keep_going = lambda workspace: None  # no worker: the states are those that the test set
    jobs.job_badge(open_workspace(Path(root)))
    jobs.job_list(open_workspace(Path(root)))


def submit(workspace, title="Train"):
    return queue.submit(workspace, kind="fit", title=title, arguments=["fit"], device="cpu")


def show(workspace):
    return AppTest.from_function(script, args=(str(workspace.root),)).run()


def texts(app):
    return "\n".join(element.proto.body for element in app.get("html"))


def test_without_jobs_it_says_so(tmp_path):
    app = show(open_workspace(tmp_path))
    assert not app.exception
    assert "No job has run" in app.caption[0].value
    assert "No job is running." in texts(app)


def test_a_running_job_shows_its_progress_and_the_next_its_place(tmp_path):
    import os

    workspace = open_workspace(tmp_path)
    running, waiting = submit(workspace), submit(workspace, HOSTILE)
    identity = process.identify(os.getpid())
    with workspace.database.write() as session:
        row = session.get(Job, running)
        row.state, row.pid, row.pid_started = JobState.RUNNING, identity.pid, identity.started
    log.job_folder(workspace, running).mkdir(parents=True)
    lines = [
        f'{{"event": "progress", "done": {n}, "total": 4, "message": "<b>tile</b>", "seconds": {60 * n}}}'
        for n in (0, 1)
    ]
    log.log_path(workspace, running).write_text("\n".join(lines) + "\n")
    app = show(workspace)
    assert not app.exception
    shown = texts(app)
    assert "25% · &lt;b&gt;tile&lt;/b&gt; · about 3 min left" in shown
    assert "Train: 25% · 1 waiting" in shown
    assert "number 1 in line for cpu" in shown
    assert "<script>" not in shown
    app.button(key=f"jobs-cancel-{waiting}").click().run()
    assert queue.job(workspace, waiting).state == JobState.CANCELLED, "it has not begun: nothing is asked"


def make_running(workspace, job, process_id=None):
    import os

    identity = process.identify(process_id or os.getpid())
    with workspace.database.write() as session:
        row = session.get_one(Job, job)
        row.state, row.pid, row.pid_started, row.started = JobState.RUNNING, identity.pid, identity.started, now()


def press(app, name, job):
    app.button(key=f"jobs-{name}-{job}").click().run()
    assert not app.exception
    return app


def test_a_running_job_is_cancelled_only_after_a_second_thought(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "signal_group", lambda *_: None)  # the process is this test
    workspace = open_workspace(tmp_path)
    job = submit(workspace)
    make_running(workspace, job)
    app = press(show(workspace), "cancel", job)
    assert not queue.job(workspace, job).cancelling
    assert app.button(key=f"jobs-yes-{job}").label == "Stop, keep the best"
    press(app, "no", job)
    assert not queue.job(workspace, job).cancelling
    press(press(app, "cancel", job), "yes", job)
    assert queue.job(workspace, job).cancelling
    assert "The best so far is kept as a run." in texts(app)
    assert app.button(key=f"jobs-stopping-{job}").disabled


def test_a_running_job_is_paused_and_may_be_ended_now_when_it_takes_its_time(tmp_path, monkeypatch):
    signals = []
    monkeypatch.setattr(queue, "signal_group", lambda _, number: signals.append(number))
    workspace = open_workspace(tmp_path)
    job = submit(workspace)
    make_running(workspace, job)
    app = press(show(workspace), "pause", job)
    assert queue.job(workspace, job).pausing
    assert "pausing after this step" in texts(app)
    with workspace.database.write() as session:
        session.get_one(Job, job).pause_requested = now() - timedelta(seconds=30)
    press(app.run(), "force", job)
    assert signals == [signal.SIGTERM, signal.SIGKILL]


def test_a_paused_job_says_what_resuming_means_and_is_resumed(tmp_path):
    workspace = open_workspace(tmp_path)
    out = tmp_path / "run"
    job = queue.submit(workspace, kind="fit", title="Train", arguments=["fit", "--out", str(out)], device="cpu")
    queue.pause(workspace, job)
    assert "Held back before it began" in texts(show(workspace))
    with workspace.database.write() as session:
        row = session.get_one(Job, job)
        row.started, row.ended = now() - timedelta(seconds=40), now()
    app = show(workspace)
    assert "Paused after 40 s. It left no checkpoint" in texts(app)
    assert "1 paused" in texts(app)
    out.mkdir()
    (out / "checkpoint.safetensors").touch()
    assert "goes on from its checkpoint" in texts(app.run())
    press(app, "resume", job)
    assert queue.job(workspace, job).state == JobState.QUEUED
    assert queue.job(workspace, job).arguments[-1] == "--resume"


def test_a_paused_job_is_given_up_only_after_a_second_thought(tmp_path):
    workspace = open_workspace(tmp_path)
    job = submit(workspace)
    queue.pause(workspace, job)
    app = press(show(workspace), "cancel", job)
    assert queue.job(workspace, job).state == JobState.PAUSED
    press(app, "yes", job)
    assert queue.job(workspace, job).state == JobState.CANCELLED


def test_waiting_jobs_are_moved_and_held_back_by_their_buttons(tmp_path):
    workspace = open_workspace(tmp_path)
    a, b, c = (submit(workspace) for _ in range(3))
    app = show(workspace)
    assert app.button(key=f"jobs-up-{a}").disabled
    assert app.button(key=f"jobs-down-{c}").disabled
    press(app, "front", c)
    press(app, "down", a)
    press(app, "up", b)
    assert [view.id for view in queue.jobs(workspace)] == [b, c, a]
    press(app, "pause", b)
    assert queue.job(workspace, b).state == JobState.PAUSED


def test_slots_are_set_beside_the_queue_unless_the_environment_does(tmp_path, monkeypatch):
    monkeypatch.delenv(SLOTS_VARIABLE, raising=False)
    workspace = open_workspace(tmp_path)
    submit(workspace)
    app = show(workspace)
    app.number_input(key="slots-cpu").set_value(3).run()
    assert slots(workspace, "cpu").count == 3
    monkeypatch.setenv(SLOTS_VARIABLE, "cpu=2")
    field = show(workspace).number_input(key="slots-cpu")
    assert (field.value, field.disabled) == (2, True)


def test_what_a_job_wants_people_to_know_stands_on_its_card(tmp_path):
    workspace = open_workspace(tmp_path)
    job = submit(workspace)
    make_running(workspace, job)
    log.job_folder(workspace, job).mkdir(parents=True)
    line = json.dumps({"event": "message", "message": "Memory ran out: the batch was halved to <4>."})
    log.log_path(workspace, job).write_text(line + "\n")
    assert "the batch was halved to &lt;4&gt;." in texts(show(workspace))


def test_a_cancelled_fit_says_what_it_left(tmp_path):
    workspace = open_workspace(tmp_path)
    for name in ("kept", "nothing"):
        out = workspace.runs / name
        job = queue.submit(workspace, kind="fit", title=name, arguments=["fit", "--out", str(out)], device="cpu")
        make_running(workspace, job)
        with workspace.database.write() as session:
            row = session.get_one(Job, job)
            row.started, row.cancel_requested = now() - timedelta(seconds=5), now()
        queue.settle(workspace, job, exit_status=130)
    (workspace.runs / "kept").mkdir(parents=True)
    (workspace.runs / "kept" / "card.json").write_text("{}")
    shown = texts(show(workspace))
    assert "The best so far is the run kept." in shown
    assert "There was nothing to keep yet." in shown


def test_the_page_runs_anew_when_a_job_ends_or_the_timer_must_start_but_not_for_a_step(tmp_path, monkeypatch):
    monkeypatch.setattr("core.jobs.worker.keep_going", lambda _: None)
    workspace = open_workspace(tmp_path)
    nothing = Look(workspace)
    first, second = submit(workspace), submit(workspace)
    before = Look(workspace)
    assert before.calls_for_a_page(nothing), "the timer starts"
    make_running(workspace, first)
    queue.move(workspace, second, queue.Move.UP)
    assert not Look(workspace).calls_for_a_page(before)
    queue.settle(workspace, first, exit_status=0)
    ended = Look(workspace)
    assert ended.calls_for_a_page(before)
    queue.pause(workspace, second)
    assert Look(workspace).calls_for_a_page(ended), "the timer stops"


def test_a_failed_job_is_tried_again(tmp_path):
    workspace = open_workspace(tmp_path)
    job = submit(workspace)
    make_running(workspace, job)
    queue.settle(workspace, job, exit_status=1)
    press(show(workspace), "again", job)
    assert queue.job(workspace, job).state == JobState.QUEUED


def test_a_lost_job_shows_its_sentence_and_its_last_lines_as_plain_text(tmp_path):
    workspace = open_workspace(tmp_path)
    job = submit(workspace)
    with workspace.database.write() as session:
        session.get(Job, job).state = JobState.RUNNING
    log.job_folder(workspace, job).mkdir(parents=True)
    log.log_path(workspace, job).write_text("a <b>last</b> word\n")
    queue.settle(workspace, job, exit_status=-9)
    app = show(workspace)
    assert not app.exception
    assert "memory ran out" in texts(app)
    assert app.code[0].value == "a <b>last</b> word"


def test_a_duration_is_said_as_a_person_says_it():
    assert [duration(s) for s in (-1, 40, 59.6, 180, 3600, 4800, 200_000)] == [
        "0 s",
        "40 s",
        "60 s",
        "3 min",
        "1 h",
        "1 h 20 min",
        "2 days",
    ]
