from streamlit.testing.v1 import AppTest

from core.jobs import log, process, queue
from core.jobs.outcome import JobState
from core.tables import Job
from core.workspace import open_workspace
from pages.components.jobs import duration

HOSTILE = "Train <script>alert(1)</script> *a* :smile:"


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
    assert queue.job(workspace, waiting).state == JobState.CANCELLED


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
