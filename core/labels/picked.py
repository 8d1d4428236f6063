"""Tiles that somebody picked by hand to be labelled next, in that order; kept in the workspace."""

from collections.abc import Sequence

from sqlalchemy import select

from core.tables import Setting, Tile
from core.workspace import Workspace


def pick(workspace: Workspace, collection_id: int, tile_ids: Sequence[int]) -> list[int]:
    """Make these tiles the picked ones of a collection, an empty list for none; returns those that were before."""
    before = picked(workspace, collection_id)
    with workspace.database.write() as session:
        session.merge(Setting(key=_key(collection_id), value={"tiles": list(dict.fromkeys(tile_ids))}))
    return before


def picked(workspace: Workspace, collection_id: int) -> list[int]:
    """The ids of the tiles that were picked and are still there, in order."""
    with workspace.database.read() as session:
        row = session.get(Setting, _key(collection_id))
        if row is None or not row.value["tiles"]:
            return []
        there = set(session.scalars(select(Tile.id).where(Tile.collection_id == collection_id)))
    return [tile_id for tile_id in row.value["tiles"] if tile_id in there]


def _key(collection_id: int) -> str:
    return f"picked-{collection_id}"
