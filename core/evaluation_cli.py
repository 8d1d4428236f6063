"""The commands that judge: ``evaluate``, ``compare``, ``evaluate-run`` and ``leaderboard``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.progress import Progress
from core.switch_options import add_switch_options, chosen_switches

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]

_REPORT = "a page with all figures; CSV and JSON are written beside it"


def add_evaluation_commands(command: AddCommand) -> None:
    """Add those on folders of masks; ``command`` makes one from its name, function and summary."""
    evaluate = command("evaluate", _evaluate, "Score predicted masks against true ones.")
    evaluate.add_argument("--truth", type=Path, required=True)
    evaluate.add_argument("--predictions", type=Path, required=True)
    evaluate.add_argument("--report", type=Path, metavar="FILE.html", help=_REPORT)

    compare = command("compare", _compare, "Compare two folders of predicted masks against the same truth.")
    for name in ("--truth", "--a", "--b"):
        compare.add_argument(name, type=Path, required=True)


def add_workspace_evaluation_commands(command: AddCommand) -> None:
    """Add those that work on a workspace."""
    held_out = command("evaluate-run", _evaluate_run, "Predict and score a run on a collection's held-out tiles.")
    held_out.add_argument("--workspace", type=Path)
    held_out.add_argument("--run", required=True, help="a run's name in the workspace")
    held_out.add_argument("--collection", type=int, required=True)
    held_out.add_argument("--report", type=Path, metavar="FILE.html", help=_REPORT)
    add_switch_options(held_out)

    board = command("leaderboard", _leaderboard, "Rank the evaluated runs of a collection on their common tiles.")
    board.add_argument("--workspace", type=Path)
    board.add_argument("--collection", type=int, help="by default the one indexed last")
    board.add_argument("--run", action="append", default=[], help="only this run; may be repeated")
    board.add_argument(
        "--predicted-unlabelled",
        choices=["counts-as-wrong", "left-out"],
        default="counts-as-wrong",
        help="what becomes of a pixel that has a truth and is predicted unlabelled",
    )


def _evaluate(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.evaluation.evaluate import evaluate_folder
    from core.evaluation.report import write_folder_report

    result = evaluate_folder(options.truth, options.predictions, progress)
    if options.report:
        write_folder_report(result, options.report)
    return result


def _compare(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.evaluation.compare import compare_folders

    return compare_folders(options.truth, options.a, options.b, progress)


def _evaluate_run(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.evaluation.held_out import evaluate_run
    from core.evaluation.run_report import write_run_report
    from core.workspace import open_workspace

    workspace, switches = open_workspace(options.workspace), chosen_switches(options)
    place = {"run": options.run, "collection_id": options.collection, "switches": switches}
    result = evaluate_run(workspace, **place, progress=progress)
    if options.report is None:
        return result
    return {**result, "report": write_run_report(workspace, options.report, **place, result=result)}


def _leaderboard(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.evaluation.leaderboard import collection_leaderboard
    from core.workspace import open_workspace

    return collection_leaderboard(
        open_workspace(options.workspace),
        collection_id=options.collection,
        runs=options.run,
        rule="left out" if options.predicted_unlabelled == "left-out" else "counts as wrong",
    )
