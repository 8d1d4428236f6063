"""The report of a run of a workspace: its kept evaluation, its recipe and pictures of its worst tiles."""

from pathlib import Path
from typing import Any

from core.evaluation.evaluate import MaskPair
from core.evaluation.held_out import held_out
from core.evaluation.report import report_html, write_report
from core.evaluation.report_pictures import TilePictures, worst_tiles
from core.inference import store
from core.inference.switches import Switches
from core.training.runs import RECIPE
from core.workspace import Workspace


def run_report_html(
    workspace: Workspace, *, run: str, collection_id: int, switches: Switches, result: dict[str, Any]
) -> str:
    """The report of a result of ``evaluate_run``, or of a part of it, as one page.

    Raises ``InputError`` when the run is gone or an image or mask cannot be read.
    """
    worst = _worst(workspace, run, collection_id, switches, result)
    return report_html(result, recipe=_recipe(workspace, run), worst=worst)


def write_run_report(
    workspace: Workspace, path: Path, *, run: str, collection_id: int, switches: Switches, result: dict[str, Any]
) -> dict[str, str]:
    """Write that report with CSV and JSON beside it; the files' paths by kind. Raises ``InputError`` likewise."""
    worst = _worst(workspace, run, collection_id, switches, result)
    return write_report(result, path, recipe=_recipe(workspace, run), worst=worst)


def _recipe(workspace: Workspace, run: str) -> str | None:
    """The recipe of a run as TOML; None for an imported run and an ensemble, which have none."""
    path = store.run_folder(workspace, run) / RECIPE
    return path.read_text() if path.is_file() else None


def _worst(
    workspace: Workspace, run: str, collection_id: int, switches: Switches, result: dict[str, Any]
) -> list[TilePictures]:
    folder = store.run_folder(workspace, run)
    pairs, images = {}, {}
    for tile in held_out(workspace, run, collection_id).tiles:
        kept = store.kept(workspace, run, tile, switches)
        if kept is not None:
            pairs[tile.name] = MaskPair(tile.name, Path(str(tile.mask_path)), kept.path, store.extent(folder, tile))
            images[tile.name] = Path(tile.image_path)
    return list(worst_tiles(result, pairs, images))
