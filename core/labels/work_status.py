"""How far the labelling of each tile is: new, in work, done, approved, or sent back with a comment.

``STEPS`` says what a person may choose from where. Beside that, a change of the labels moves a tile by itself: any
stroke, undo or redo on a tile that is not in work puts it in work. So 'done' and 'approved' always mean the labels as
they lie there, never an older state of them. Whoever made the labels may approve them too; the page then says so.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.tables import LabelOperation, Stroke, Tile, TileWork, now
from core.workspace import Workspace

MAX_COMMENT_LETTERS = 500


class Status(StrEnum):
    """How far a tile is."""

    NEW = "new"
    IN_WORK = "in work"
    DONE = "done"
    APPROVED = "approved"
    SENT_BACK = "sent back"

    @property
    def finished(self) -> bool:
        """Whether its labeller has nothing left to do; the queue leaves such a tile out."""
        return self in (Status.DONE, Status.APPROVED)


STEPS: dict[Status, tuple[Status, ...]] = {
    Status.NEW: (Status.IN_WORK, Status.DONE),
    Status.IN_WORK: (Status.DONE, Status.NEW),
    Status.DONE: (Status.APPROVED, Status.SENT_BACK, Status.IN_WORK),
    Status.APPROVED: (Status.SENT_BACK, Status.IN_WORK),
    Status.SENT_BACK: (Status.IN_WORK, Status.DONE),
}
"""What a person may choose next. A tile must be done before it can be approved or sent back."""

_KEEPS_COMMENT = (Status.IN_WORK, Status.DONE)
"""What a tile that was sent back goes through before it is judged again: the comment stays in sight until then."""


_STANDS = (Stroke.opinion == "", Stroke.state == "done")


@dataclass(frozen=True, slots=True)
class Work:
    """Where a tile stands: who set that and when (None: nobody said), and a reviewer's comment, maybe empty."""

    status: Status = Status.NEW
    comment: str = ""
    annotator: str | None = None
    changed: datetime | None = None


def work(workspace: Workspace, tile_id: int) -> Work:
    """Where one tile stands."""
    with workspace.database.read() as session:
        return _standing(session, session.get(TileWork, tile_id), tile_id)


def works(workspace: Workspace, collection_id: int) -> dict[int, Work]:
    """Where every tile of a collection stands, by the tile's id; those that nobody has touched are left out."""
    of_collection = Tile.collection_id == collection_id
    rows = select(TileWork).join(Tile, Tile.id == TileWork.tile_id).where(of_collection)
    painted = select(Stroke.tile_id).join(Tile, Tile.id == Stroke.tile_id).where(of_collection, *_STANDS).distinct()
    with workspace.database.read() as session:
        found = {tile_id: Work(Status.IN_WORK) for tile_id in session.scalars(painted)}
        return found | {row.tile_id: _work(row) for row in session.scalars(rows)}


def sequence(workspace: Workspace, tile_id: int, opinion: str = "") -> int:
    """The number of the last operation on a sheet, which grows with each; 0 before the first."""
    query = select(func.max(LabelOperation.id)).where(
        LabelOperation.tile_id == tile_id, LabelOperation.opinion == opinion
    )
    with workspace.database.read() as session:
        return session.scalar(query) or 0


def set_status(workspace: Workspace, tile_id: int, status: Status, *, annotator: str, comment: str = "") -> Work:
    """Move a tile one step. Asking for the status it has changes nothing.

    Raises ``InputError`` for a step that is not in ``STEPS``, for one that is sent back without a comment, and for a
    comment that is too long.
    """
    said = " ".join(comment.split())
    if len(said) > MAX_COMMENT_LETTERS:
        raise InputError(f"The comment has {len(said)} letters; keep it below {MAX_COMMENT_LETTERS}.")
    if status is Status.SENT_BACK and not said:
        raise InputError("Say what to mend when you send a tile back.")
    with workspace.database.write() as session:
        row = session.get(TileWork, tile_id)
        before = _standing(session, row, tile_id)
        if status is before.status:
            return before
        if status not in STEPS[before.status]:
            allowed = " or ".join(f"'{step}'" for step in STEPS[before.status])
            raise InputError(f"A tile that is '{before.status}' cannot become '{status}'; it can become {allowed}.")
        if not said and status in _KEEPS_COMMENT:
            said = before.comment
        return _write(session, row, tile_id, Work(status, said, annotator, now()))


def labels_changed(workspace: Workspace, tile_id: int, opinion: str = "") -> None:
    """Put a tile in work because its labels changed; a second opinion is not the tile's labels and moves nothing.

    Made to be called by ``core.labels.changes`` after every change.
    """
    if opinion:
        return
    with workspace.database.read() as session:
        if _work(session.get(TileWork, tile_id)).status is Status.IN_WORK:
            return
    with workspace.database.write() as session:
        row = session.get(TileWork, tile_id)
        before = _work(row)
        if before.status is not Status.IN_WORK:
            who = _last_painter(session, tile_id)
            _write(session, row, tile_id, Work(Status.IN_WORK, before.comment, who, now()))


def labellers(workspace: Workspace, tile_id: int) -> list[str]:
    """Who has strokes that stand in the tile's labels, by name."""
    query = select(Stroke.annotator).where(Stroke.tile_id == tile_id, *_STANDS)
    with workspace.database.read() as session:
        return sorted(set(session.scalars(query.distinct())))


def _last_painter(session: Session, tile_id: int) -> str:
    query = (
        select(Stroke.annotator)
        .join(LabelOperation, LabelOperation.stroke_id == Stroke.id)
        .where(LabelOperation.tile_id == tile_id, LabelOperation.opinion == "")
        .order_by(LabelOperation.id.desc())
        .limit(1)
    )
    return session.scalar(query) or DEFAULT_ANNOTATOR


def _write(session: Session, row: TileWork | None, tile_id: int, new: Work) -> Work:
    if row is None:
        row = TileWork(tile_id=tile_id)
        session.add(row)
    row.status, row.comment = new.status, new.comment
    row.annotator, row.changed = new.annotator or DEFAULT_ANNOTATOR, new.changed or now()
    return _work(row)


def _standing(session: Session, row: TileWork | None, tile_id: int) -> Work:
    """Where a tile stands; one with labels of which nobody has said anything, as a script leaves it, is in work."""
    if row is None and session.scalar(select(Stroke.id).where(Stroke.tile_id == tile_id, *_STANDS).limit(1)):
        return Work(Status.IN_WORK)
    return _work(row)


def _work(row: TileWork | None) -> Work:
    return Work() if row is None else Work(Status(row.status), row.comment, row.annotator, row.changed)
