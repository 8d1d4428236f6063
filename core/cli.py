"""``python -m core``: the command line, a stable interface that others script against.

Progress goes to stderr, as a bar or as JSON lines. The last line of stdout is one JSON object with the result.
Exit status: 0 done; 2 bad input, with one plain line on stderr; 130 cancelled, with what was done so far kept.

Commands import what they need when they run: ``index`` should not wait for torch.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core.cluster_cli import add_cluster_commands
from core.data_cli import add_data_commands
from core.drift_cli import add_drift_commands
from core.errors import CancelledError, InputError
from core.evaluation_cli import add_evaluation_commands, add_workspace_evaluation_commands
from core.fit_options import add_cluster_options, add_fit_options, cluster_use, fit_request
from core.label_cli import add_label_commands
from core.looks_cli import add_looks_commands
from core.model_cli import add_model_commands
from core.prediction_cli import add_predict_command, add_workspace_predict_commands
from core.progress import CancelFlag, JsonProgress, Progress, make_progress
from core.run_cli import add_run_commands
from core.split_cli import add_split_commands
from core.study_cli import add_study_commands
from core.switch_options import add_switch_options, chosen_switches

BAD_INPUT = 2
CANCELLED = 130

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}; see: {self.prog} --help")


def _sample(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.catalog.sample import write_sample

    written = write_sample(options.out, tiles=options.tiles, size=options.size, seed=options.seed, progress=progress)
    return {"out": str(options.out), "tiles": len(written), "synthetic": True}


def _fit(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.training.fit import fit

    request = fit_request(options, resume=options.resume, split_record=options.split_record)
    if options.workers == 1 and options.cluster is None:
        return fit(request, progress)
    from core.training.distributed import fit_on_cluster

    return fit_on_cluster(request, progress, workers=options.workers, cluster=cluster_use(options))


def _rate_test(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.training.rate_test import find_rate

    return find_rate(fit_request(options), progress)


def _demo(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.demo import run_demo

    return run_demo(options.out, progress)


def _confidence_run(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.evaluation.confidence import confidence_run
    from core.workspace import open_workspace

    return confidence_run(
        open_workspace(options.workspace),
        run=options.run,
        collection_id=options.collection,
        switches=chosen_switches(options),
        progress=progress,
    )


def _queue_facts(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.labels.queue_facts import compute_facts, newest_run
    from core.workspace import open_workspace

    workspace = open_workspace(options.workspace)
    run = None if options.encoder_only else options.run or newest_run(workspace)
    return compute_facts(workspace, collection_id=options.collection, run=run, progress=progress)


def _work(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.jobs.worker import run_worker
    from core.workspace import open_workspace

    run_worker(open_workspace(options.workspace), options.device, most_at_once=options.slots)
    return {}


def _learn(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.labels.learning_process import learn, step_aside
    from core.workspace import open_workspace

    step_aside()
    return learn(open_workspace(options.workspace), requests=sys.stdin, out=sys.stdout)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(prog="python -m core", description="Tilewright: label, train and judge land-cover models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run: Command, summary: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=summary, description=summary)
        one.set_defaults(run_command=run)
        one.add_argument("--progress", choices=["bar", "json"], default="bar", help="how progress is shown on stderr")
        return one

    sample = command("sample", _sample, "Draw synthetic tiles with masks, in DeepGlobe's layout.")
    sample.add_argument("--out", type=Path, required=True)
    sample.add_argument("--tiles", type=_count, default=6)
    sample.add_argument("--size", type=_count, default=2448, help="side of a tile, pixels")
    sample.add_argument("--seed", type=int, default=0)

    add_data_commands(command)

    fit = command("fit", _fit, "Train a run on the labelled pixels of a folder.")
    add_fit_options(fit)
    fit.add_argument("--out", type=Path, required=True, help="the run's folder")
    fit.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    fit.add_argument("--split-record", metavar="JSON", help="the named split that the tiles follow, for the run's card")
    fit.add_argument("--workers", type=_count, default=1, help="processes that train one network together, by Ray")
    add_cluster_options(fit)

    rates = command("rate-test", _rate_test, "Try rising learning rates for a network, and suggest one.")
    add_fit_options(rates)
    rates.set_defaults(recipe="decoder")
    rates.add_argument("--out", type=Path, required=True, metavar="FILE.json")

    add_predict_command(command)

    add_evaluation_commands(command)

    demo = command("demo", _demo, "The whole loop on synthetic tiles, with a table of scores.")
    demo.add_argument("--out", type=Path, default=Path("demo"))

    _add_app_commands(command)
    return parser


def _add_app_commands(command: Callable[[str, Command, str], argparse.ArgumentParser]) -> None:
    """What the app runs in processes of their own, on a workspace."""
    add_workspace_evaluation_commands(command)

    sure = command("confidence-run", _confidence_run, "Judge how honest a run's confidence is on held-out tiles.")
    sure.add_argument("--workspace", type=Path)
    sure.add_argument("--run", required=True, help="a run's name in the workspace")
    sure.add_argument("--collection", type=int, required=True)
    add_switch_options(sure)

    facts = command("queue-facts", _queue_facts, "Look at a collection's tiles, to order what to label next.")
    facts.add_argument("--workspace", type=Path)
    facts.add_argument("--collection", type=int, required=True)
    facts.add_argument("--run", help="a run's name in the workspace; by default the newest")
    facts.add_argument("--encoder-only", action="store_true", help="without a run: for the most diverse order only")

    add_workspace_predict_commands(command)
    add_label_commands(command)
    add_looks_commands(command)
    add_run_commands(command)
    add_model_commands(command)
    add_study_commands(command)
    add_drift_commands(command)
    add_split_commands(command)
    add_cluster_commands(command)

    work = command("work", _work, "Run the queued jobs of a workspace; the app starts this by itself.")
    work.add_argument("--workspace", type=Path)
    work.add_argument("--device", default="cpu")
    work.add_argument("--slots", type=_count, help="jobs at once; by default as many as the workspace says")

    learn = command("learn", _learn, "Learn while somebody paints; the app starts this by itself.")
    learn.add_argument("--workspace", type=Path)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    cancel = CancelFlag()
    progress: Progress | None = None
    try:
        options = build_parser().parse_args(arguments)
        progress = make_progress(options.progress, cancel)
        cancel.install()
        result = options.run_command(options, progress)
    except InputError as error:
        _tell(str(error), event="error", progress=progress)
        return BAD_INPUT
    except CancelledError:
        _tell("Cancelled; what was finished is kept.", event="cancelled", progress=progress)
        return CANCELLED
    print(json.dumps(result))
    return 0


def _tell(sentence: str, *, event: str, progress: Progress | None) -> None:
    """One line on stderr, in the style that was asked for."""
    if isinstance(progress, JsonProgress):
        print(json.dumps({"event": event, "message": sentence}), file=sys.stderr, flush=True)
    else:
        print(sentence, file=sys.stderr, flush=True)
