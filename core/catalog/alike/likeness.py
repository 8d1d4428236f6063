"""Which tiles look like one of them, by their embeddings (see ``looks.py``)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.catalog.alike.looks import known_looks
from core.errors import InputError
from core.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Similar:
    """The other tiles, the likest first: ``ids`` int64 (n,) and ``cosines`` float32 (n,), -1 to 1.

    The cosine is that of the embeddings less their mean over the collection: 0 means no liker than any two tiles.
    """

    ids: NDArray[np.int64]
    cosines: NDArray[np.float32]


def similar(workspace: Workspace, collection_id: int, tile_id: int) -> Similar:
    """The tiles of a collection in the order of their likeness to one of them.

    Tiles that nobody looked at are left out. Raises ``InputError`` where this one was not looked at.
    """
    looks = known_looks(workspace, collection_id)
    at = np.flatnonzero(looks.ids == tile_id)
    if not len(at):
        raise InputError(f"Nobody looked at tile {tile_id} yet; let all tiles be looked at first, on the Browse page.")
    cosines = looks.vectors @ looks.vectors[at[0]]
    order = np.argsort(-cosines, kind="stable")
    order = order[order != at[0]]
    return Similar(looks.ids[order], cosines[order])
