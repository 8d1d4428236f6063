"""Collections for the tests of splits: rows in the catalogue without a file behind them."""

from pathlib import Path

import numpy as np

from core.catalog.catalogue import collection
from core.catalog.tile_table import TileTable, tile_table
from core.tables import Collection, Tile
from core.workspace import Workspace, open_workspace


def workspace_of(folder: Path, count: int, *, masks: int | None = None) -> Workspace:
    """A workspace with collection 1 of ``count`` tiles '0', '1', ..., the first ``masks`` of them (or all) with masks.

    Their class shares are drawn, with rare classes; every fourth tile validates.
    """
    workspace = open_workspace(folder)
    shares = np.random.default_rng(0).dirichlet([0.3, 1.5, 0.3, 0.4, 0.1, 0.3], count)
    with workspace.database.write() as session:
        session.add(Collection(id=1, name="land", root=str(folder / "land")))
        session.flush()
        for number in range(count):
            masked = masks is None or number < masks
            session.add(
                Tile(
                    id=number + 1,
                    collection_id=1,
                    name=str(number),
                    image_path=f"{number}_sat.jpg",
                    mask_path=f"{number}_mask.png" if masked else None,
                    width=64,
                    height=48,
                    metres_per_pixel_x=0.5,
                    metres_per_pixel_y=0.5,
                    fingerprint=f"image {number}",
                    mask_fingerprint=f"mask {number}" if masked else None,
                    split="val" if number % 4 == 1 else "train",
                    split_source="rule",
                    class_shares=shares[number].round(6).tolist() if masked else None,
                )
            )
    return workspace


def table_of(workspace: Workspace) -> TileTable:
    """The table of collection 1 as it is now."""
    return tile_table(workspace, collection(workspace, 1))
