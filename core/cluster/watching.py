"""Watching over a submission as if it ran here: its lines as our lines, its result as our result, its end as ours.

The watcher may be killed at any moment and started anew: it finds the submission written down and goes on with it.
While the cluster does not answer it keeps trying; a job there goes on without us.
"""

import json
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from core.atomic import write_bytes
from core.cluster import submission
from core.cluster.jobs_api import JobInfo, JobsApi, NotReadyError, Resources, UnreachableError
from core.cluster.node_log import Line, NodeLog
from core.cluster.settings import ClusterAddress, need_cluster, read_token
from core.cluster.submission import Submission
from core.errors import CancelledError, InputError
from core.jobs.outcome import JobState, judge
from core.progress import CancelFlag, JsonProgress, Progress
from core.workspace import Workspace

POLL_SECONDS = 1.0
SILENCE_SECONDS = 15.0
"""How long the cluster may not answer before the watcher says so."""

STOP_PATIENCE_SECONDS = 60.0
"""How long the watcher tries to tell a cluster that does not answer to stop a job."""

NOT_READY_SECONDS = 60.0
"""How long a cluster that answers may take until it accepts jobs."""

NOT_BEGUN_SECONDS = 3.0
"""How long it waits for the end of a job that was stopped before it began."""

_LOG_SHARE = 10
"""The log is fetched whole; the pause after it is this many times as long as that took."""

_LAST_LOG_TRIES = 3
_MOST_FILE_BYTES = 64 << 20
_FILE_KINDS = (".json", ".md")


def run_on_cluster(
    workspace: Workspace, arguments: Sequence[str], resources: Resources, progress: Progress
) -> dict[str, Any]:
    """Run a command line on the workspace's cluster, or go on watching it there; returns its result.

    Raises ``InputError`` with the sentence that says why it failed, and ``CancelledError`` when it was stopped and
    had kept what it had.
    """
    cluster = need_cluster(workspace)
    api = JobsApi(cluster.address, read_token(workspace))
    stop = CancelFlag()
    stop.install()  # from here on a signal stops the job there before it ends us
    relay = Relay(progress)
    with submission.sole_watcher(workspace, arguments):
        one = submission.find_open(workspace, cluster, arguments)
        if one and one.stopping:
            _await_earlier(workspace, api, one, stop)
            one = None
        if one is None:
            one = submission.prepare(workspace, cluster, arguments, resources)
        if not one.sent:
            relay.say(f"Sending the job to {cluster.address}")
            one = _send(workspace, cluster, api, one, stop)
        return Watch(workspace, api, one, relay, stop).until_over()


def watch(workspace: Workspace, one: Submission, progress: Progress) -> dict[str, Any]:
    """Watch over a submission that was sent; as ``run_on_cluster``, whether its end was told before or not."""
    cluster = need_cluster(workspace)
    if cluster.address != one.address:
        raise InputError(f"{one.id} was submitted to {one.address}; connect to that cluster again to watch it.")
    stop = CancelFlag()
    stop.install()
    with submission.sole_watcher(workspace, one.arguments):
        return Watch(workspace, JobsApi(one.address, read_token(workspace)), one, Relay(progress), stop).until_over()


class Relay:
    """Hands on the lines of a command that runs elsewhere, in the style that was asked for here."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._raw = isinstance(progress, JsonProgress)

    def line(self, line: Line) -> None:
        """One line of the command, but for its closing word: ours says the same, once what came back is safe."""
        if line.is_output:
            print(line.text, flush=True)
            return
        event = line.event
        if event.get("event") in ("error", "cancelled"):
            return
        if event.get("event") == "progress" and not self._raw:
            self._progress.update(event["done"], event["total"], event["message"])
            return
        text = str(event.get("message", "")) if event and not self._raw else line.text
        if text:
            print(text, file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        """Something of our own: a step before the command's first."""
        self._progress.update(0, 0, message)

    def warn(self, sentence: str) -> None:
        """Something that people should know."""
        told = json.dumps({"event": "message", "message": sentence}) if self._raw else sentence
        print(told, file=sys.stderr, flush=True)


@dataclass
class Watch:
    """One submission under watch."""

    workspace: Workspace
    api: JobsApi
    one: Submission
    relay: Relay
    stop: CancelFlag
    log: NodeLog = field(default_factory=NodeLog)
    clock: Callable[[], float] = time.monotonic
    _said: str = ""
    _relayed: bool = False
    _silent_since: float | None = None
    _warned: bool = False
    _stop_first_tried: float | None = None
    _stop_told: float | None = None
    _next_log: float = 0.0

    def until_over(self) -> dict[str, Any]:
        """Wait for its end; returns its result, or raises as ``run_on_cluster``."""
        while True:
            try:
                info = self.api.info(self.one.id)
                self._tell_stop()
                if info and info.status == "RUNNING":
                    self._read_log()
                self._answered()
            except UnreachableError as error:
                self._unanswered(error)
                info = None
            else:
                if info is None:
                    submission.mark(self.workspace, self.one, ended=True)
                    raise InputError(
                        f"The cluster at {self.api.address} does not know the job any more: its head was started anew, "
                        "and what ran there is gone. Start it again."
                    )
                if info.ended:
                    return self._end(info)
                self._wait_note(info)
                if info.status == "PENDING" and self._waited_since_stop() > NOT_BEGUN_SECONDS:
                    # Ray stops it as soon as it begins; nobody need wait for that.
                    submission.mark(self.workspace, self.one, ended=True)
                    raise CancelledError
            time.sleep(POLL_SECONDS)

    def _tell_stop(self) -> None:
        if not self.stop.raised or self._stop_told is not None:
            return
        self._stop_first_tried = self._stop_first_tried or self.clock()
        self.one = submission.mark(self.workspace, self.one, stopping=True)
        self.api.stop(self.one.id)
        self._stop_told = self.clock()

    def _waited_since_stop(self) -> float:
        return self.clock() - self._stop_told if self._stop_told is not None else 0.0

    def _read_log(self) -> None:
        started = self.clock()
        if started < self._next_log:
            return
        for line in self.log.feed(self.api.log(self.one.id)):
            self.relay.line(line)
            self._relayed = True
        self._next_log = self.clock() + _LOG_SHARE * (self.clock() - started)

    def _answered(self) -> None:
        if self._warned:
            self.relay.warn("The cluster answers again.")
        self._silent_since, self._warned = None, False

    def _unanswered(self, error: UnreachableError) -> None:
        now = self.clock()
        self._silent_since = self._silent_since or now
        if self.stop.raised:
            self._stop_first_tried = self._stop_first_tried or now
            if now - self._stop_first_tried > STOP_PATIENCE_SECONDS:
                raise InputError(
                    f"The job could not be stopped, it may go on there: {error} Later: python -m core cluster cancel "
                    f"{self.one.id}"
                ) from error
        if not self._warned and now - self._silent_since >= SILENCE_SECONDS:
            self._warned = True
            self.relay.warn(f"{error} The job may go on there; trying again until it answers.")

    def _wait_note(self, info: JobInfo) -> None:
        if self._said != info.status and not self._relayed:
            waits = f"Waiting for the cluster, with {self.one.resources.words} asked for"
            self.relay.say(waits if info.status == "PENDING" else "Starting on a node of the cluster")
        self._said = info.status

    def _end(self, info: JobInfo) -> dict[str, Any]:
        """Read the rest of the log, fetch what was made, and tell the end."""
        for attempt in range(_LAST_LOG_TRIES):
            with suppress(UnreachableError):  # the log of a node that died is gone with it
                self._next_log = 0.0
                self._read_log()
                break
            time.sleep(POLL_SECONDS * attempt)
        if self.log.exit_status is None:
            failure = self._failure(info)
            submission.mark(self.workspace, self.one, ended=True)
            raise failure
        out = self.one.out
        if self.log.returned and out is not None:
            take_back(self.log, out)
        submission.mark(self.workspace, self.one, ended=True)
        outcome = judge(exit_status=self.log.exit_status, cancel_requested=self.one.stopping, traces=self.log.traces())
        if outcome.state is JobState.DONE:
            return self.log.result or {}
        if outcome.state is JobState.CANCELLED:
            if not self.one.stopping:
                self.relay.warn("Somebody stopped the job on the cluster.")
            raise CancelledError
        raise InputError(outcome.message or "The job failed on the cluster and did not say why.")

    def _failure(self, info: JobInfo) -> Exception:
        """Why it ended without a word of its own."""
        if info.status == "STOPPED":
            if self.one.stopping:
                return CancelledError()
            return InputError("Somebody stopped the job on the cluster before it could keep anything; start it again.")
        if info.error_type == "JOB_SUPERVISOR_ACTOR_DIED":
            return InputError(self._death(info))
        if info.error_type in ("JOB_SUPERVISOR_ACTOR_START_TIMEOUT", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"):
            return InputError(
                f"The job did not begin: no node of the cluster had {self.one.resources.words} free for as long as Ray "
                "lets a job wait. Ask for less, or start it again later."
            )
        lines = [line.strip() for line in info.message.splitlines() if line.strip()]
        said = lines[-1] if lines else "Ray did not say why"
        if info.exit_code is not None:
            return InputError(
                f"The job could not run on the cluster's node (exit status {info.exit_code}: {said[:300]}); see that "
                "the Python in the cluster's settings is there and has the packages of requirements.txt."
            )
        return InputError(f"The job failed on the cluster: {said[:300]}")

    def _death(self, info: JobInfo) -> str:
        nodes = []
        with suppress(UnreachableError):
            nodes = self.api.nodes()
        node = next((one for one in nodes if one.id == info.node_id), None)
        where = f"{self.log.host or (node.address if node else 'unknown')}"
        if node and node.alive:
            what = f"Ray's process that ran the job on the node {where} died, most likely because memory ran out there"
        else:
            what = f"The node {where} that ran the job died"
        kept = "what it had written to the shared disk is kept" if self.log.shared else "what it had made there is lost"
        return f"{what}; {kept}. Start it again."


def take_back(log: NodeLog, out: Path) -> None:
    """Put what came back where the command was told to write: a run's folder, or files beside ``out``.

    Raises ``InputError`` when it is damaged, holds what no run has, or cannot be written; an older run there then
    stays.
    """
    with log.archive() as archive:
        if log.returned == "run":
            _take_run(archive, out)
        else:
            _take_files(archive, out.parent)


def _take_run(archive: zipfile.ZipFile, out: Path) -> None:
    # Imported late: torch takes seconds, and a watcher that waits for hours need not hold it.
    from core.training.run_archive import import_run  # noqa: PLC0415
    from core.training.runs import check_run_folder  # noqa: PLC0415

    check_run_folder(out)
    stream = archive.fp
    assert stream is not None  # noqa: S101
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".from-cluster-") as scratch:
        run = import_run(stream, Path(scratch) / "runs", name="run")
        if out.exists():
            shutil.rmtree(out)
        run.folder.rename(out)


def _take_files(archive: zipfile.ZipFile, folder: Path) -> None:
    for member in archive.infolist():
        name = PurePosixPath(member.filename).name
        if name != member.filename or Path(name).suffix not in _FILE_KINDS or member.file_size > _MOST_FILE_BYTES:
            raise InputError(f"What came back holds {member.filename[:100]!r}, which no study writes; it was refused.")
        write_bytes(folder / name, archive.read(member))


def _send(workspace: Workspace, cluster: ClusterAddress, api: JobsApi, one: Submission, stop: CancelFlag) -> Submission:
    """Submit it, with patience for a cluster that answers but is not ready yet."""
    end = time.monotonic() + NOT_READY_SECONDS
    while True:
        try:
            return submission.send(workspace, cluster, api, one)
        except NotReadyError:
            if time.monotonic() > end or stop.raised:
                raise
        time.sleep(POLL_SECONDS)


def _await_earlier(workspace: Workspace, api: JobsApi, one: Submission, stop: CancelFlag) -> None:
    """Wait until an earlier attempt, that somebody stopped and nobody waited for, is over."""
    while not stop.raised:
        with suppress(UnreachableError):
            info = api.info(one.id)
            if info is None or info.ended:
                submission.mark(workspace, one, ended=True)
                return
        time.sleep(POLL_SECONDS)
    raise CancelledError
