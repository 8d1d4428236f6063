"""The class areas of a collection by a run's kept predictions and by what its held-out tiles say of its errors."""

import csv
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.atomic import write_json
from core.catalog.catalogue import collection, tiles
from core.catalog.images import read_mask
from core.catalog.maps.mosaic import Mosaic
from core.catalog.splits import SPLITS
from core.errors import InputError
from core.evaluation.areas import STRATA, estimate_areas, stratum_pixels
from core.evaluation.confusion import Confusion
from core.evaluation.evaluate import tile_confusion
from core.evaluation.held_out import kept_evaluation
from core.evaluation.mapped_areas import Ring, pixels_inside, square_metres, total_area, touched
from core.inference import store
from core.inference.switches import Switches
from core.progress import Progress
from core.tables import Tile, now
from core.workspace import Workspace

CSV_COLUMNS = (
    "area",
    "class",
    "counted_ha",
    "estimated_ha",
    "low_over_tiles_ha",
    "high_over_tiles_ha",
    "low_by_formula_ha",
    "high_by_formula_ha",
    "judged_tiles",
)


def areas_of_run(
    workspace: Workspace,
    *,
    run: str,
    collection_id: int,
    switches: Switches,
    progress: Progress,
    split: str | None = None,
    tile: str | None = None,
) -> dict[str, Any]:
    """The class areas of a collection, of one of its splits or of one tile, as ``AreaEstimate.as_dict``.

    ``measured_on`` is added: run, collection, area, switches, and how many of its tiles have a prediction. Raises
    ``InputError`` for a run, collection, split or tile that is not there, where the run was not evaluated with these
    switches, and where no tile is predicted with them.
    """
    place = _chosen(tiles(workspace, collection(workspace, collection_id).id), split, tile)
    matrices = judged_matrices(kept_evaluation(workspace, run, collection_id, switches))
    if not matrices:
        raise InputError(
            f"Run '{run}' was not evaluated on this collection with these switches, so nothing is known of its map's "
            "errors; run evaluate-run first."
        )
    pixels = mapped_pixels(workspace, run, place, switches, progress)
    if not pixels:
        raise InputError(f"None of these tiles is predicted by '{run}' with these switches; predict them first.")
    predicted = [row for row in place if row.id in pixels]
    estimate = estimate_areas(total_area(pixels, predicted), matrices)
    measured_on = {
        "run": run,
        "collection": collection(workspace, collection_id).name,
        "area": tile or split or "whole collection",
        "switches": switches.facts,
        "tiles": len(place),
        "predicted": len(predicted),
        "day": now().isoformat(timespec="minutes"),
    }
    return {**estimate.as_dict(), "measured_on": measured_on}


def judged_matrices(result: Mapping[str, Any] | None) -> list[Confusion]:
    """The confusion of each held-out tile of a kept evaluation; none where there is no evaluation or no truth."""
    rows = [] if result is None else result["per_tile"]
    return [matrix for matrix in map(tile_confusion, rows) if matrix.any()]


def mapped_pixels(
    workspace: Workspace, run: str, chosen: Sequence[Tile], switches: Switches, progress: Progress
) -> dict[int, NDArray[np.int64]]:
    """Pixels ``(7,)`` mapped as each of ``STRATA`` by tile id, of the tiles whose prediction is kept and not stale.

    What was counted is kept in the workspace by what the prediction was made from, and not counted again.
    """
    found: dict[int, NDArray[np.int64]] = {}
    if not chosen:
        return found
    path = workspace.evaluations / run / "mapped" / switches.key / f"{chosen[0].collection_id}.json"
    known = _counted_before(path)
    counted = dict(known)
    for index, tile in enumerate(chosen):
        progress.update(index, len(chosen), f"Counting tile {tile.name}")
        kept = store.kept(workspace, run, tile, switches)
        if kept is None:
            continue
        made = sha256(store.note_path(kept).read_bytes()).hexdigest()[:16]
        if counted.get(tile.name, {}).get("made") != made:
            raster = read_mask(kept.path, shape=(tile.height, tile.width)).raster
            counted[tile.name] = {"made": made, "pixels": stratum_pixels(raster).tolist()}
        found[tile.id] = np.array(counted[tile.name]["pixels"], np.int64)
    if counted != known:
        write_json(path, counted)
    progress.update(len(chosen), len(chosen), "Counted")
    return found


def mapped_inside(
    workspace: Workspace, run: str, mosaic: Mosaic, ring: Ring, switches: Switches
) -> NDArray[np.float64]:
    """Square metres ``(7,)`` mapped as each of ``STRATA`` inside a polygon of a mosaic, where tiles are predicted.

    Raises ``InputError`` for a ring that is no polygon.
    """
    total = np.zeros(len(STRATA))
    for place in touched(mosaic, ring):
        kept = store.kept(workspace, run, place.tile, switches)
        if kept is not None:
            total += square_metres(pixels_inside(store.load(kept, place.tile), place, ring), place.tile)
    return total


def csv_text(estimates: Mapping[str, Mapping[str, Any]]) -> str:
    """Estimates (``AreaEstimate.as_dict``) by the name of their area, as CSV with ``CSV_COLUMNS``."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for area, estimate in estimates.items():
        for one in estimate["classes"]:
            figures = (one["counted"], one["estimated"], *one["over_tiles"], *one["by_formula"])
            writer.writerow([_as_text(area), one["name"], *(round(x, 4) for x in figures), estimate["judged_tiles"]])
    return stream.getvalue()


def _chosen(members: Sequence[Tile], split: str | None, name: str | None) -> list[Tile]:
    if split is not None and split not in SPLITS:
        raise InputError(f"There is no split '{split}'; choose one of {', '.join(SPLITS)}.")
    found = [row for row in members if (split is None or row.split == split) and (name is None or row.name == name)]
    if not found:
        raise InputError("This collection has no such tile; see its names on the Browse page.")
    return found


def _counted_before(path: Path) -> dict[str, dict[str, Any]]:
    """By tile name the digest of its prediction's note (``made``) and its ``pixels``; nothing of a damaged file."""
    try:
        kept = json.loads(path.read_text())
        return {str(name): one for name, one in kept.items() if len(one["pixels"]) == len(STRATA) and one["made"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _as_text(name: str) -> str:
    """A name that a spreadsheet would take for a formula is told to be text."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name
