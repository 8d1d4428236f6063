"""Which cluster a workspace uses: its address, in the workspace's settings, and its token, never in the database.

The token comes from the environment (``TILEWRIGHT_RAY_TOKEN``) or lies in a file of its own in the workspace that its
owner alone can read. It goes into the header of requests to the cluster and nowhere else.
"""

import os
import re
import stat
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from core.cluster.jobs_api import JobsApi, Overview
from core.errors import InputError, NotSavedError
from core.tables import Setting
from core.workspace import Workspace

TOKEN_VARIABLE = "TILEWRIGHT_RAY_TOKEN"  # noqa: S105
DEFAULT_PYTHON = "python"
_KEY = "cluster"
_MOST_TOKEN_CHARACTERS = 4096
_TOKEN = re.compile(r"[\x21-\x7e]+")
_PYTHON = re.compile(r"[\w./+-]+")


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """A Ray cluster: the address of its dashboard, and how Python with Tilewright's requirements is called there.

    ``node_cpus`` and ``node_gpus`` are the most that one node had when the cluster was asked last.
    """

    address: str
    python: str = DEFAULT_PYTHON
    node_cpus: float = 1.0
    node_gpus: float = 0.0


def read_cluster(workspace: Workspace) -> ClusterAddress | None:
    """The workspace's cluster; None where none is set."""
    with workspace.database.read() as session:
        row = session.get(Setting, _KEY)
    return ClusterAddress(**row.value) if row else None


def need_cluster(workspace: Workspace) -> ClusterAddress:
    """The workspace's cluster. Raises ``InputError`` where none is set."""
    found = read_cluster(workspace)
    if found is None:
        raise InputError(
            "This workspace has no cluster; name one on the Train page, or with: "
            "python -m core cluster connect --address http://HOST:8265"
        )
    return found


def keep_cluster(workspace: Workspace, cluster: ClusterAddress) -> None:
    """Keep a cluster in the workspace's settings; a token that was kept for another address goes.

    Raises ``InputError`` for an address or a Python that is not spelt like one.
    """
    checked = replace(cluster, address=check_address(cluster.address), python=_check_python(cluster.python))
    before = read_cluster(workspace)
    if before and before.address != checked.address:
        forget_token(workspace)
    with workspace.database.write() as session:
        session.merge(Setting(key=_KEY, value=asdict(checked)))


def connect(workspace: Workspace, *, address: str, python: str, token: str, timeout: float) -> Overview:
    """Keep a cluster, and its token where one is given, and ask it what it has.

    The settings are kept also where it does not answer: it may later. Raises ``InputError`` then, and for an address,
    a Python or a token that is not spelt like one.
    """
    keep_cluster(workspace, ClusterAddress(address, python))
    if token:
        keep_token(workspace, token)
    cluster = need_cluster(workspace)
    overview = JobsApi(cluster.address, read_token(workspace), timeout=timeout).overview()
    most = overview.most_on_one_node
    keep_cluster(workspace, replace(cluster, node_cpus=most.cpus, node_gpus=most.gpus))
    return overview


def forget_cluster(workspace: Workspace) -> None:
    """Forget the cluster and its kept token."""
    forget_token(workspace)
    with workspace.database.write() as session:
        row = session.get(Setting, _KEY)
        if row is not None:
            session.delete(row)


def check_address(text: str) -> str:
    """The address without blanks and the slash at its end.

    Raises ``InputError`` for anything but ``http(s)://host[:port][/path]``.
    """
    address = text.strip().rstrip("/")
    sentence = None
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", address):
        sentence = "is no address of a cluster; write it as Ray shows its dashboard, like http://10.0.0.5:8265"
    elif parts.username is not None or parts.password is not None:
        raise InputError("The address holds a user name or password; leave them out and give the token by itself.")
    elif parts.query or parts.fragment:
        sentence = "holds more than an address; leave out what follows '?' or '#'"
    if sentence:
        raise InputError(f"'{address[:200]}' {sentence}.")
    return address


def token_path(workspace: Workspace) -> Path:
    """Where the workspace keeps the token, if it does."""
    return workspace.root / "cluster" / "token"


def read_token(workspace: Workspace) -> str | None:
    """The token, from the environment or else from the workspace's file; None without either.

    Raises ``InputError`` when others can read the file.
    """
    from_environment = os.environ.get(TOKEN_VARIABLE)
    if from_environment:
        return _check_token(from_environment)
    path = token_path(workspace)
    try:
        with path.open() as stream:
            mode = os.fstat(stream.fileno()).st_mode
            token = stream.read(_MOST_TOKEN_CHARACTERS + 2)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"The cluster's token {path} cannot be read ({error.strerror}); enter it anew.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"Others can read the cluster's token {path}; make it yours alone with: chmod 600 {path}")
    return _check_token(token)


def keep_token(workspace: Workspace, token: str) -> None:
    """Write the token to the workspace's file, readable by its owner alone from the first byte on.

    Raises ``InputError`` for a token that no header can carry, and ``NotSavedError`` when it cannot be written.
    """
    checked = _check_token(token)
    path = token_path(workspace)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".token.")  # mkstemp makes it 0600
        with os.fdopen(handle, "w") as stream:
            stream.write(checked)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise NotSavedError(
            f"The cluster's token could not be written to {path} ({error.strerror}); free some disk space or mend the "
            "folder's permissions."
        ) from error


def forget_token(workspace: Workspace) -> None:
    """Remove the kept token."""
    token_path(workspace).unlink(missing_ok=True)


def _check_token(text: str) -> str:
    token = text.strip()
    if not _TOKEN.fullmatch(token) or len(token) > _MOST_TOKEN_CHARACTERS:
        raise InputError("The cluster's token is empty or holds blanks or other signs that none has; copy it anew.")
    return token


def _check_python(text: str) -> str:
    python = text.strip() or DEFAULT_PYTHON
    if not _PYTHON.fullmatch(python):
        raise InputError(
            f"'{python[:200]}' is no command of a node; give one or a path, like /opt/tilewright/bin/python."
        )
    return python
