"""Soft locks: who labels a tile just now, so that two people do not paint over each other.

A lock belongs to one browser tab, since one person may have two. It ends ``LOCK_SECONDS`` after it was last renewed,
so one whose browser died is free again by itself; the canvas renews its own every ``RENEW_SECONDS``, and each stroke
does too. It is soft: anybody may take a tile over, and the tab that lost it is told with its next renewal or stroke.
No stroke is ever lost to a lock: one that is refused stays in the browser that drew it.

Every change looks and writes in one immediate transaction, so of two that come at once exactly one wins.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.labels.requests import RefusedError
from core.tables import Tile, TileLock, now
from core.workspace import Workspace

LOCK_SECONDS = 30
RENEW_SECONDS = 10
"""How often the canvas renews: two renewals may go missing before the lock ends."""
LOCKED = 423
"""The HTTP status of a refusal (RFC 4918, section 11.3)."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a tile, in which tab, since when and until when (UTC)."""

    annotator: str
    tab: str
    since: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """How a request for a lock ended: ``holder`` is who has it now, ``mine`` whether that is who asked."""

    mine: bool
    holder: Holder


def take(workspace: Workspace, tile_id: int, opinion: str, *, annotator: str, tab: str) -> Held:
    """Take a free lock, or renew one's own; another tab's stays with it."""
    with workspace.database.write() as session:
        row = _live(session, tile_id, opinion)
        if row is not None and row.tab != tab:
            return Held(mine=False, holder=_holder(row))
        return Held(mine=True, holder=_hold(session, tile_id, opinion, annotator=annotator, tab=tab))


def take_over(workspace: Workspace, tile_id: int, opinion: str, *, annotator: str, tab: str) -> Held:
    """Take the lock whoever holds it."""
    with workspace.database.write() as session:
        return Held(mine=True, holder=_hold(session, tile_id, opinion, annotator=annotator, tab=tab))


def release(workspace: Workspace, tile_id: int, opinion: str, *, tab: str) -> None:
    """Give one's own lock back; another tab's is left alone."""
    with workspace.database.write() as session:
        row = session.get(TileLock, (tile_id, opinion))
        if row is not None and row.tab == tab:
            session.delete(row)


def holder(workspace: Workspace, tile_id: int, opinion: str) -> Holder | None:
    """Who holds the tile now; None where it is free."""
    with workspace.database.read() as session:
        row = _live(session, tile_id, opinion)
    return None if row is None else _holder(row)


def holders(workspace: Workspace, collection_id: int, *, opinion: str = "") -> dict[int, Holder]:
    """Who holds which tile of a collection now, by the tile's id."""
    query = (
        select(TileLock)
        .join(Tile, Tile.id == TileLock.tile_id)
        .where(Tile.collection_id == collection_id, TileLock.opinion == opinion, TileLock.expires > now())
    )
    with workspace.database.read() as session:
        return {row.tile_id: _holder(row) for row in session.scalars(query)}


def check(workspace: Workspace, tile_id: int, opinion: str, annotator: str, tab: str | None) -> None:
    """Let an edit pass, or raise ``RefusedError`` (423) with a sentence where another tab holds the tile.

    An edit takes a free lock and renews its own. A script sends no ``tab``: it passes while nobody holds the tile, and
    takes no lock.
    """
    with workspace.database.read() as session:
        row = _live(session, tile_id, opinion)
    fresh = timedelta(seconds=LOCK_SECONDS - RENEW_SECONDS)
    if row is not None and row.tab == tab and row.expires - now() > fresh:
        return  # ours and renewed a moment ago: a fast brush need not write twice a stroke
    if row is None and tab is None:
        return
    if tab is not None:
        held = take(workspace, tile_id, opinion, annotator=annotator, tab=tab)
        if held.mine:
            return
        raise _refusal(held.holder, annotator)
    if row is not None:
        raise _refusal(_holder(row), annotator)


def check_again(session: Session, tile_id: int, opinion: str, annotator: str, tab: str | None) -> None:
    """As ``check``, in the transaction that writes the edit: somebody may have taken the tile over since.

    Raises ``RefusedError`` (423) where another tab holds the tile now.
    """
    row = _live(session, tile_id, opinion)
    if row is not None and row.tab != tab:
        raise _refusal(_holder(row), annotator)


def check_person(workspace: Workspace, tile_id: int, opinion: str, annotator: str) -> None:
    """Let an edit from a page pass, which knows no tab: raise ``RefusedError`` where another person holds the tile."""
    held_by = holder(workspace, tile_id, opinion)
    if held_by is not None and held_by.annotator != annotator:
        raise _refusal(held_by, annotator)


def _refusal(held_by: Holder, annotator: str) -> RefusedError:
    who = (
        "You have this tile open in another tab"
        if held_by.annotator == annotator
        else f"{held_by.annotator} is labelling this tile"
    )
    return RefusedError(LOCKED, f"{who}; your stroke was not saved. Take the tile over, or choose another.")


def _live(session: Session, tile_id: int, opinion: str) -> TileLock | None:
    row = session.get(TileLock, (tile_id, opinion))
    return row if row is not None and row.expires > now() else None


def _hold(session: Session, tile_id: int, opinion: str, *, annotator: str, tab: str) -> Holder:
    """Write the lock as this tab's; one that was its own already and live keeps the time it was taken."""
    moment = now()
    row = session.get(TileLock, (tile_id, opinion))
    if row is None:
        row = TileLock(tile_id=tile_id, opinion=opinion, annotator=annotator, tab=tab, taken=moment, expires=moment)
        session.add(row)
    elif row.tab != tab or row.expires <= moment:
        row.taken = moment
    row.annotator, row.tab = annotator, tab
    row.expires = moment + timedelta(seconds=LOCK_SECONDS)
    return _holder(row)


def _holder(row: TileLock) -> Holder:
    return Holder(row.annotator, row.tab, row.taken, row.expires)
