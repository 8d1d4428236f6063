"""The curve 'mIoU per labelled minute': how well the live head does on whole tiles that never train it."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select

from core.evaluation.confusion import Confusion
from core.evaluation.intervals import few_tiles_note, score_intervals
from core.evaluation.scores import from_confusion
from core.labels.time_spent import labelled_seconds
from core.tables import LiveScore, Stroke, Tile
from core.workspace import Workspace

MAX_POINTS = 200
"""Of the curve as it is sent to a browser; of more, evenly spaced ones are taken, the newest always."""


@dataclass(frozen=True, slots=True)
class HeldOutScore:
    """Mean IoU over held-out tiles with its 95 % interval over whole tiles, and how many."""

    miou: float
    low: float
    high: float
    tiles: int

    @property
    def note(self) -> str | None:
        """A warning where so few tiles make the interval rough."""
        return few_tiles_note(self.tiles)


def score(matrices: list[Confusion]) -> HeldOutScore | None:
    """Score one ``(6, 7)`` confusion matrix per held-out tile; None where no pixel of them is labelled."""
    if not matrices:
        return None
    miou = from_confusion(np.sum(matrices, axis=0)).miou
    intervals = score_intervals(matrices)
    if miou is None or intervals.miou is None:
        return None
    return HeldOutScore(miou, *intervals.miou, len(matrices))


def append(workspace: Workspace, collection_id: int, made: HeldOutScore) -> None:
    """Add a point to the collection's curve, at the time that was spent on labelling it so far."""
    seconds = labelled_seconds(workspace, collection_id)
    strokes = select(func.count(Stroke.id)).join(Tile, Tile.id == Stroke.tile_id)
    of_collection = strokes.where(Tile.collection_id == collection_id, Stroke.opinion == "", Stroke.state == "done")
    with workspace.database.write() as session:
        session.add(
            LiveScore(
                collection_id=collection_id,
                labelled_seconds=seconds,
                strokes=session.scalar(of_collection) or 0,
                miou=made.miou,
                low=made.low,
                high=made.high,
                tiles=made.tiles,
            )
        )


def curve(workspace: Workspace, collection_id: int) -> list[tuple[float, float, float, float]]:
    """Labelled minutes, mIoU, and the low and high end of its interval, in the order they were made."""
    columns = (LiveScore.labelled_seconds, LiveScore.miou, LiveScore.low, LiveScore.high)
    query = select(*columns).where(LiveScore.collection_id == collection_id).order_by(LiveScore.id)
    with workspace.database.read() as session:
        rows = session.execute(query).tuples().all()
    kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MAX_POINTS)).round().astype(int))
    return [(rows[i][0] / 60, *rows[i][1:]) for i in kept]


def latest(workspace: Workspace, collection_id: int) -> HeldOutScore | None:
    """The newest point of the collection's curve, or None before the first."""
    query = select(LiveScore).where(LiveScore.collection_id == collection_id).order_by(LiveScore.id.desc()).limit(1)
    with workspace.database.read() as session:
        row = session.scalars(query).first()
    return None if row is None else HeldOutScore(row.miou, row.low, row.high, row.tiles)
