"""A command line on its way to a cluster: written down before it is sent, so that it is never sent twice.

``cluster/<submission>.json`` in the workspace says what was submitted where, and how far we have come with it. The
id is made here and kept before the first request; whoever finds a submission that has not ended goes on with it.
"""

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.atomic import write_json, write_text
from core.cluster import command_lines, package
from core.cluster.jobs_api import JobsApi, Resources
from core.cluster.settings import ClusterAddress
from core.code_version import code_version
from core.errors import InputError
from core.jobs.queue import FIT_GRACE_SECONDS, RESUME_OPTION
from core.tables import now
from core.workspace import Workspace

STOP_SECONDS = int(FIT_GRACE_SECONDS) - 20
"""How long a job on the cluster has to keep what it has when it is stopped; then there is time to fetch it."""

_MOST_KEPT = 200


@dataclass(frozen=True, slots=True)
class Submission:
    """One command line that was submitted, or is about to be, and how far it is.

    ``sent``: the cluster has it. ``stopping``: somebody here asked it to stop. ``ended``: its end was told here.
    """

    id: str
    arguments: tuple[str, ...]
    address: str
    resources: Resources
    created: str
    sent: bool = False
    stopping: bool = False
    ended: bool = False

    @property
    def out(self) -> Path | None:
        """What it writes, by ``--out``."""
        value = command_lines.value_of(self.arguments, command_lines.OUT)
        return Path(value) if value else None


def on_cluster(workspace: Workspace, arguments: Sequence[str], resources: Resources) -> list[str]:
    """The command line, after ``python -m core``, that runs ``arguments`` on the cluster and follows it from here."""
    named = [part for name, amount in resources.named for part in ("--resource", f"{name}={amount:g}")]
    asked = ["--gpus", f"{resources.gpus:g}", "--cpus", f"{resources.cpus:g}", *named]
    return ["on-cluster", "--workspace", str(workspace.root), *asked, "--", *arguments]


def prepare(
    workspace: Workspace, cluster: ClusterAddress, arguments: Sequence[str], resources: Resources
) -> Submission:
    """Write down a submission that has yet to be sent. Raises ``InputError`` for a command that no cluster runs."""
    command_lines.check_command(arguments)
    one = Submission(
        id=f"tilewright-{secrets.token_hex(8)}",
        arguments=tuple(command_lines.absolute(arguments)),
        address=cluster.address,
        resources=resources,
        created=f"{now().isoformat(timespec='seconds')}Z",
    )
    _forget_oldest(workspace)
    keep(workspace, one)
    return one


def send(workspace: Workspace, cluster: ClusterAddress, api: JobsApi, one: Submission) -> Submission:
    """Hand it to the cluster, with the code and small inputs; harmless where that was done before.

    Raises ``UnreachableError`` and ``InputError`` as ``JobsApi`` does.
    """
    probe = _probe(workspace, one)
    write_text(probe, one.id)
    carried = {
        f"{index}-{Path(one.arguments[index]).name}": Path(one.arguments[index])
        for _, index in command_lines.small_inputs(one.arguments)
        if package.is_small(Path(one.arguments[index]))
    }
    job = {
        "submission": one.id,
        "arguments": list(one.arguments),
        "probe": str(probe),
        "workspace": str(workspace.root),
        "code_version": code_version(),
        "carried": {str(path): name for name, path in carried.items()},
    }
    name, content = package.pack(job, carried)
    api.submit(
        one.id,
        entrypoint=f"{cluster.python} -m core.cluster.on_node",
        working_dir=api.upload(name, content),
        environment={"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)},
        resources=one.resources,
    )
    return mark(workspace, one, sent=True)


def find_open(workspace: Workspace, cluster: ClusterAddress, arguments: Sequence[str]) -> Submission | None:
    """The submission of this command line to this cluster whose end has not been told yet, the latest if several.

    Whether it is to resume does not matter: of a fit that goes on on the cluster the same one is meant.
    """
    wanted = _key(command_lines.absolute(arguments))
    same = [
        one
        for one in submissions(workspace)
        if not one.ended and one.address == cluster.address and _key(one.arguments) == wanted
    ]
    return max(same, key=lambda one: one.created, default=None)


def submissions(workspace: Workspace) -> list[Submission]:
    """Those that are written down."""
    return [_read(path) for path in sorted(_folder(workspace).glob("tilewright-*.json"))]


def get(workspace: Workspace, submission: str) -> Submission:
    """One by its id. Raises ``InputError`` when this workspace has none of that id."""
    found = [one for one in submissions(workspace) if one.id == submission]
    if not found:
        raise InputError(f"This workspace has submitted no '{submission[:80]}'; see: python -m core cluster list")
    return found[0]


def mark(workspace: Workspace, one: Submission, **changes: bool) -> Submission:
    """Write down how far it has come; what lay beside its output to be seen by the nodes goes when it has ended."""
    changed = replace(one, **changes)  # type: ignore[arg-type]
    keep(workspace, changed)
    if changed.ended:
        _probe(workspace, one).unlink(missing_ok=True)
    return changed


def keep(workspace: Workspace, one: Submission) -> None:
    """Write it to its file."""
    write_json(_folder(workspace) / f"{one.id}.json", asdict(one))


@contextmanager
def sole_watcher(workspace: Workspace, arguments: Sequence[str]) -> Iterator[None]:
    """Hold what only one process can: the watch over this command line.

    Raises ``InputError`` while another holds it.
    """
    folder = _folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{_key(command_lines.absolute(arguments))}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "Another process is watching over this very command on the cluster; let it end first."
            ) from error
        yield


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "cluster"


def _probe(workspace: Workspace, one: Submission) -> Path:
    """A file beside the output: a node that finds it there shares our disk."""
    return (one.out.parent if one.out else _folder(workspace)) / f".{one.id}"


def _key(arguments: Sequence[str]) -> str:
    meant = [argument for argument in arguments if argument != RESUME_OPTION]
    return hashlib.sha256(json.dumps(meant).encode()).hexdigest()[:16]


def _read(path: Path) -> Submission:
    kept: dict[str, Any] = json.loads(path.read_text())
    asked = kept.pop("resources")
    named = tuple((str(name), float(amount)) for name, amount in asked["named"])
    arguments = tuple(kept.pop("arguments"))
    return Submission(**kept, arguments=arguments, resources=Resources(asked["gpus"], asked["cpus"], named))


def _forget_oldest(workspace: Workspace) -> None:
    ended = sorted((one for one in submissions(workspace) if one.ended), key=lambda one: one.created, reverse=True)
    for one in ended[_MOST_KEPT - 1 :]:
        (_folder(workspace) / f"{one.id}.json").unlink(missing_ok=True)
