"""The confusion of single kept predictions: counted once, then kept, so that a live difference costs a few reads.

``evaluations/<run>/counts/<switches>/<collection id>/<tile>.json`` holds the matrix and what it was counted from: the
truth's fingerprint and the prediction's own stamp. Where one of the two is another now, the tile is counted anew.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from core.atomic import write_json
from core.evaluation.confusion import Confusion
from core.evaluation.evaluate import MaskPair, count_pair
from core.inference import store
from core.inference.extent import Extent
from core.inference.store import KeptPrediction
from core.inference.switches import Switches
from core.tables import Tile
from core.workspace import Workspace


def kept_confusion(
    workspace: Workspace,
    run: str,
    tile: Tile,
    switches: Switches,
    *,
    count: bool = True,
    within: Extent | None = None,
) -> Confusion | None:
    """The ``(6, 7)`` confusion of the kept prediction of a tile, in pixels; None without prediction or truth.

    It is that of the part of the tile that the run says something of, or of ``within``. With ``count`` off, None too
    where it was not counted before: nothing is decoded then. Raises ``InputError`` when a mask cannot be read or the
    two are of different sizes.
    """
    found = store.kept(workspace, run, tile, switches)
    if found is None or tile.mask_path is None:
        return None
    judged = within or store.extent(workspace.runs / run, tile)
    if judged is None:
        return None
    counted_from = {"truth": tile.mask_fingerprint, "prediction": prediction_stamp(found), "part": asdict(judged)}
    path = workspace.evaluations / run / "counts" / switches.key / str(tile.collection_id) / f"{tile.name}.json"
    before = _read(path)
    if before is not None and before.get("counted_from") == counted_from:
        return np.asarray(before["confusion"], np.int64)
    if not count:
        return None
    matrix = count_pair(MaskPair(tile.name, Path(tile.mask_path), found.path, judged))
    write_json(path, {"counted_from": counted_from, "confusion": matrix.tolist()})
    return matrix


def common_extent(a: Extent, b: Extent) -> Extent | None:
    """The part of a tile that two predictions both cover; None where they share nothing."""
    top, left = max(a.top, b.top), max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - top
    width = min(a.left + a.width, b.left + b.width) - left
    return Extent(top, left, height, width) if height > 0 and width > 0 else None


def read_note(prediction: KeptPrediction) -> dict[str, Any]:
    """What a kept prediction was made from and how long each stage took; empty where it is being removed."""
    return _read(store.note_path(prediction)) or {}


def prediction_stamp(prediction: KeptPrediction) -> str:
    """Tells a kept prediction from one that was made in its place later."""
    note = read_note(prediction)
    return f"{note.get('weights')} {note.get('fingerprint')} {note.get('made')}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content
