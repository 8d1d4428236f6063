"""A connection to a Ray cluster: one that is there, or a private one on this machine for as long as the work takes."""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from core.cluster.ray_import import import_ray
from core.errors import InputError

LOCAL, AUTO = "local", "auto"

_KNOCK_SECONDS = 10

_INSIDE_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_PACKAGES = [Path(__file__).parents[1], Path(__file__).parents[2] / "models"]


@dataclass(frozen=True, slots=True)
class ClusterUse:
    """Which cluster, and what each worker (or call) on it gets.

    ``address`` is 'local' for a private cluster on this machine, 'auto' for the one that this process is part of,
    'host:port' or 'ray://host:port'. ``cpus`` is also the number of threads, on which the last digits of a result
    depend. ``gpus`` may be a part of one for calls; None takes one where the cluster has any.
    """

    address: str = LOCAL
    cpus: int = 1
    gpus: float | None = None


def usual_address() -> str:
    """The cluster that this process is part of, as a job of Ray's or by ``RAY_ADDRESS``; else this machine alone."""
    return AUTO if _INSIDE_A_JOB in os.environ or "RAY_ADDRESS" in os.environ else LOCAL


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """Ray, connected to the cluster; disconnected at the end, and a private cluster shut down.

    Raises ``InputError`` where Ray is not installed, nobody answers at the address, or the cluster runs another
    version of Ray or Python.
    """
    if address == LOCAL:
        # A token of its own: nobody else here may use it. Ray would make one too, but leave it in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = import_ray()
    if ray.is_initialized():
        raise RuntimeError("this process is connected to a cluster already")
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {"include_dashboard": False, "num_cpus": os.cpu_count(), "_node_ip_address": "127.0.0.1"}
    elif _INSIDE_A_JOB not in os.environ:  # a job brought the code with it
        options["runtime_env"] = {"py_modules": [str(package) for package in _PACKAGES]}
    _knock(address)
    try:
        with _own_signals():
            ray.init(**options)
    except (ConnectionError, ValueError, TimeoutError) as error:
        if "AuthenticationError" in str(error.__cause__):
            raise InputError(
                f"The Ray cluster at {address} wants a token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN in the "
                "environment."
            ) from error
        raise InputError(_silent(address, _first_line(error))) from error
    except RuntimeError as error:
        raise InputError(f"The Ray cluster at {address} cannot be used: {_first_line(error)}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise ``InputError`` where nobody listens at a host and port, which Ray itself would wait for, for minutes."""
    if address in (LOCAL, AUTO):
        return
    parts = urlsplit(address if "//" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None:
        raise InputError(
            f"{address} is no address of a Ray cluster; write host:port or ray://host:port, or give auto or local."
        )
    try:
        socket.create_connection((host, port), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise InputError(_silent(address, error.strerror or str(error))) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Whatever answers SIGINT and SIGTERM goes on doing so; Ray puts an exit of its own in its place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _silent(address: str, why: str) -> str:
    return (
        f"No Ray cluster answers at {address} ({why}); start one with 'ray start --head', mend the address, or give "
        "'local' for this machine alone."
    )


def gpus_each(ray: ModuleType, cluster: ClusterUse, device: str) -> float:
    """How many GPUs a worker gets: as asked for, or one where the cluster has any and ``device`` allows it.

    Raises ``InputError`` where ``device`` is 'cuda' and there is none to give.
    """
    if device == "cpu":
        return 0.0
    given = min(1.0, ray.cluster_resources().get("GPU", 0.0)) if cluster.gpus is None else cluster.gpus
    if device == "cuda" and not given:
        raise InputError(f"The cluster at {cluster.address} has no GPU to give; set --device to auto or cpu.")
    return given


def check_room(ray: ModuleType, cluster: ClusterUse, *, gpus: float, count: int = 1) -> str:
    """Say what ``count`` workers at once ask for and the cluster has, in a sentence.

    Raises ``InputError`` where this machine alone has too little; another cluster may grow, or be busy now.
    """
    has = ray.cluster_resources()
    cpus_there, gpus_there = has.get("CPU", 0.0), has.get("GPU", 0.0)
    asked = f"{count * cluster.cpus} CPU cores" + (f" and {count * gpus:g} GPUs" if gpus else "")
    there = f"{cpus_there:g} CPU cores" + (f" and {gpus_there:g} GPUs" if gpus else "")
    if cluster.address == LOCAL and (count * cluster.cpus > cpus_there or count * gpus > gpus_there):
        raise InputError(
            f"{count} workers ask for {asked}, and this machine has {there}; take fewer workers, give each fewer with "
            "--worker-cpus or --worker-gpus, or set --device to cpu."
        )
    return f"asked for {asked}, and the cluster has {there}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
