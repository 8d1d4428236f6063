"""Large collections for measuring Browse: 803 full-size tiles on disk, and ten thousand rows of the catalogue.

The files are copies of the tiles at hand, each with its own bytes behind the end of its picture: so every one is
another file to the catalogue, is read and decoded and gets thumbnails of its own, though only some forty differ to see.
"""

import itertools
import os
from pathlib import Path

from sqlalchemy import insert, select

from core.catalog.sample import write_sample
from core.progress import SilentProgress
from core.tables import Collection, Tile
from core.workspace import Workspace
from tests.benchmarks.real_tiles import REAL_TILES

LABELLED = 803
"""As many as DeepGlobe's labelled tiles."""

ROWS = 10_000
_UNLABELLED = REAL_TILES.parent / "unlabelled"
_FIRST_NAME = 900_000


def write_tiles(folder: Path, count: int, scratch: Path) -> str:
    """Write ``count`` tiles in DeepGlobe's layout into ``folder``; returns what they are copies of, in words."""
    real = [*sorted(REAL_TILES.glob("*_sat.jpg")), *sorted(_UNLABELLED.glob("*_sat.jpg"))]
    if not real:
        write_sample(scratch, tiles=6, size=2448, seed=0, progress=SilentProgress())
    images = real or sorted(scratch.glob("*_sat.jpg"))
    folder.mkdir(parents=True)
    for number, image in zip(range(count), itertools.cycle(images)):
        name = str(_FIRST_NAME + number)
        (folder / f"{name}_sat.jpg").write_bytes(image.read_bytes() + f"copy {number:08}".encode())
        mask = image.with_name(image.name.replace("_sat.jpg", "_mask.png"))
        if mask.exists():
            os.link(_beside(mask, folder), folder / f"{name}_mask.png")
    return f"{len(images)} {'real' if real else 'drawn'} tiles"


def _beside(mask: Path, folder: Path) -> Path:
    """The mask on the file system of ``folder``, so that it can be linked."""
    copy = folder.parent / f"{folder.name}-masks" / mask.name
    if not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(mask.read_bytes())
    return copy


def add_rows(workspace: Workspace, collection_id: int, count: int) -> None:
    """Add rows to the catalogue until a collection has ``count``: more names for the files that it has."""
    with workspace.database.write() as session:
        rows = list(session.scalars(select(Tile).where(Tile.collection_id == collection_id).order_by(Tile.id)))
        columns = [name for name in Tile.__table__.columns.keys() if name not in {"id", "name"}]  # noqa: SIM118
        more = [
            {**{name: getattr(row, name) for name in columns}, "name": str(_FIRST_NAME + number)}
            for number, row in zip(range(len(rows), count), itertools.cycle(rows))
        ]
        if more:
            session.execute(insert(Tile), more)
        session.get_one(Collection, collection_id).revision += 1
