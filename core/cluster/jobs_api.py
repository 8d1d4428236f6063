"""Ray's Jobs REST API, as far as we use it: submit, look, read the log, stop; and what a cluster has.

Plain HTTP and not Ray's own client, for three reasons: that one waits without end for a cluster that does not answer,
lets ``RAY_ADDRESS`` in the environment override the address it was given, and takes Ray to be installed here. The
API is stable since Ray 2.0 (https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html), the
upload of packages is what every such client does.
"""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from core.errors import InputError

TIMEOUT_SECONDS = 20.0
"""For a connection, and for each pause within an answer."""

MOST_ANSWER_BYTES = 1 << 30
"""A log may hold a run (``core.cluster.on_node``); no answer is longer."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TRANSIENT = range(500, 600)


class UnreachableError(InputError):
    """The cluster does not answer, or not at this moment: the same request may succeed later."""


class NotReadyError(UnreachableError):
    """The cluster answers, but cannot do this yet, as in the first seconds after its start."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse it; the answer then is an error with its status."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What is asked for on one node."""

    gpus: float = 0.0
    cpus: float = 1.0
    named: tuple[tuple[str, float], ...] = ()

    @property
    def words(self) -> str:
        """For a person: ``1 GPU and 2 CPUs``."""
        amounts = [(self.gpus, "GPU"), (self.cpus, "CPU"), *((amount, name) for name, amount in self.named)]
        parts = [f"{n:g} {name}{'s' if n != 1 and name.isupper() else ''}" for n, name in amounts if n]
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class JobInfo:
    """How a job stands: Ray's words for it. ``status`` is PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""

    status: str
    message: str
    error_type: str | None
    exit_code: int | None
    node_id: str | None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of a cluster."""

    id: str
    address: str
    alive: bool
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class Overview:
    """What a cluster has: living nodes, processors and GPUs as (free, all), and the most that one node has."""

    ray_version: str
    nodes: int
    cpus: tuple[float, float]
    gpus: tuple[float, float]
    most_on_one_node: Resources

    @property
    def sentence(self) -> str:
        """The whole of it in one compact line."""
        free_cpus, cpus = self.cpus
        free_gpus, gpus = self.gpus
        parts = [
            f"Ray {self.ray_version}",
            f"{self.nodes} node{'' if self.nodes == 1 else 's'}",
            f"{free_cpus:g} of {cpus:g} CPUs free",
            f"{free_gpus:g} of {gpus:g} GPUs free" if gpus else "no GPU",
        ]
        return " · ".join(parts)


class JobsApi:
    """One cluster's API. Every method raises ``UnreachableError`` while the cluster does not answer.

    Any of them raises ``InputError`` when it refuses: the token, or the request.
    """

    def __init__(self, address: str, token: str | None, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.address = address
        self._token = token
        self._timeout = timeout
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if urlsplit(address).hostname in _LOOPBACK:
            handlers.append(urllib.request.ProxyHandler({}))  # a proxy's own loopback would be another machine's
        self._opener = urllib.request.build_opener(*handlers)

    def overview(self) -> Overview:
        """What the cluster has and what of it is free."""
        version = self._json("GET", "/api/version").get("ray_version")
        if not isinstance(version, str):
            raise self._no_dashboard()
        status = self._json("GET", "/api/cluster_status")
        usage = _inner(status, "data", "clusterStatus", "loadMetricsReport", "usage")
        alive = [node for node in self.nodes() if node.alive]
        most = Resources(
            gpus=max((node.gpus for node in alive), default=0.0), cpus=max((node.cpus for node in alive), default=0.0)
        )
        return Overview(version, len(alive), _free(usage.get("CPU")), _free(usage.get("GPU")), most)

    def nodes(self) -> list[Node]:
        """The nodes, those that died among them."""
        answer = self._json("GET", "/api/v0/nodes")
        rows = _inner(answer, "data", "result").get("result") or []
        return [_node(row) for row in rows]

    def upload(self, name: str, content: bytes) -> str:
        """Hand a zip to the cluster's store and return its URI, to be a job's working directory."""
        path = f"/api/packages/gcs/{quote(name)}"
        self._send("GET", path, missing_ok=True)  # asked first, it is kept until the job refers to it
        self._send("PUT", path, content, kind="application/octet-stream")
        return f"gcs://{name}"

    def submit(
        self, submission: str, *, entrypoint: str, working_dir: str, environment: dict[str, str], resources: Resources
    ) -> None:
        """Start a job under an id of ours; nothing where it has been submitted under that id before."""
        body = {
            "submission_id": submission,
            "entrypoint": entrypoint,
            "runtime_env": {"working_dir": working_dir, "env_vars": environment},
            "entrypoint_num_cpus": resources.cpus,
            "entrypoint_num_gpus": resources.gpus,
            "entrypoint_resources": dict(resources.named),
            "metadata": {"job_submission_id": submission, "application": "tilewright"},
        }
        try:
            self._send("POST", "/api/jobs/", json.dumps(body).encode())
        except InputError:
            if self.info(submission) is None:
                raise  # else an earlier attempt, that was thought to have failed, came through

    def info(self, submission: str) -> JobInfo | None:
        """How a job stands; None where the cluster does not know it."""
        content = self._send("GET", f"/api/jobs/{quote(submission)}", missing_ok=True)
        if content is None:
            return None
        told = self._parse(content)
        return JobInfo(
            status=str(told.get("status")),
            message=str(told.get("message") or ""),
            error_type=told.get("error_type"),
            exit_code=told.get("driver_exit_code"),
            node_id=told.get("driver_node_id"),
        )

    def log(self, submission: str) -> str:
        """All that a job has written so far."""
        return str(self._parse(self._of_job("GET", submission, "/logs")).get("logs") or "")

    def stop(self, submission: str) -> None:
        """Ask a job to stop: its processes get SIGTERM, and SIGKILL after the grace that it was submitted with."""
        self._of_job("POST", submission, "/stop", b"")

    def _of_job(self, method: str, submission: str, what: str, body: bytes | None = None) -> bytes:
        content = self._send(method, f"/api/jobs/{quote(submission)}{what}", body, missing_ok=True)
        if content is None:
            raise InputError(
                f"The cluster at {self.address} knows no job '{submission[:80]}'; see: python -m core cluster list"
            )
        return content

    def _json(self, method: str, path: str) -> dict[str, Any]:
        return self._parse(self._send(method, path) or b"")

    def _parse(self, content: bytes) -> dict[str, Any]:
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._no_dashboard()
        return value

    def _no_dashboard(self) -> InputError:
        return InputError(
            f"What answers at {self.address} is no Ray dashboard; give the address that 'ray start' shows, with its "
            "port (8265 unless it was changed)."
        )

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        kind: str = "application/json",
        missing_ok: bool = False,
    ) -> bytes | None:
        """One request; the answer's content, or None where there is no such thing and that is no error."""
        headers = {"Content-Type": kind, **({"Authorization": f"Bearer {self._token}"} if self._token else {})}
        request = urllib.request.Request(self.address + path, data=body, headers=headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                content: bytes = answer.read(MOST_ANSWER_BYTES + 1)
        except urllib.error.HTTPError as error:
            if error.code == http.client.NOT_FOUND and missing_ok:
                return None
            raise self._refusal(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._silence(error) from error
        if len(content) > MOST_ANSWER_BYTES:
            raise InputError(f"The cluster at {self.address} sent over {MOST_ANSWER_BYTES >> 30} GiB; it was refused.")
        return content

    def _refusal(self, error: urllib.error.HTTPError) -> InputError:
        if error.code == http.client.UNAUTHORIZED:
            return InputError(
                f"The cluster at {self.address} wants a token; enter it in the cluster's settings, or set "
                "TILEWRIGHT_RAY_TOKEN."
            )
        if error.code == http.client.FORBIDDEN:
            return InputError(
                f"The cluster at {self.address} does not take this token; 'ray get-auth-token' on its head shows the "
                "right one."
            )
        try:
            told = error.read(1 << 16).decode(errors="replace").strip().splitlines()
        except (OSError, http.client.HTTPException):
            told = []
        said = next((line.strip() for line in reversed(told) if line.strip(" .")), str(error.reason))
        if error.code in _TRANSIENT:
            return NotReadyError(f"The cluster at {self.address} could not answer ({error.code}: {said[:300]}).")
        return InputError(
            f"The cluster at {self.address} refused the request ({error.code}: {said[:300]}); see that the address is "
            "that of a Ray dashboard."
        )

    def _silence(self, error: Exception) -> InputError:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return InputError(
                f"The certificate of {self.address} is not trusted ({reason.verify_message}); install its authority."
            )
        said = getattr(reason, "strerror", None) or str(reason)
        return UnreachableError(
            f"The cluster at {self.address} cannot be reached ({said}); see that the address is right, that Ray runs "
            "there with its dashboard, and that no firewall lies between."
        )


def _inner(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What lies at the end of a row of keys; empty where one of them leads nowhere."""
    for key in keys:
        inner = value.get(key)
        value = inner if isinstance(inner, dict) else {}
    return value


def _node(row: dict[str, Any]) -> Node:
    has = row.get("resources_total") or {}
    alive = row["state"] == "ALIVE"
    return Node(row["node_id"], row["node_ip"], alive, float(has.get("CPU", 0)), float(has.get("GPU", 0)))


def _free(used_and_all: Any) -> tuple[float, float]:
    """(free, all) from Ray's (used, all)."""
    if not isinstance(used_and_all, list) or len(used_and_all) != 2:
        return 0.0, 0.0
    used, total = (float(value) for value in used_and_all)
    return max(0.0, total - used), total
