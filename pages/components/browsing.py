"""What the views of Browse share: the collection as it is filtered, and the tile that is open."""

from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.catalog.tile_filter import Outside, TileFilter
from core.catalog.tile_table import TileTable
from core.tables import Collection, Tile
from core.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Browsing:
    """One look at a collection: its table, the filter, the row numbers that pass in order (intp), the open tile.

    ``outside`` is what the filter read beside the table.
    """

    workspace: Workspace
    collection: Collection
    table: TileTable
    filter: TileFilter
    order: NDArray[np.intp]
    opened: Tile | None
    outside: Outside = field(default_factory=Outside)

    @property
    def chosen(self) -> list[Tile]:
        """The tiles that pass, in order."""
        rows = self.table.rows
        return [rows[number] for number in self.order]


def open_tile(tile_id: int | None) -> None:
    """Make a tile the one that is open, in the address; None closes it."""
    if tile_id is None:
        st.query_params.pop("tile", None)
    else:
        st.query_params["tile"] = str(tile_id)


def opened_id() -> int | None:
    """The id that the address names, whether or not there is such a tile."""
    value = st.query_params.get("tile", "")
    return int(value) if value.isdecimal() and len(value) < 12 else None
