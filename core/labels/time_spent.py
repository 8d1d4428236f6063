"""How long people spent on labelling, from the times of the journal's operations.

Nobody starts a stop-watch; what is known is when each stroke, undo and redo was saved. An operation counts the time
since the same person's one before it, on whatever tile of the collection: so looking at a new tile counts for that
tile, and two tabs of one person do not count twice. A gap of more than ``PAUSE_SECONDS`` was a pause (or a quiet look
at something else, one cannot tell) and the operation after it counts ``FIRST_STROKE_SECONDS``, as a person's first one
does. Second opinions are left out: they are no labels yet. So are operations of no hand, as an import is.
"""

from collections import defaultdict
from datetime import datetime

from sqlalchemy import select

from core.tables import LabelOperation, Stroke, Tile
from core.workspace import Workspace

PAUSE_SECONDS = 60.0
FIRST_STROKE_SECONDS = 5.0
"""Our assumption of what finding the place and drawing the first stroke takes."""

NO_HAND = ("import", "clear", "outside", "restore", "opinion")
"""Tools whose strokes replace the raster at one press of a button, or were made by another program."""


def labelled_seconds(workspace: Workspace, collection_id: int) -> float:
    """Seconds that everybody together spent on labelling a collection."""
    return sum(seconds_per_tile(workspace, collection_id).values())


def seconds_per_tile(workspace: Workspace, collection_id: int) -> dict[int, float]:
    """Seconds spent on each tile, by the tile's id; tiles without an operation are left out."""
    totals: dict[int, float] = defaultdict(float)
    for (tile_id, _), seconds in seconds_per_tile_and_annotator(workspace, collection_id).items():
        totals[tile_id] += seconds
    return dict(totals)


def seconds_per_tile_and_annotator(workspace: Workspace, collection_id: int) -> dict[tuple[int, str], float]:
    """Seconds that each person spent on each tile, by the tile's id and the name."""
    # The operation that undoes a stroke is whoever's the stroke was: the journal does not say more.
    query = (
        select(Stroke.annotator, LabelOperation.tile_id, LabelOperation.created)
        .join(Stroke, Stroke.id == LabelOperation.stroke_id)
        .join(Tile, Tile.id == LabelOperation.tile_id)
        .where(Tile.collection_id == collection_id, LabelOperation.opinion == "", Stroke.tool.not_in(NO_HAND))
        .order_by(LabelOperation.id)
    )
    with workspace.database.read() as session:
        operations = session.execute(query).tuples().all()
    spent: dict[tuple[int, str], float] = defaultdict(float)
    before: dict[str, datetime] = {}
    for annotator, tile_id, moment in operations:
        gap = (moment - before[annotator]).total_seconds() if annotator in before else None
        working = gap is not None and 0 <= gap <= PAUSE_SECONDS
        spent[tile_id, annotator] += gap if gap is not None and working else FIRST_STROKE_SECONDS
        before[annotator] = moment
    return dict(spent)
