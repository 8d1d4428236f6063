"""How much is labelled on each tile of a collection, kept in the database by the mark of the file it was counted from.

Counting a raster takes some ten milliseconds, so what did not change is not counted again, not even by another process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from core.classes import CLASS_COUNT, CLASS_NAMES
from core.errors import InputError
from core.labels import raster
from core.labels.instances import count_parts
from core.tables import LabelAmount, Tile
from core.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class LabelAmounts:
    """Of some tiles, in their order: ``instances`` and ``pixels`` by class, both int64 (tiles, 6)."""

    instances: NDArray[np.int64]
    pixels: NDArray[np.int64]


def label_amounts(workspace: Workspace, tiles: Sequence[Tile], painted: set[int]) -> LabelAmounts:
    """Count the labels of ``tiles``; only those with an id in ``painted`` are looked at, the others have none."""
    found = LabelAmounts(*(np.zeros((len(tiles), CLASS_COUNT), np.int64) for _ in range(2)))
    chosen = [(number, tile) for number, tile in enumerate(tiles) if tile.id in painted]
    if not chosen:
        return found
    with workspace.database.read() as session:
        query = select(LabelAmount).where(LabelAmount.tile_id.in_([tile.id for _, tile in chosen]))
        kept = {row.tile_id: row for row in session.scalars(query)}
    counted = []
    for number, tile in chosen:
        mark = _mark(raster.mask_path(workspace, tile))
        row = kept.get(tile.id)
        if row is None or row.mark != mark:
            row = _count(workspace, tile, mark)
            counted.append(row)
        found.instances[number], found.pixels[number] = row.instances, row.pixels
    if counted:
        with workspace.database.write() as session:
            for row in counted:
                session.merge(row)
    return found


def _mark(path: Path) -> str:
    try:
        facts = path.stat()
    except OSError:
        return "none"
    return f"{facts.st_mtime_ns}-{facts.st_size}"


def _count(workspace: Workspace, tile: Tile, mark: str) -> LabelAmount:
    """A mask that cannot be read counts as empty here: the Label page says what is wrong with it."""
    try:
        stored = raster.read(raster.mask_path(workspace, tile), (tile.height, tile.width))
    except InputError:
        stored = None
    if stored is None:
        return LabelAmount(tile_id=tile.id, mark=mark, instances=[0] * CLASS_COUNT, pixels=[0] * CLASS_COUNT)
    counts = count_parts([strip.parts for strip in stored.strips])
    return LabelAmount(
        tile_id=tile.id,
        mark=mark,
        instances=[counts[name].instances for name in CLASS_NAMES],
        pixels=[counts[name].pixels for name in CLASS_NAMES],
    )
