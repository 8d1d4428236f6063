"""What a filter reads that no table holds: the scores of a run on each tile, and likeness to one tile."""

import numpy as np
from numpy.typing import NDArray

from core.catalog.alike.likeness import similar
from core.catalog.alike.looks import known_looks
from core.catalog.keeper import Keeper
from core.catalog.tile_filter import Outside, TileFilter
from core.catalog.tile_table import TileTable
from core.evaluation.tile_scores import scored_runs
from core.workspace import Workspace

_KEEPER = Keeper(16)


def outside(workspace: Workspace, table: TileTable, wanted: TileFilter) -> Outside:
    """What ``wanted`` needs beside ``table``; nothing is read that it does not ask for."""
    scores = alike = None
    if wanted.iou is not None or wanted.order == "iou":
        scores = scores_of(workspace, table, wanted.run)
    if wanted.alike is not None:
        alike = likeness(workspace, table, wanted.alike)
    return Outside(iou=scores, alike=alike)


def judged_runs(workspace: Workspace, table: TileTable) -> dict[str, dict[str, float]]:
    """The runs that were judged on tiles of this collection, newest first: mean IoU by tile name.

    They are read again when an evaluation is written or removed, or a tile changes.
    """
    files = sorted(workspace.evaluations.glob(f"*/{table.collection_id}_*.json"))
    mark = (table.tiles, *((str(path), path.stat().st_mtime_ns) for path in files))
    place = (str(workspace.root), table.collection_id, "judged")
    return _KEEPER.get(place, mark, lambda: scored_runs(workspace, table.collection_id))


def scores_of(workspace: Workspace, table: TileTable, run: str | None) -> NDArray[np.float64] | None:
    """The mean IoU of each tile by ``run`` (None: the newest that was judged), float64 (n,), NaN where it was not.

    None where no run was judged here, or not this one.
    """
    known = judged_runs(workspace, table)
    by_name = known.get(run) if run is not None else next(iter(known.values()), None)
    if by_name is None:
        return None
    return np.array([by_name.get(row.name, np.nan) for row in table.rows], np.float64)


def likeness(workspace: Workspace, table: TileTable, tile_id: int) -> NDArray[np.float64] | None:
    """How like ``tile_id`` each tile looks (see ``Looks.vectors``), float64 (n,), -1 to 1; NaN where nobody looked.

    None where nobody looked at that tile, or it is none of the collection.
    """
    own = table.tiles.number_of.get(tile_id)
    if own is None or tile_id not in known_looks(workspace, table.collection_id).ids:
        return None
    others = similar(workspace, table.collection_id, tile_id)
    found = np.full(len(table.rows), np.nan)
    found[own] = 1.0
    for other, cosine in zip(others.ids.tolist(), others.cosines.tolist(), strict=True):
        number = table.tiles.number_of.get(other)
        if number is not None:
            found[number] = cosine
    return found


def looked_at(workspace: Workspace, table: TileTable) -> int:
    """How many of the collection's tiles the job ``look`` has seen as they are now."""
    return len(known_looks(workspace, table.collection_id).ids)
