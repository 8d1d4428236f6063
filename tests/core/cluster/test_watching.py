"""The watcher against a cluster that is made up, for what a real one does only now and then."""

import io
import json
import signal

import pytest

from core.cluster import submission, watching
from core.cluster.jobs_api import JobInfo, Node, Resources, UnreachableError
from core.cluster.settings import ClusterAddress
from core.cluster.submission import find_open, get, mark, prepare, sole_watcher
from core.cluster.watching import Relay, Watch
from core.errors import CancelledError, InputError
from core.progress import CancelFlag, JsonProgress
from core.workspace import open_workspace

CLUSTER = ClusterAddress("http://10.0.0.5:8265")
RUNNING, PENDING = (JobInfo(status, "", None, None, "node-1") for status in ("RUNNING", "PENDING"))
STOPPED = JobInfo("STOPPED", "", None, None, "node-1")
DONE = JobInfo("SUCCEEDED", "", None, 0, "node-1")
SILENT = UnreachableError("The cluster cannot be reached.")


class MadeUp:
    """A cluster that answers as it is told, one answer a look; the last one again and again."""

    address = CLUSTER.address

    def __init__(self, *answers, log="", nodes=()):
        self.answers, self.text, self.alive = list(answers), log, list(nodes)
        self.stopped = 0

    def info(self, _):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def log(self, _):
        return self.text

    def nodes(self):
        return self.alive

    def stop(self, _):
        self.stopped += 1


@pytest.fixture
def workspace(tmp_path):
    opened = open_workspace(tmp_path)
    yield opened
    opened.database.close()


@pytest.fixture(autouse=True)
def time_flies(monkeypatch):
    """A clock that goes on five seconds with every pause."""
    now = [0.0]
    monkeypatch.setattr(watching.time, "sleep", lambda _seconds: now.__setitem__(0, now[0] + 5.0))
    return lambda: now[0]


def said(*events):
    lines = [{"event": "node", "host": "node-a", "shared": True}, *events]
    return "".join(json.dumps(line) + "\n" for line in lines)


def watch(workspace, api, clock, *, stop=False):
    one = mark(workspace, prepare(workspace, CLUSTER, ["forecast", "--data", "/d"], Resources(1, 2)), sent=True)
    flag = CancelFlag()
    flag.raised = stop
    return Watch(workspace, api, one, Relay(JsonProgress(io.StringIO(), CancelFlag())), flag, clock=clock)


def test_silence_is_told_once_and_the_watch_goes_on_when_the_cluster_answers(workspace, time_flies, capsys):
    log = said({"event": "result", "result": {"seconds": 3}}, {"event": "ended", "exit_status": 0})
    api = MadeUp(RUNNING, *[SILENT] * 6, RUNNING, DONE, log=log)
    assert watch(workspace, api, time_flies).until_over() == {"seconds": 3}
    events = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert events == [f"{SILENT} The job may go on there; trying again until it answers.", "The cluster answers again."]


def test_a_short_silence_is_not_told(workspace, time_flies, capsys):
    log = said({"event": "result", "result": {}}, {"event": "ended", "exit_status": 0})
    watch(workspace, MadeUp(SILENT, SILENT, DONE, log=log), time_flies).until_over()
    assert capsys.readouterr().err == ""


def test_a_job_that_cannot_be_told_to_stop_is_left_with_the_command_that_does_it_later(workspace, time_flies):
    one = watch(workspace, MadeUp(SILENT), time_flies, stop=True)
    with pytest.raises(InputError, match=f"may go on there.*cluster cancel {one.one.id}"):
        one.until_over()
    assert not get(workspace, one.one.id).ended


def test_a_job_that_is_stopped_before_it_begins_is_not_waited_for(workspace, time_flies):
    api = MadeUp(PENDING)
    one = watch(workspace, api, time_flies, stop=True)
    with pytest.raises(CancelledError):
        one.until_over()
    assert api.stopped == 1
    assert get(workspace, one.one.id).ended


FAILED = {"error_type": None, "exit_code": None, "node_id": "node-1", "status": "FAILED"}
HAS_DIED = JobInfo(message="died", **{**FAILED, "error_type": "JOB_SUPERVISOR_ACTOR_DIED"})
GONE, THERE = (Node("node-1", "10.0.0.7", alive, 4, 0) for alive in (False, True))


@pytest.mark.parametrize(
    ("api", "sentence"),
    [
        (MadeUp(None), "does not know the job any more: its head was started anew"),
        (MadeUp(HAS_DIED, nodes=[GONE]), "The node 10.0.0.7 that ran the job died"),
        (MadeUp(HAS_DIED, nodes=[THERE]), "most likely because memory ran out"),
        (
            MadeUp(JobInfo(message="", **{**FAILED, "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"})),
            "no node of the cluster had 1 GPU and 2 CPUs free",
        ),
        (MadeUp(JobInfo(message="x\nsh: python: not found", **{**FAILED, "exit_code": 127})), "sh: python: not found"),
        (MadeUp(STOPPED), "Somebody stopped the job"),
        (
            MadeUp(DONE, log=said({"event": "error", "message": "No labels."}, {"event": "ended", "exit_status": 2})),
            "No labels.",
        ),
        (MadeUp(DONE, log=said({"event": "ended", "exit_status": -9})), "memory ran out"),
    ],
)
def test_each_end_is_told_truly(workspace, time_flies, api, sentence):
    one = watch(workspace, api, time_flies)
    with pytest.raises(InputError) as error:
        one.until_over()
    assert sentence in str(error.value)
    assert get(workspace, one.one.id).ended


def test_a_submission_is_found_again_until_its_end_was_told_whether_it_resumes_or_not(workspace, tmp_path):
    line = ["fit", "--data", "/d", "--out", str(tmp_path / "run")]
    one = prepare(workspace, CLUSTER, line, Resources())
    assert find_open(workspace, CLUSTER, [*line, "--resume"]) == one
    assert find_open(workspace, CLUSTER, [*line, "--seed", "1"]) is None
    assert find_open(workspace, ClusterAddress("http://10.0.0.6:8265"), line) is None
    mark(workspace, one, ended=True)
    assert find_open(workspace, CLUSTER, line) is None
    assert submission.submissions(workspace) == [get(workspace, one.id)]
    with pytest.raises(InputError, match="has submitted no 'nothing'"):
        get(workspace, "nothing")


def test_only_one_process_watches_over_a_command(workspace):
    line = ["forecast", "--data", "/d"]
    with (
        sole_watcher(workspace, line),
        pytest.raises(InputError, match="Another process"),
        sole_watcher(workspace, line),
    ):
        pass
    with sole_watcher(workspace, line):
        pass


@pytest.fixture(autouse=True)
def signals():
    """The watcher takes over signals; give them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
