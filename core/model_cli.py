"""The commands that make more of trained runs: ``ensemble``, ``fit-offsets``, ``export-onnx`` and ``prune``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.progress import Progress
from core.switch_options import add_switch_options, chosen_switches

Command = Callable[[argparse.Namespace, Progress], dict[str, Any]]
AddCommand = Callable[[str, Command, str], argparse.ArgumentParser]


def add_model_commands(command: AddCommand) -> None:
    """Add the commands to the command line; ``command`` makes one from its name, function and summary."""
    ensemble = command("ensemble", _ensemble, "Make several runs one, their probabilities averaged.")
    ensemble.add_argument("--run", type=Path, action="append", required=True, help="a member's folder; give several")
    ensemble.add_argument(
        "--weights", choices=["equal", "fitted"], default="fitted", help="fitted on the runs' common validation tiles"
    )
    ensemble.add_argument("--data", type=Path, help="where the validation tiles lie; needed for fitted weights")
    ensemble.add_argument("--labels", type=Path, help="folder of <id>_mask.png; by default the masks beside the images")
    ensemble.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    ensemble.add_argument("--out", type=Path, required=True, help="the ensemble's folder, among the runs")

    offsets = command(
        "fit-offsets", _fit_offsets, "Fit a run's thresholds between the classes on its validation tiles."
    )
    offsets.add_argument("--run", type=Path, required=True, help="the run's folder, where they are kept")
    offsets.add_argument("--data", type=Path, required=True, help="where the validation tiles lie")
    offsets.add_argument("--labels", type=Path, help="folder of <id>_mask.png; by default the masks beside the images")
    offsets.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add_switch_options(offsets)

    export = command("export-onnx", _export_onnx, "Write a run as ONNX, from image to probabilities, and try it.")
    export.add_argument("--run", type=Path, required=True, help="the run's folder")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    export.add_argument(
        "--metres-per-pixel", type=float, default=0.5, metavar="M", help="of the images that the file will be given"
    )

    prune = command("prune", _prune, "Prune a run's network, and tell mIoU and time against sparsity.")
    prune.add_argument("--run", type=Path, required=True, help="the run's folder")
    prune.add_argument("--data", type=Path, required=True, help="where the run's validation tiles lie")
    prune.add_argument("--labels", type=Path, help="folder of <id>_mask.png; by default the masks beside the images")
    prune.add_argument("--sparsity", type=_shares, default=(0.3, 0.5, 0.7), metavar="0.3,0.5,0.7")
    prune.add_argument("--kind", choices=["magnitude", "structured"], default="structured")
    prune.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    prune.add_argument("--out", type=Path, required=True, metavar="FILE.json")


def _ensemble(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.inference.ensemble_fit import EnsembleRequest, make_ensemble

    request = EnsembleRequest(
        runs=tuple(options.run),
        out=options.out,
        weighting=options.weights,
        data=options.data,
        labels=options.labels,
        device=options.device,
    )
    return make_ensemble(request, progress)


def _fit_offsets(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.inference.run_offsets import fit_run_offsets

    return fit_run_offsets(
        options.run,
        options.data,
        options.labels,
        switches=chosen_switches(options),
        progress=progress,
        device=options.device,
    )


def _export_onnx(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.inference.onnx_export import export_onnx

    return export_onnx(options.run, options.out, metres_per_pixel=options.metres_per_pixel, progress=progress)


def _prune(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.training.pruning import PruningRequest, prune_run

    request = PruningRequest(
        run=options.run,
        out=options.out,
        kind=options.kind,
        sparsities=options.sparsity,
        data=options.data,
        labels=options.labels,
        device=options.device,
    )
    return prune_run(request, progress)


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of shares such as 0.3,0.5,0.7") from error
