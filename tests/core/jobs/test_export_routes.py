import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.jobs import queue
from core.jobs.export_routes import EXPORT_KIND, export_routes
from core.jobs.outcome import JobState
from core.tables import Job
from core.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path):
    made = open_workspace(tmp_path / "workspace")
    made.exports.mkdir()
    (made.exports / "labels.zip").write_bytes(b"PK packed")
    return made


def ended_job(workspace, out, *, kind=EXPORT_KIND, state=JobState.DONE):
    job_id = queue.submit(workspace, kind=kind, title="t", arguments=["export", "--out", str(out)], device="cpu")
    with workspace.database.write() as session:
        session.get_one(Job, job_id).state = state
    return job_id


def get(workspace, job_id):
    return TestClient(Starlette(routes=export_routes(workspace))).get(f"/exports/{job_id}.zip")


def test_a_packed_export_is_downloaded_by_its_job(workspace):
    answer = get(workspace, ended_job(workspace, workspace.exports / "labels.zip"))
    assert answer.content == b"PK packed"
    assert 'filename="labels.zip"' in answer.headers["content-disposition"]


def test_nothing_else_can_be_downloaded(workspace):
    there = workspace.exports / "labels.zip"
    for job_id in (
        99,
        ended_job(workspace, there, kind="fit"),
        ended_job(workspace, there, state=JobState.FAILED),
        ended_job(workspace, workspace.exports / "gone.zip"),
        ended_job(workspace, workspace.root / "workspace.db"),
        ended_job(workspace, workspace.exports / ".." / "workspace.db"),
    ):
        answer = get(workspace, job_id)
        assert (answer.status_code, answer.json()) == (404, {"error": "There is no such export; pack it again."})
