"""The commands about a cluster: ``cluster connect|status|submit|list|watch|logs|cancel``, and ``on-cluster``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.progress import Progress

if TYPE_CHECKING:
    from core.cluster.jobs_api import JobsApi, Overview, Resources
    from core.workspace import Workspace

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]

_PROGRESS = "--progress"


def add_cluster_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    run = command("on-cluster", _run, "Run a command on the cluster and follow it here, as if it ran here.")
    _add_request(run)

    cluster = command("cluster", _status, "A Ray cluster: name it, submit to it, look, cancel.")
    parts = cluster.add_subparsers(dest="part", required=True, metavar="COMMAND", parser_class=type(cluster))

    def part(name: str, function: Command, summary: str) -> argparse.ArgumentParser:
        one = parts.add_parser(name, help=summary, description=summary)
        one.set_defaults(run_command=function)
        one.add_argument(_PROGRESS, choices=["bar", "json"], default=argparse.SUPPRESS)
        one.add_argument("--workspace", type=Path)
        return one

    connect = part("connect", _connect, "Name the workspace's cluster, and see what it has.")
    connect.add_argument("--address", required=True, help="of its Ray dashboard, like http://10.0.0.5:8265")
    connect.add_argument("--python", default="", help="how Python is called on its nodes; by default python")
    connect.add_argument("--token-file", metavar="FILE|-", help="take the token from a file or, with '-', from stdin")

    part("status", _status, "Tell the nodes, processors and GPUs of the cluster.")
    part("list", _list, "Tell what was submitted from this workspace.")
    submit = part("submit", _submit, "Submit a command and return at once.")
    _add_request(submit, workspace=False)
    for name, function, summary in (
        ("watch", _watch, "Follow a submission to its end and bring back what it made."),
        ("logs", _logs, "Print what a submission has said so far."),
        ("cancel", _cancel, "Ask a submission to stop; it keeps what it has finished."),
    ):
        part(name, function, summary).add_argument("submission", metavar="ID")


class _CommandLine(argparse.Action):
    """The command after ``--``. A ``--progress`` in it says how we show progress: there it is always JSON lines."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Keep it, without the ``--`` before it."""
        line = [str(value) for value in values]
        if line[:1] == ["--"]:
            del line[0]
        if _PROGRESS in line[:-1]:
            at = line.index(_PROGRESS)
            namespace.progress = line[at + 1]
            del line[at : at + 2]
        namespace.line = line


def _add_request(parser: argparse.ArgumentParser, *, workspace: bool = True) -> None:
    if workspace:
        parser.add_argument("--workspace", type=Path)
    parser.add_argument("--gpus", type=_amount, default=0.0, help="GPUs to ask for on one node")
    parser.add_argument("--cpus", type=_amount, default=1.0, help="processors to ask for on one node; as many threads")
    parser.add_argument("--resource", type=_named, action="append", default=[], metavar="NAME=AMOUNT")
    parser.add_argument("line", nargs=argparse.REMAINDER, action=_CommandLine, metavar="-- COMMAND ...")


def _run(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.cluster.watching import run_on_cluster

    _check(options.line)
    return run_on_cluster(_workspace(options), options.line, _resources(options), progress)


def _connect(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.cluster.jobs_api import TIMEOUT_SECONDS
    from core.cluster.settings import connect

    workspace, token = _workspace(options), ""
    if options.token_file == "-":  # noqa: S105
        token = sys.stdin.readline()
    elif options.token_file:
        try:
            token = Path(options.token_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The token file {options.token_file} cannot be read ({error}); name another.") from error
    found = connect(workspace, address=options.address, python=options.python, token=token, timeout=TIMEOUT_SECONDS)
    return _told(workspace, found)


def _status(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    workspace = _workspace(options)
    return _told(workspace, _api(workspace).overview())


def _submit(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.cluster.settings import need_cluster
    from core.cluster.submission import prepare, send

    _check(options.line)
    workspace = _workspace(options)
    cluster = need_cluster(workspace)
    one = prepare(workspace, cluster, options.line, _resources(options))
    send(workspace, cluster, _api(workspace), one)
    return {"submission": one.id, "address": one.address}


def _list(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.cluster.submission import submissions

    api = _api(_workspace(options))
    found = []
    for one in submissions(_workspace(options)):
        info = api.info(one.id) if one.address == api.address else None
        status = info.status if info else "UNKNOWN"
        found.append({"submission": one.id, "created": one.created, "status": status, "arguments": one.arguments})
    return {"address": api.address, "submissions": sorted(found, key=lambda row: str(row["created"]))}


def _watch(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.cluster.submission import get
    from core.cluster.watching import watch

    workspace = _workspace(options)
    return watch(workspace, get(workspace, options.submission), progress)


def _logs(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.cluster.node_log import NodeLog

    api = _api(_workspace(options))
    log = NodeLog()
    for line in log.feed(api.log(options.submission)):
        print(line.text)
    info = api.info(options.submission)
    return {"submission": options.submission, "status": info.status if info else "UNKNOWN"}


def _cancel(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    api = _api(_workspace(options))
    api.stop(options.submission)
    info = api.info(options.submission)
    return {"submission": options.submission, "status": info.status if info else "UNKNOWN"}


def _told(workspace: "Workspace", found: "Overview") -> dict[str, Any]:
    from core.cluster.settings import need_cluster

    print(found.sentence)
    return {"address": need_cluster(workspace).address, **asdict(found)}


def _api(workspace: "Workspace") -> "JobsApi":
    from core.cluster.jobs_api import JobsApi
    from core.cluster.settings import need_cluster, read_token

    return JobsApi(need_cluster(workspace).address, read_token(workspace))


def _workspace(options: argparse.Namespace) -> "Workspace":
    from core.workspace import open_workspace

    return open_workspace(options.workspace)


def _resources(options: argparse.Namespace) -> "Resources":
    from core.cluster.jobs_api import Resources

    return Resources(options.gpus, options.cpus, tuple(options.resource))


def _check(line: Sequence[str]) -> None:
    """Refuse here what the cluster would refuse: an unknown command, a wrong option."""
    from core.cli import build_parser
    from core.cluster.command_lines import check_command

    check_command(line)
    build_parser().parse_args(line)


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1024:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0 to 1024")
    return value


def _named(text: str) -> tuple[str, float]:
    name, equals, amount = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no resource; write its name and how much of it, like big_memory=1"
        )
    return name, _amount(amount)
