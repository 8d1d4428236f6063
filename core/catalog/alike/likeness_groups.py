"""Groups of tiles that look alike, by their embeddings (see ``looks.py``); they stand for places nobody knows."""

import numpy as np
from sklearn.cluster import KMeans

from core.catalog.alike.looks import known_looks
from core.errors import InputError
from core.workspace import Workspace

_STARTS = 10
"""How often the groups are begun anew; the tightest are taken."""


def likeness_groups(workspace: Workspace, collection_id: int, count: int, *, seed: int = 0) -> dict[int, int]:
    """The group of each tile, by its id: ``count`` groups of tiles that look alike, 0 the largest.

    k-means (Lloyd 1982, begun as by Arthur and Vassilvitskii 2007) on the embeddings; the same looks and seed give the
    same groups. Tiles that nobody looked at are in none. Raises ``InputError`` for a number of groups that cannot be.
    """
    looks = known_looks(workspace, collection_id)
    if not 2 <= count <= len(looks.ids):
        raise InputError(
            f"{len(looks.ids)} tiles that were looked at make 2 to {len(looks.ids)} groups, not {count}; ask for "
            "another number, or let more tiles be looked at."
        )
    found = KMeans(count, n_init=_STARTS, random_state=seed).fit_predict(looks.vectors)
    rank = np.argsort(np.argsort(-np.bincount(found, minlength=count), kind="stable"))
    return dict(zip(looks.ids.tolist(), rank[found].tolist(), strict=True))
