"""The splits that tiles came with, and the named split that they follow in their place.

What a tile came with (``core/catalog/splits.py``) is kept aside while it follows a named split, and is brought up to
date by every index, so that going back gives what the folder says today.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.catalog.splits import LEFT_OUT
from core.tables import CameSplit, SplitMember, Tile

PLAN = "plan"
"""``Tile.split_source`` of a tile that follows a named split."""


def came_split() -> ColumnElement[str]:
    """The column of the splits that tiles came with, for a query on ``Tile``."""
    kept = select(CameSplit.split).where(CameSplit.tile_id == Tile.id).scalar_subquery()
    return func.coalesce(kept, Tile.split)


def put_back(session: Session, collection_id: int, rows: Sequence[Tile] | None = None) -> None:
    """Give tiles of a collection the splits they came with, those of ``rows`` or all; within the caller's transaction.

    ``rows`` are changed as objects; without them the table is, and objects that were read before are out of date.
    """
    if rows is not None:
        followers = {row.id: row for row in rows if row.split_source == PLAN}
        for came in session.scalars(select(CameSplit).where(CameSplit.tile_id.in_(followers))):
            row = followers[came.tile_id]
            row.split, row.split_source = came.split, came.source
            session.delete(came)
        return
    members = [Tile.collection_id == collection_id, Tile.split_source == PLAN]
    source = select(CameSplit.source).where(CameSplit.tile_id == Tile.id).scalar_subquery()
    _run(session, update(Tile).where(*members).values(split=came_split(), split_source=source))
    of_collection = select(Tile.id).where(Tile.collection_id == collection_id)
    _run(session, delete(CameSplit).where(CameSplit.tile_id.in_(of_collection)))


def follow(session: Session, collection_id: int, plan_id: int, names: Sequence[str] | None = None) -> None:
    """Let tiles of a collection follow a named split, those of ``names`` or all; within the caller's transaction.

    Tiles that it does not name are left out. Tiles that follow one already keep what they came with.
    """
    members: list[ColumnElement[bool]] = [Tile.collection_id == collection_id]
    if names is not None:
        members.append(Tile.name.in_(names))
    session.flush()
    fresh = select(Tile.id, Tile.split, Tile.split_source).where(*members, Tile.split_source != PLAN)
    session.execute(insert(CameSplit).from_select(["tile_id", "split", "source"], fresh))
    named = select(SplitMember.split).where(SplitMember.plan_id == plan_id, SplitMember.tile_name == Tile.name)
    split = func.coalesce(named.scalar_subquery(), LEFT_OUT)
    _run(session, update(Tile).where(*members).values(split=split, split_source=PLAN))


def _run(session: Session, statement: object) -> None:
    """Execute a change of many rows without looking at the objects in memory."""
    session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
