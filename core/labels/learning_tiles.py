"""Which tiles the live head learns from, and which judge it.

The rule. A tile of the split 'val' that has a truth is held out: it never trains the live head. Its truth is what was
painted on it once it is marked done or approved, else the mask that came with it. Every other tile with painted labels
trains, as far as it is painted; masks that came with tiles never train, nor do second opinions.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from core.labels.raster import mask_path
from core.labels.work_status import works
from core.tables import Tile
from core.workspace import Workspace

MAX_HELD_OUT = 24
"""Held-out tiles that are scored after every refit; of more, always the same ones are taken."""

RULE = (
    "Tiles of the split 'val' with a truth (the mask that came with the tile, or labels marked done) are held out: "
    "they judge the live head and never train it."
)
HOW_TO_BE_JUDGED = (
    "There is no score yet: no tile of the split 'val' has a truth; "
    "paint one and mark it done, then it judges the live head and no longer trains it."
)


@dataclass(frozen=True, slots=True)
class HeldOutTile:
    """A whole tile that never trains, and the mask file that it is judged by."""

    tile: Tile
    truth: Path


@dataclass(frozen=True, slots=True)
class LearningTiles:
    """The tiles of one collection by what they are for.

    ``held_out`` are the ones to score, at most ``MAX_HELD_OUT`` of the ``held_out_in_all``; no id of ``never_train`` is
    among ``training``.
    """

    training: tuple[Tile, ...]
    held_out: tuple[HeldOutTile, ...]
    never_train: frozenset[int]

    @property
    def held_out_in_all(self) -> int:
        """How many tiles are held out, scored or not."""
        return len(self.never_train)


def learning_tiles(workspace: Workspace, collection_id: int) -> LearningTiles:
    """Apply the rule to a collection as it stands now."""
    folder = workspace.labels(collection_id)
    painted = {path.name.removesuffix("_mask.png") for path in folder.glob("*_mask.png")}
    finished = {tile_id for tile_id, work in works(workspace, collection_id).items() if work.status.finished}
    columns = select(Tile.id, Tile.name, Tile.split, Tile.mask_path, Tile.fingerprint).order_by(Tile.id)
    training: list[int] = []
    truths: dict[int, Path | None] = {}  # None: what is painted
    prints: dict[int, str] = {}
    with workspace.database.read() as session:
        for tile_id, name, split, given, fingerprint in session.execute(
            columns.where(Tile.collection_id == collection_id)
        ).tuples():
            is_painted = name in painted
            if split == "val" and ((is_painted and tile_id in finished) or given is not None):
                truths[tile_id] = None if is_painted and tile_id in finished else Path(str(given))
                prints[tile_id] = fingerprint
            elif is_painted:
                training.append(tile_id)
        # By fingerprint: as good as drawn by lot, and the same every time.
        scored = sorted(truths, key=lambda tile_id: prints[tile_id])[:MAX_HELD_OUT]
        rows = {tile_id: session.get_one(Tile, tile_id) for tile_id in (*training, *scored)}
    held_out = (HeldOutTile(rows[i], truths[i] or mask_path(workspace, rows[i])) for i in scored)
    return LearningTiles(tuple(rows[i] for i in training), tuple(held_out), frozenset(truths))
