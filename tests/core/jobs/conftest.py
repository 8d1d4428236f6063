import contextlib
import os
import signal
import time

import psutil
import pytest

from core.jobs import queue, worker
from core.workspace import open_workspace
from tests.core.jobs import stand_in


class Bench:
    """A workspace with a queue of stand-in jobs, run by real workers in real processes."""

    def __init__(self, root):
        self.workspace = open_workspace(root)
        self.flag = root / "flag"

    def submit(self, *arguments, device="cpu", kind="test"):
        return queue.submit(self.workspace, kind=kind, title="A test", arguments=list(arguments), device=device)

    def start(self, device="cpu"):
        worker.ensure_running(self.workspace, device, command=stand_in.PREFIX)

    def keep_going(self):
        worker.keep_going(self.workspace, command=stand_in.PREFIX)

    def job(self, job_id):
        return queue.job(self.workspace, job_id)

    def until(self, condition, *, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"still waiting; the jobs are {queue.jobs(self.workspace)}"
            time.sleep(0.02)

    def until_state(self, job_id, *states):
        self.until(lambda: self.job(job_id).state in states)
        return self.job(job_id)

    def until_said(self, job_id):
        """Until the job has said something, so that it is well past its start."""
        path = self.workspace.jobs / str(job_id) / "log.jsonl"
        self.until(lambda: path.exists() and path.read_bytes().endswith(b"\n"))

    def workers(self):
        mark = ["work", "--workspace", str(self.workspace.root)]
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            if line[2:5] == mark and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def kill_worker(self, device="cpu"):
        identity = worker.live_worker(self.workspace, device)
        os.kill(identity.pid, signal.SIGKILL)
        self.until(lambda: worker.live_worker(self.workspace, device) is None)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv(stand_in.GRACE_VARIABLE, "0.3")
    bench = Bench(tmp_path)
    yield bench
    for process in bench.workers():
        process.kill()
    for view in queue.running_jobs(bench.workspace):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(view.process.pid, signal.SIGKILL)
    bench.workspace.database.close()
