"""How much is labelled: instances and pixels per class, for the tiles that somebody means to train on."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.catalog.images import read_mask
from core.classes import CLASS_COUNT, CLASS_NAMES
from core.labels import raster
from core.labels.instances import ClassCount, count, count_parts
from core.tables import Tile
from core.workspace import Workspace


class LabelSource(StrEnum):
    """Whose labels a run trains on."""

    PAINTED = "painted"  # on the Label page, in this workspace
    GIVEN = "given"  # the masks that came with the tiles


@dataclass(frozen=True, slots=True)
class Amount:
    """What is labelled of one class."""

    instances: int
    pixels: int


def label_path(workspace: Workspace, tile: Tile, source: LabelSource) -> Path | None:
    """The mask of a tile from one source, or None where there is none."""
    if source is LabelSource.GIVEN:
        return Path(tile.mask_path) if tile.mask_path else None
    painted = workspace.labels(tile.collection_id) / f"{tile.name}_mask.png"
    return painted if painted.exists() else None


def amounts(workspace: Workspace, tiles: Iterable[Tile], source: LabelSource) -> dict[str, Amount]:
    """Instances and pixels per class over all given tiles; a tile without labels adds nothing."""
    totals = np.zeros((CLASS_COUNT, 2), np.int64)
    for tile in tiles:
        path = label_path(workspace, tile, source)
        if path is not None:
            count_of = _painted if source is LabelSource.PAINTED else _given
            totals += np.array(count_of(path, path.stat().st_mtime_ns, tile.height, tile.width))
    return {name: Amount(*map(int, totals[index])) for index, name in enumerate(CLASS_NAMES)}


_Amounts = tuple[tuple[int, int], ...]
"""Instances and pixels by class. The time of the file's last change makes a new stroke count anew."""


@lru_cache(maxsize=4096)
def _given(path: Path, _modified: int, height: int, width: int) -> _Amounts:
    return _as_tuples(count(read_mask(path, shape=(height, width)).raster))


@lru_cache(maxsize=4096)
def _painted(path: Path, _modified: int, height: int, width: int) -> _Amounts:
    """Our own masks need no decoding of colours, and the one being painted is in memory with its parts."""
    stored = raster.read(path, (height, width))
    return _NOTHING if stored is None else _as_tuples(count_parts([strip.parts for strip in stored.strips]))


def _as_tuples(counts: dict[str, ClassCount]) -> _Amounts:
    return tuple((counts[name].instances, counts[name].pixels) for name in CLASS_NAMES)


_NOTHING: _Amounts = ((0, 0),) * CLASS_COUNT
