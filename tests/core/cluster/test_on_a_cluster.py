"""Jobs on a real Ray head on this machine, with a token, through the app's own queue and command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.cli import main
from core.cluster import submission
from core.cluster.jobs_api import JobsApi, Resources
from core.cluster.settings import ClusterAddress, forget_token, keep_cluster, keep_token, need_cluster, token_path
from core.cluster.submission import on_cluster, prepare, send
from core.cluster.watching import watch
from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from core.jobs.process import signal_group
from core.jobs.slots import CLUSTER
from core.progress import SilentProgress
from core.training.runs import read_metrics, read_run
from core.workspace import open_workspace
from tests.core.cluster.local_ray import needs_ray, ray_head, ray_node
from tests.scenes import write_pairs

pytestmark = needs_ray

TOKEN = "a-token-of-the-tests-0123456789abcdef"  # noqa: S105
RAY = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_health_check_period_ms": "500",  # so that a node that was killed is missed soon
    "RAY_health_check_failure_threshold": "2",
    "OMP_NUM_THREADS": "1",
}
SHORT = ["--recipe", "fast"]
LONG = ["--recipe", "decoder", "--set", "encoder=efficientnet-lite0", "--set", "patch=64", "--set", "batch_size=2"]
LONG += ["--set", "steps=2", "--set", "epochs=1000"]
ONE_CPU = Resources()
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def head():
    with ray_head(dashboard=True, environment=RAY) as started:
        yield started


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder, 2, 256)
    return folder


@pytest.fixture(scope="module")
def here(data, tmp_path_factory):
    """The run of the short recipe as this machine makes it, and its ``log`` beside."""
    out = tmp_path_factory.mktemp("here") / "run"
    command = [sys.executable, "-m", "core", "fit", "--data", str(data), "--out", str(out), *SHORT]
    with out.with_name("log").open("wb") as stream:
        subprocess.run(
            [*command, "--progress", "json"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=stream,
            check=True,
        )
    return out


@pytest.fixture
def workspace(head, tmp_path):
    opened = open_workspace(tmp_path / "workspace")
    keep_cluster(opened, ClusterAddress(head.dashboard, sys.executable))
    keep_token(opened, TOKEN)
    opened.runs.mkdir()
    yield opened
    for view in queue.running_jobs(opened):
        signal_group(view.process, signal.SIGKILL)
    opened.database.close()


def submit(workspace, data, name, recipe, resources=ONE_CPU):
    """A fit on the cluster in the app's queue, whose worker is started."""
    line = ["fit", "--data", str(data), "--out", str(workspace.runs / name), *recipe]
    arguments = on_cluster(workspace, line, resources)
    job = queue.submit(workspace, kind="fit", title=name, arguments=arguments, device=CLUSTER)
    worker.ensure_running(workspace, CLUSTER)
    return job


def until(condition, *, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "still waiting"
        time.sleep(0.1)


def until_learning(workspace, job):
    until(lambda: log.read_metrics(workspace, job) or queue.job(workspace, job).state.ended)
    assert queue.job(workspace, job).state is JobState.RUNNING, queue.job(workspace, job).message


def ended(workspace, job):
    until(lambda: queue.job(workspace, job).state.ended)
    return queue.job(workspace, job)


def steps(path):
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [(one["done"], one["total"], one["message"]) for one in events if one["event"] == "progress"]


def submissions_of(workspace, name):
    return [one for one in submission.submissions(workspace) if one.out == workspace.runs / name]


def test_the_cluster_tells_what_it_has_but_not_to_a_wrong_token_and_ray_need_not_be_installed_here(workspace):
    block = "import sys; sys.modules['ray'] = None; from core.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", block, "cluster", "status", "--workspace", str(workspace.root)]

    def told():
        said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
        return json.loads(said.splitlines()[-1])

    until(lambda: told()["cpus"][1])  # a head answers a little before its own node has registered
    assert (told()["cpus"][1], told()["gpus"], told()["nodes"]) == (2.0, [0.0, 0.0], 1)
    keep_token(workspace, "another-token-0123456789")
    wrong = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "does not take this token" in wrong.stderr
    forget_token(workspace)
    none = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert "wants a token" in none.stderr
    assert none.stderr.count("\n") == 1


def test_two_jobs_run_at_once_one_is_cancelled_and_the_other_ends_as_it_would_here(workspace, data, here):
    long = submit(workspace, data, "long", LONG)
    short = submit(workspace, data, "short", SHORT)
    until_learning(workspace, long)
    queue.cancel(workspace, long)
    assert (ended(workspace, short).state, ended(workspace, short).message) == (JobState.DONE, None)
    assert ended(workspace, long).state is JobState.CANCELLED
    assert read_run(workspace.runs / "long").card.state == "cancelled"
    there = workspace.runs / "short"
    assert (here / "weights.safetensors").read_bytes() == (there / "weights.safetensors").read_bytes()
    assert [line["loss"] for line in read_metrics(here)] == [line["loss"] for line in read_metrics(there)]
    relayed = steps(log.log_path(workspace, short))
    assert relayed[0][2].startswith("Sending the job to")
    assert [step for step in relayed if step[1]] == steps(here.with_name("log"))
    assert log.read_result(workspace, short)["run"] == str(there)


def end_what_outlived_its_node(run):
    """A job's own process is none of the raylet's: it would learn on beside all further tests."""
    for process in psutil.process_iter(["cmdline"]):
        if str(run) in (process.info["cmdline"] or []):
            process.kill()


def test_a_killed_watcher_finds_its_job_again_and_the_death_of_the_node_is_told(head, workspace, data):
    with ray_node(head, "pin", environment=RAY) as raylet:
        job = submit(workspace, data, "pinned", LONG, Resources(named=(("pin", 1.0),)))
        until_learning(workspace, job)
        os.kill(queue.job(workspace, job).process.pid, signal.SIGKILL)
        assert ended(workspace, job).state is JobState.LOST
        seen = len(log.log_path(workspace, job).read_bytes())
        queue.resume(workspace, job)
        worker.ensure_running(workspace, CLUSTER)
        until(lambda: len(log.log_path(workspace, job).read_bytes()) > 2 * seen)
        assert len(submissions_of(workspace, "pinned")) == 1, "a second one was started"
        raylet.kill()
        view = ended(workspace, job)
    end_what_outlived_its_node(workspace.runs / "pinned")
    assert view.state is JobState.FAILED
    assert view.message.startswith("The node ")
    assert "that ran the job died; what it had written to the shared disk is kept" in view.message
    assert view.resumable


def test_a_run_comes_back_whole_from_a_node_that_sees_neither_workspace_nor_labels(workspace, data, here, tmp_path):
    labels, images = tmp_path / "labels", tmp_path / "images"
    for folder, kind in ((labels, "*_mask.png"), (images, "*_sat.jpg")):
        folder.mkdir()
        for path in data.glob(kind):
            shutil.copy(path, folder)
    out = workspace.runs / "away"
    line = ["fit", "--data", str(images), "--labels", str(labels), "--out", str(out), *SHORT]
    cluster = need_cluster(workspace)
    one = prepare(workspace, cluster, line, Resources())
    one = send(workspace, cluster, JobsApi(cluster.address, TOKEN), one)
    (workspace.runs / f".{one.id}").unlink()  # by this file a node knows our disk
    shutil.rmtree(labels)
    assert not out.exists()
    result = watch(workspace, one, SilentProgress())
    assert result["run"] == str(out)
    assert [path.name for path in workspace.runs.iterdir()] == ["away"]
    assert (out / "weights.safetensors").read_bytes() == (here / "weights.safetensors").read_bytes()
    assert read_run(out).card.label_fingerprints == read_run(here).card.label_fingerprints
    assert read_run(out).card.code_version == read_run(here).card.code_version


def test_data_that_the_node_does_not_see_and_a_wrong_option_are_told_in_one_sentence(workspace, tmp_path, capfd):
    call = ["on-cluster", "--workspace", str(workspace.root), "--", "fit", "--out", str(workspace.runs / "none")]
    assert main([*call, "--data", str(tmp_path / "nowhere")]) == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert f"{tmp_path / 'nowhere'}, which --data names, is not there on the cluster's node" in said
    assert main([*call, "--data", str(tmp_path), "--epocs", "3"]) == 2
    assert "--epocs" in capfd.readouterr().err


def test_the_token_is_in_no_file_but_its_own(workspace, data, tmp_path):
    one = prepare(
        workspace, need_cluster(workspace), ["fit", "--data", str(data), "--out", str(tmp_path / "r")], Resources()
    )
    workspace.database.close()
    holders = [path for path in workspace.root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert holders == [token_path(workspace)]
    assert (workspace.root / "cluster" / f"{one.id}.json").exists()
