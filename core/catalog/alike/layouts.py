"""The orders in which a collection's tiles lie on its map: by likeness, and by class share.

An order puts the tiles row by row onto the grid of ``mosaic.lay_out``. By likeness it takes seconds to find
(``likeness_grid.py``), so the job ``python -m core look`` does it and keeps the order in the workspace. By class share
an order is only a sort, made when it is asked for.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.atomic import write_text
from core.catalog.keeper import Keeper
from core.catalog.tile_table import TileTable, tile_table
from core.tables import Collection, Tile
from core.workspace import Workspace

LIKENESS, CLASS_SHARE = "likeness", "class share"
KINDS = (LIKENESS, CLASS_SHARE)

RULES = "1"
"""Kept with an order; a change in how it is made changes it."""

_KEEPER = Keeper(16)


@dataclass(frozen=True, eq=False)
class KeptLayout:
    """The order of a layout: int64 (n,) tile ids, row by row; or None, and ``why`` there is none, in a sentence."""

    ids: NDArray[np.int64] | None
    why: str | None = None


def kept_layout(workspace: Workspace, collection: Collection, kind: str) -> KeptLayout:
    """The order of a collection's tiles by one of ``KINDS``, ready to be shown; cheap enough for every rerun.

    Raises ``ValueError`` for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no layout {kind!r}; choose one of {', '.join(KINDS)}")
    table = tile_table(workspace, collection)
    if kind == CLASS_SHARE:
        return _KEEPER.get((str(workspace.root), collection.id), (table.mark,), lambda: _by_class_share(table))
    path = _path(workspace, collection.id)
    try:
        state = path.stat()
    except FileNotFoundError:
        return KeptLayout(None, "The tiles were not looked at yet.")
    return _KEEPER.get((str(path),), (table.tiles, state.st_mtime_ns, state.st_size), lambda: _kept(path, table.rows))


def grid_by_class_share(shares: NDArray[np.float64]) -> NDArray[np.intp]:
    """Tiles by the class that covers most of them, and of one class by its share, the greatest first.

    ``shares`` is float64 (n, 6), NaN where nothing is known of a tile: those come last. Returns intp (n,), the row of
    ``shares`` for each cell. Equals stay in their order.
    """
    known = np.isfinite(shares).all(axis=1) & (np.nansum(shares, axis=1) > 0)
    filled = np.where(known[:, None], shares, 0)
    dominant = np.where(known, filled.argmax(axis=1), shares.shape[1])
    return np.lexsort((-filled.max(axis=1), dominant))


def keep_likeness(workspace: Workspace, collection: Collection, ids: Sequence[int]) -> None:
    """Keep the order by likeness of a collection's tiles, by their ids; those that ``ids`` lacks come last.

    Raises ``NotSavedError`` when it cannot be written.
    """
    rows = tile_table(workspace, collection).rows
    known = set(ids)
    rest = [tile.id for tile in rows if tile.id not in known]
    kept = {"rules": RULES, "images": _digest(rows), "order": [*ids, *rest]}
    write_text(_path(workspace, collection.id), json.dumps(kept))


def _by_class_share(table: TileTable) -> KeptLayout:
    """By the given masks, else what was labelled here, else what the run said whose facts are kept."""
    shares = np.where(np.isfinite(table.shares), table.shares, table.opinions.shares)
    if not np.isfinite(shares).any():
        return KeptLayout(None, "Nothing is known of the classes on these tiles: none has a mask, labels or facts.")
    return KeptLayout(table.tiles.ids[grid_by_class_share(shares)])


def _path(workspace: Workspace, collection_id: int) -> Path:
    return workspace.looks(collection_id) / "by-likeness.json"


def _kept(path: Path, rows: tuple[Tile, ...]) -> KeptLayout:
    content = json.loads(path.read_text("utf-8"))
    if content["rules"] != RULES or content["images"] != _digest(rows):
        return KeptLayout(None, "Tiles came, went or changed since they were laid out by likeness.")
    return KeptLayout(np.array(content["order"], np.int64))


def _digest(rows: tuple[Tile, ...]) -> str:
    """Tells the tiles and their images from any others."""
    return hashlib.sha256("\n".join(f"{tile.id} {tile.fingerprint}" for tile in rows).encode()).hexdigest()
