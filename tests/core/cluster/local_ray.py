"""A real Ray head on this machine for tests: two CPU cores, its own short folder for sockets, gone afterwards."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from core.cluster.connection import ClusterUse

QUICK = {
    "RAY_prestart_worker_first_driver": "0",  # processes that would wait for work that our few calls never bring
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one process less to start; no node announces that it will go
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a worker that was killed is missed soon
}
"""Settings of Ray that spare it what takes seconds and that no test is about, for the head and for who connects."""

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (pip install -r requirements-ray.txt)"
)


@dataclass(frozen=True)
class Head:
    """``address`` is for connecting from this machine, ``dashboard`` (http) for jobs, None without one."""

    address: str
    dashboard: str | None
    folder: str


@contextmanager
def connectable_head() -> Iterator[ClusterUse]:
    """A head without a token for this process to connect to, under which it may train."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_AUTH_MODE": "disabled", **QUICK}.items():
            patch.setenv(name, value)
        with ray_head() as started:
            yield ClusterUse(started.address)


@contextmanager
def ray_head(*, cpus: int = 2, dashboard: bool = False, environment: Mapping[str, str] | None = None) -> Iterator[Head]:
    """Start a head node with ``ray start --block``, and end it with all of its processes.

    ``environment`` is put on top of ours: Ray's own settings are variables.
    """
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")  # sockets' paths may have 107 characters
    port, web = _free_port(), _free_port()
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += ["--node-ip-address=127.0.0.1", f"--num-cpus={cpus}", f"--temp-dir={folder}", "--num-gpus=0"]
    command += ["--object-store-memory=200000000", "--disable-usage-stats", f"--include-dashboard={dashboard}"]
    command += ["--dashboard-host=127.0.0.1", f"--dashboard-port={web}"]
    command += [f"--dashboard-agent-listen-port={_free_port()}"]  # another head may have the usual one
    try:
        with _started(command, Path(folder) / "start.log", environment):
            yield Head(f"127.0.0.1:{port}", f"http://127.0.0.1:{web}" if dashboard else None, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ray_node(head: Head, resource: str, *, environment: Mapping[str, str] | None = None) -> Iterator[psutil.Process]:
    """Let a second node of one core join, with one of ``resource`` to pin work to it; its raylet, to be killed."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", f"--address={head.address}"]
    command += ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--num-gpus=0", f'--resources={{"{resource}": 1}}']
    command += ["--object-store-memory=80000000", "--disable-usage-stats"]
    command += [f"--dashboard-agent-listen-port={_free_port()}"]
    with _started(command, Path(head.folder) / f"{resource}.log", environment) as process:
        yield next(one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "raylet")


@contextmanager
def _started(command: list[str], log: Path, environment: Mapping[str, str] | None) -> Iterator[subprocess.Popen[bytes]]:
    """A node that is up, and gone with all that it started afterwards."""
    # Without a token unless asked for: Ray wants one by itself where an earlier start has left one in the home folder.
    ours = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", **QUICK, **(environment or {})}
    process = _start(command, log, ours)
    try:
        yield process
    finally:
        _end(process)


def _start(command: list[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a node. On a busy machine more than once: Ray gives up by itself when its processes take over 30 s."""
    for tries_left in (2, 1, 0):
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
        try:
            _wait_until_up(process, log)
        except RuntimeError:
            _end(process)
            if not tries_left:
                raise
        else:
            break
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a node with all of its processes."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in psutil.wait_procs(family, timeout=3)[1]:
        left.kill()


def _wait_until_up(process: subprocess.Popen[bytes], log: Path, seconds: float = 120.0) -> None:
    """Until the head says that it has started; its ports answer a moment before it does."""
    end = time.monotonic() + seconds
    while "Ray runtime started" not in (said := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"Ray did not start: {said[-2000:]}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
