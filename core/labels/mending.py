"""Places that a run got wrong, sent from Evaluate to the labelling queue: what there is to mend on which tile."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from core.classes import CLASS_NAMES, UNLABELLED
from core.errors import InputError
from core.labels.annotators import annotator_name
from core.labels.strokes import Box
from core.tables import PlaceToMend, Tile
from core.workspace import Workspace

MOST_A_TILE = 20
"""Places sent of a tile at once: the largest are worth somebody's time, a hundred specks are not."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What a run took for what: ``predicted`` is 0..5, or 255 for unlabelled."""

    run: str
    true_class: int
    predicted: int

    @property
    def words(self) -> str:
        """As a person says it."""
        said = "unlabelled" if self.predicted == UNLABELLED else CLASS_NAMES[self.predicted]
        return f"{CLASS_NAMES[self.true_class]} taken for {said}"


def send(
    workspace: Workspace,
    mistake: Mistake,
    places: Sequence[tuple[int, Sequence[tuple[Box, int]]]],
    *,
    annotator: str,
) -> int:
    """Put places (by tile id: box and pixels of each) in the queue; returns how many.

    What was sent before of the same mistake on these tiles is replaced. Raises ``InputError`` without any place, and
    when it cannot be written.
    """
    rows = [
        PlaceToMend(
            tile_id=tile_id,
            run=mistake.run,
            true_class=mistake.true_class,
            predicted=mistake.predicted,
            top=box.top,
            left=box.left,
            height=box.height,
            width=box.width,
            pixels=pixels,
            annotator=annotator_name(annotator),
        )
        for tile_id, boxes in places
        for box, pixels in boxes[:MOST_A_TILE]
    ]
    if not rows:
        raise InputError("There is nothing to mend here; choose another cell of the matrix.")
    same = (
        PlaceToMend.tile_id.in_([tile_id for tile_id, _ in places]),
        PlaceToMend.run == mistake.run,
        PlaceToMend.true_class == mistake.true_class,
        PlaceToMend.predicted == mistake.predicted,
    )
    with workspace.database.write() as session:
        session.execute(delete(PlaceToMend).where(*same))
        session.add_all(rows)
    return len(rows)


def places_to_mend(workspace: Workspace, collection_id: int) -> dict[int, list[PlaceToMend]]:
    """What was sent, by tile id, the largest first."""
    query = select(PlaceToMend).join(Tile).where(Tile.collection_id == collection_id)
    by_tile: dict[int, list[PlaceToMend]] = {}
    with workspace.database.read() as session:
        for place in session.scalars(query.order_by(PlaceToMend.pixels.desc(), PlaceToMend.id)):
            by_tile.setdefault(place.tile_id, []).append(place)
    return by_tile


def mistake_of(place: PlaceToMend) -> Mistake:
    """Which mistake a place was sent for."""
    return Mistake(place.run, place.true_class, place.predicted)


def mended(workspace: Workspace, place_ids: Sequence[int]) -> None:
    """Take places out of the queue; ids that are gone already are no error."""
    with workspace.database.write() as session:
        session.execute(delete(PlaceToMend).where(PlaceToMend.id.in_(place_ids)))
