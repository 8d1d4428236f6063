"""The commands that make something else of trained runs: ``ensemble``, ``export-onnx`` and ``prune``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.progress import Progress

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

    export = command("export-onnx", _export_onnx, "Write a run as ONNX, from image to probabilities, and try it.")
    export.add_argument("--run", type=Path, required=True, help="the run's folder")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    export.add_argument(
        "--metres-per-pixel", type=float, default=0.5, metavar="M", help="of the images that the file will be given"
    )


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


def _export_onnx(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    from core.inference.onnx_export import export_onnx

    return export_onnx(options.run, options.out, metres_per_pixel=options.metres_per_pixel, progress=progress)
