"""What a workspace keeps of learning curves, regions left out and ablations, and the commands that make them.

``evaluations/<run>/learning-curve`` and ``evaluations/<run>/hold-out`` have a file for each collection and state of its
tiles, its masks and the run's recipe: where one changes, the study counts as not measured. Any ablation in
``evaluations/studies`` is shown, also one that was made elsewhere.
"""

import json
from pathlib import Path
from shlex import quote
from typing import Any

from core.catalog.catalogue import tiles
from core.errors import InputError
from core.evaluation import hold_out
from core.tables import Collection
from core.training import ablation, learning_curve
from core.training.provenance import digest
from core.training.runs import RECIPE
from core.workspace import Workspace

CURVE_KIND = "learning-curve"
MOST_BYTES = 64 * 2**20
"""A larger file is none of ours."""

A10_SIGHTS = {"patches": "sight=patches,resolution_m=0.5", "resized": "sight=resized,resolution_m=2.390625"}
"""Tiles cut into patches at full resolution, or resized as a whole to 512 pixels."""
A10_DECODERS = ("unet", "fpn", "deeplabv3plus", "pspnet")


def learning_curve_file(workspace: Workspace, run: str, collection_id: int) -> Path:
    """Where the learning curve of a run's recipe on a collection as it is now is kept."""
    return workspace.evaluations / run / "learning-curve" / _name(workspace, run, collection_id)


def hold_out_file(workspace: Workspace, run: str, collection_id: int) -> Path:
    """Where the regions left out with a run's recipe on a collection as it is now are kept."""
    return workspace.evaluations / run / "hold-out" / _name(workspace, run, collection_id)


def studies_folder(workspace: Workspace) -> Path:
    """Where ablations are shown from."""
    return workspace.evaluations / "studies"


def learning_curve_arguments(workspace: Workspace, run: str, chosen: Collection) -> list[str]:
    """The command line of a learning curve with a run's recipe, on all tiles of a collection that have a mask."""
    out = learning_curve_file(workspace, run, chosen.id)
    return [CURVE_KIND, *_recipe_of(workspace, run, chosen), "--out", str(out)]


def hold_out_arguments(workspace: Workspace, run: str, chosen: Collection, *, clusters: int) -> list[str]:
    """The command line of regions left out with a run's recipe, on all tiles of a collection that have a mask."""
    out = hold_out_file(workspace, run, chosen.id)
    return [hold_out.KIND, *_recipe_of(workspace, run, chosen), "--out", str(out), "--clusters", str(clusters)]


def a10_command(workspace: Workspace, chosen: Collection) -> str:
    """The ablation that compares resized tiles with patches under four decoders: hours on a GPU."""
    out = studies_folder(workspace) / "resize-against-patches.json"
    first, *others = [f"decoder={decoder},{sight}" for sight in A10_SIGHTS.values() for decoder in A10_DECODERS]
    lines = [
        f"python -m core ablate --recipe decoder --data {quote(chosen.root)} --out {quote(str(out))} --folds 5",
        *(f"--set {setting}" for setting in first.split(",")),
        *(f"--vary {settings}" for settings in others),
    ]
    return " \\\n  ".join(lines)


def kept_learning_curve(workspace: Workspace, run: str, collection_id: int) -> dict[str, Any] | None:
    """The kept learning curve, with the points that are there so far; None where there is none."""
    return _read(learning_curve_file(workspace, run, collection_id), learning_curve.FORMAT)


def kept_hold_out(workspace: Workspace, run: str, collection_id: int) -> dict[str, Any] | None:
    """The kept result of regions left out; None where there is none."""
    return _read(hold_out_file(workspace, run, collection_id), hold_out.FORMAT)


def kept_ablations(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """The finished ablation tables in ``studies_folder`` by the name of their file; other files are left out."""
    found = {path.stem: _read(path, ablation.FORMAT) for path in sorted(studies_folder(workspace).glob("*.json"))}
    return {name: study for name, study in found.items() if study is not None and study["table"]}


def _name(workspace: Workspace, run: str, collection_id: int) -> str:
    """Named by the collection, and by a digest of its images and masks and of the recipe."""
    inputs: dict[str, Any] = {
        row.name: [row.fingerprint, row.mask_fingerprint] for row in tiles(workspace, collection_id)
    }
    recipe = workspace.runs / run / RECIPE
    written = recipe.read_text() if recipe.is_file() else ""
    return f"{collection_id}-{digest({'tiles': inputs, 'recipe': written})}.json"


def _recipe_of(workspace: Workspace, run: str, chosen: Collection) -> list[str]:
    """A run's recipe, without the tiles that it names: others are left out here."""
    recipe = workspace.runs / run / RECIPE
    if not recipe.is_file():
        raise InputError(f"Run '{run}' has no recipe that could be tried again; choose one that was trained here.")
    return ["--data", chosen.root, "--recipe", str(recipe), "--set", "train_tiles=", "--set", "validation_tiles="]


def _read(path: Path, form: str) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        found: dict[str, Any] = json.loads(path.read_text())
        return found if found["format"] == form else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
