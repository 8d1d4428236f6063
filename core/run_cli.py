"""The commands about runs: ``export-run``, ``import-run``, ``model-card`` and ``forecast``."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.fit_options import add_fit_options
from core.progress import Progress

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]


def add_run_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    export = command("export-run", _export, "Write a run to one zip, to be imported elsewhere.")
    export.add_argument("--run", type=Path, required=True, help="the run's folder")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.zip")

    take = command("import-run", _import, "Take a run from a zip into a workspace.")
    take.add_argument("--archive", type=Path, required=True, metavar="FILE.zip")
    take.add_argument("--workspace", type=Path)
    take.add_argument("--name", help="what it shall be called here; by default as in the archive")

    card = command("model-card", _model_card, "Write the model card of a run, in Markdown, from what was measured.")
    card.add_argument("--run", type=Path, required=True, help="the run's folder")
    card.add_argument("--out", type=Path, metavar="FILE.md", help="by default model-card.md in the run's folder")

    forecast = command("forecast", _forecast, "Tell what a fit would take, by beginning it for some seconds.")
    add_fit_options(forecast)


def _export(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.training.run_archive import export_run

    out = export_run(options.run, options.out)
    return {"out": str(out), "bytes": out.stat().st_size}


def _import(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.training.run_archive import import_run
    from core.workspace import open_workspace

    run = import_run(options.archive, open_workspace(options.workspace).runs, name=options.name)
    return {"run": str(run.folder)}


def _model_card(options: argparse.Namespace, _progress: Progress) -> dict[str, Any]:
    from core.atomic import write_text
    from core.training.model_card import model_card
    from core.training.run_archive import MODEL_CARD
    from core.training.runs import read_run

    out = options.out or options.run / MODEL_CARD
    write_text(out, model_card(read_run(options.run)))
    return {"out": str(out)}


def _forecast(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.training.forecast import forecast
    from core.training.recipe import load_recipe

    found = forecast(
        data=options.data,
        labels=options.labels,
        recipe=load_recipe(options.recipe, options.set),
        seed=options.seed,
        device=options.device,
        progress=progress,
    )
    return asdict(found)
