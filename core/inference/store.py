"""Predictions that are kept in the workspace: computed once, shown everywhere.

``predictions/<run>/<switches>/<collection id>/<tile>_mask.png`` with a ``<tile>.json`` beside it that says which
image and which weights it was made from. One that was made from others is stale, and is made anew.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from core.atomic import write_json
from core.catalog.images import read_mask, write_mask
from core.classes import ClassRaster
from core.errors import InputError
from core.inference.batch import Switches, predict_tile
from core.inference.predict import AnySegmenter, load_segmenter
from core.progress import Progress
from core.tables import Tile
from core.training.feature_cache import FeatureCache
from core.training.runs import list_runs
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class KeptPrediction:
    """A kept prediction: where its mask lies, and how long it took to make (seconds, from image to raster)."""

    path: Path
    seconds: float


def run_folder(workspace: Workspace, run: str) -> Path:
    """The folder of a run of this workspace. Raises ``InputError`` for a name that no run has."""
    if run not in {entry.name for entry in list_runs(workspace.runs)}:
        raise InputError(f"This workspace has no run '{run}'; train one, or choose another.")
    return workspace.runs / run


def open_segmenter(workspace: Workspace, run: str) -> AnySegmenter:
    """Load a run of this workspace for prediction, on the workspace's cached features.

    Raises ``InputError`` as ``run_folder`` and ``load_segmenter`` do.
    """
    return load_segmenter(run_folder(workspace, run), cache=FeatureCache(workspace.features))


def folder(workspace: Workspace, run: str, switches: Switches, collection_id: int) -> Path:
    """Where the predictions of one run, with one setting of the switches, of one collection lie."""
    return workspace.predictions / run / switches.key / str(collection_id)


def kept(workspace: Workspace, run: str, tile: Tile, switches: Switches) -> KeptPrediction | None:
    """The kept prediction of a tile, or None where there is none or it is stale."""
    place = folder(workspace, run, switches, tile.collection_id)
    note, mask = place / f"{tile.name}.json", place / f"{tile.name}_mask.png"
    if not (note.exists() and mask.exists()):
        return None
    facts = json.loads(note.read_text())
    if facts["fingerprint"] != tile.fingerprint or facts["weights"] != _weights_stamp(workspace, run):
        return None
    return KeptPrediction(mask, float(facts["seconds"]))


def load(prediction: KeptPrediction, tile: Tile) -> ClassRaster:
    """The class raster of a kept prediction, (height, width) uint8."""
    return read_mask(prediction.path, shape=(tile.height, tile.width)).raster


def compute(
    workspace: Workspace, run: str, tile: Tile, switches: Switches, *, segmenter: AnySegmenter, progress: Progress
) -> KeptPrediction:
    """The kept prediction of a tile, made first if need be."""
    found = kept(workspace, run, tile, switches)
    if found is not None:
        return found
    made = predict_tile([segmenter], Path(tile.image_path), switches=switches, progress=progress)
    place = folder(workspace, run, switches, tile.collection_id)
    mask = place / f"{tile.name}_mask.png"
    write_mask(mask, made.raster)
    note = {"fingerprint": tile.fingerprint, "weights": _weights_stamp(workspace, run), "seconds": made.seconds}
    write_json(place / f"{tile.name}.json", note)
    return KeptPrediction(mask, made.seconds)


def _weights_stamp(workspace: Workspace, run: str) -> str:
    """Tells one version of a run's weights from another: runs are written once, so time and size do."""
    status = (workspace.runs / run / "weights.safetensors").stat()
    return f"{status.st_mtime_ns}-{status.st_size}"
