"""In which layout the tiles of a collection lie on its map: by name, by likeness, or by class share.

All of them fill the same grid, so that a change of the layout moves tiles and nothing else. Each has a version, which
changes exactly when a tile comes to lie elsewhere or the folder was indexed: browsers keep map tiles under it.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from core.catalog import catalogue
from core.catalog.alike.layouts import CLASS_SHARE, LIKENESS, kept_layout
from core.catalog.catalogue import UnknownIdError
from core.catalog.keeper import Keeper
from core.catalog.maps.mosaic import Mosaic, lay_out
from core.catalog.routes import map_version
from core.catalog.tile_table import TileTable, tile_table
from core.tables import Collection
from core.workspace import Workspace

BY_NAME = "name"
LAYOUTS = (BY_NAME, LIKENESS, CLASS_SHARE)

_KEPT_VERSIONS = 4
_KEEPER = Keeper(8)
_BY_VERSION: "dict[tuple[str, int, str, str], Laid]" = {}


@dataclass(frozen=True, eq=False)
class MapLayout:
    """``order`` is intp (n,): which row of the table lies in each place, row by row from the upper left."""

    order: NDArray[np.intp]
    version: str


@dataclass(frozen=True, eq=False)
class Laid:
    """A collection with its tiles, their layout, and their places in it."""

    collection: Collection
    table: TileTable
    layout: MapLayout
    mosaic: Mosaic


class NoLayoutError(UnknownIdError):
    """There is no such layout of these tiles; the sentence says why."""


def map_layout(workspace: Workspace, collection: Collection, table: TileTable, kind: str) -> MapLayout:
    """The layout of that kind as it is now. Raises ``NoLayoutError`` where there is none (yet)."""
    if kind == BY_NAME:
        return MapLayout(np.arange(len(table.rows), dtype=np.intp), map_version(collection))
    if kind not in LAYOUTS:
        raise NoLayoutError(f"A map is laid out by {', '.join(LAYOUTS)}, not by {kind[:20]!r}.")
    kept = kept_layout(workspace, collection, kind)
    if kept.ids is None:
        raise NoLayoutError(kept.why or "There is no such layout.")
    order = _rows_of(table, kept.ids)
    digest = blake2b(np.ascontiguousarray(order, np.int32).tobytes(), digest_size=6).hexdigest()
    return MapLayout(order, f"{map_version(collection)}-{digest}")


def laid_out(workspace: Workspace, collection: Collection, kind: str) -> tuple[TileTable, MapLayout, Mosaic]:
    """The tiles, their layout and their places, which are kept while they hold.

    Raises ``NoLayoutError`` as ``map_layout``.
    """
    table = tile_table(workspace, collection)
    layout = map_layout(workspace, collection, table, kind)
    place, mark = (str(workspace.root), collection.id, kind), (table.tiles, layout.version)
    return table, layout, _KEEPER.get(place, mark, lambda: lay_out(table.rows, layout.order))


def laid_out_as(workspace: Workspace, collection_id: int, kind: str, version: str) -> Laid:
    """A collection as it was laid out in ``version``, where that is kept, else as it is now.

    A version names what lies where, for ever: nothing is asked of the database for a known one, which is three quarters
    of the time of a map tile that is drawn from memory. Raises as ``laid_out``, and ``UnknownIdError``.
    """
    place = (str(workspace.root), collection_id, kind, version)
    known = _BY_VERSION.get(place)
    if known is not None:
        return known
    shown = catalogue.collection(workspace, collection_id)
    now = Laid(shown, *laid_out(workspace, shown, kind))
    if now.layout.version == version:
        while len(_BY_VERSION) >= _KEPT_VERSIONS:
            _BY_VERSION.pop(next(iter(_BY_VERSION)), None)
        _BY_VERSION[place] = now
    return now


def _rows_of(table: TileTable, ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """An order of ids as one of rows; of tiles that came or went meanwhile, these are left out and those go last."""
    by_id = np.argsort(table.tiles.ids)
    sorted_ids = table.tiles.ids[by_id]
    known = ids[np.isin(ids, sorted_ids)]
    rows = by_id[np.searchsorted(sorted_ids, known)]
    return np.concatenate([rows, np.setdiff1d(np.arange(len(by_id)), rows)])
