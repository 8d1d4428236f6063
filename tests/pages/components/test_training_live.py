import json

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from core.tables import Job, now
from core.workspace import open_workspace


@pytest.fixture(autouse=True)
def workers_go_on_for_the_next_test(monkeypatch):
    monkeypatch.setattr(worker, "keep_going", worker.keep_going)  # what a script puts there goes when its test ends


def script(root):
    from pathlib import Path

    from core.jobs import worker
    from core.workspace import open_workspace
    from pages.components.training_live import training_progress

    worker.keep_going = lambda workspace: None  # no worker: the states are those that the test set
    training_progress(open_workspace(Path(root)))


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(tmp_path)
    yield opened
    opened.database.close()


def submit(workspace, name):
    arguments = ["fit", "--out", str(workspace.runs / name)]
    return queue.submit(workspace, kind="fit", title=f"Train {name}", arguments=arguments, device="cpu")


def set_state(workspace, job_id, state):
    with workspace.database.write() as session:
        row = session.get_one(Job, job_id)
        row.state, row.started = state, now()
        row.ended = now() if state.ended or state is JobState.PAUSED else None


def measure(workspace, job_id, *points):
    log.job_folder(workspace, job_id).mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"event": "metrics", "seconds": 1.0, **point}) for point in points]
    log.log_path(workspace, job_id).write_text("\n".join(lines) + "\n")


def show(workspace):
    app = AppTest.from_function(script, args=(str(workspace.root),), default_timeout=30).run()
    assert not app.exception
    return app


def texts(app):
    return "\n".join(element.proto.body for element in app.get("html"))


def chart(app):
    (found,) = app.get("echarts_chart")
    return json.loads(found.proto.spec)


def shown(app):
    return app.multiselect[0].value


def test_an_empty_workspace_says_what_will_be_here(workspace):
    app = show(workspace)
    assert "Nothing has been trained" in app.info[0].value
    assert not app.multiselect


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState.QUEUED, "Waiting for its turn"),
        (JobState.RUNNING, "Reading the tiles first"),
        (JobState.PAUSED, "Paused before its first point"),
        (JobState.FAILED, "failed before its first point"),
        (JobState.LOST, "lost before its first point"),
        (JobState.DONE, "kept no curve"),
    ],
)
def test_each_state_without_a_curve_is_told_in_the_place_of_the_curve(workspace, state, words):
    job = submit(workspace, "r")
    set_state(workspace, job, state)
    assert words in json.dumps(chart(show(workspace))["graphic"])


def test_the_running_fit_is_shown_with_its_figures(workspace):
    submit(workspace, "waits")
    running = submit(workspace, "runs")
    set_state(workspace, running, JobState.RUNNING)
    measure(workspace, running, {"epoch": 4, "loss": 0.51234, "validation_miou": 0.25, "learning_rate": 2e-3})
    app = show(workspace)
    assert shown(app) == ["runs"]
    for figure in ("0.5123", "0.250", "2.0e-03"):
        assert figure in texts(app)
    assert [line["name"].partition(" · ")[0] for line in chart(app)["series"]] == ["runs", "runs"]


def test_a_fit_that_begins_replaces_the_last_one_but_joins_several_that_were_chosen(workspace):
    jobs = [submit(workspace, name) for name in ("a", "b", "c", "d")]
    for job in jobs[:2]:
        set_state(workspace, job, JobState.DONE)
    app = show(workspace)
    assert shown(app) == ["b"]
    set_state(workspace, jobs[2], JobState.RUNNING)
    assert shown(app.run()) == ["c"]
    app.multiselect[0].set_value(["c", "a"]).run()
    set_state(workspace, jobs[2], JobState.DONE)
    set_state(workspace, jobs[3], JobState.RUNNING)
    assert shown(app.run()) == ["d", "c", "a"]
    app.multiselect[0].set_value(["a"]).run()
    assert shown(app.run()) == ["a"], "what was taken off the chart does not come back by itself"


def test_several_runs_share_the_chart_and_have_a_row_each(workspace):
    for name in ("a", "<b>"):
        job = submit(workspace, name)
        set_state(workspace, job, JobState.DONE)
        measure(workspace, job, {"epoch": 1, "loss": 0.5, "validation_miou": 0.2})
    app = show(workspace)
    app.multiselect[0].set_value(["a", "<b>"]).run()
    assert [line["name"].partition(" · ")[0] for line in chart(app)["series"]] == ["a", "<b>", "a", "<b>"]
    assert "&lt;b&gt;" in texts(app)
    assert texts(app).count("<tr>") == 3


def test_iou_by_class_can_be_chosen_where_there_is_some(workspace):
    job = submit(workspace, "r")
    set_state(workspace, job, JobState.DONE)
    measure(workspace, job, {"epoch": 1, "loss": 0.5, "validation_miou": 0.2, "iou": {"water": 0.4}})
    app = show(workspace)
    control = app.segmented_control[0]
    assert control.options == ["Loss, mIoU", "Classes"]
    control.set_value("Classes").run()
    assert "water" in [title["text"] for title in chart(app)["title"]]
