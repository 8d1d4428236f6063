"""Labels from files: what a file would change on a tile, and the change itself, one stroke of the journal a tile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from core.classes import CLASS_NAMES, UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels import changes, journal, suggestions
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.labels.formats.grid import grid_of
from core.labels.formats.placed import Placed, Reading
from core.labels.journal import Change
from core.tables import Tile
from core.workspace import Workspace


class TakenAs(StrEnum):
    """What the labels of a file become."""

    LABELS = "labels"
    SUGGESTION = "suggestion"


@dataclass(frozen=True, slots=True)
class Choice:
    """How a person wants a file taken.

    ``meanings`` say what its classes mean, on top of what we know; ``offset`` is (column, row) of a smaller picture's
    first pixel. ``only_unlabelled`` keeps what is labelled; otherwise the tile holds what the file says and nothing
    else, as far as the file reaches. A suggestion changes no label.
    """

    meanings: Mapping[str, int] = field(default_factory=dict)
    offset: tuple[int, int] = (0, 0)
    only_unlabelled: bool = False
    taken_as: TakenAs = TakenAs.LABELS


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would do, in pixels, by class name where a class is meant.

    ``labelled`` are unlabelled pixels that get a class, ``changed`` those that get another one, ``removed`` those that
    lose theirs.
    """

    labelled: dict[str, int]
    changed: dict[str, int]
    removed: int
    notes: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether it would change no pixel."""
        return not (self.labelled or self.changed or self.removed)


def placed(reading: Reading, tile: Tile, choice: Choice) -> Placed:
    """Lay a file's labels on a tile.

    Raises ``InputError`` where its classes' meaning is not settled, where it does not fit the tile, and where it labels
    no pixel of it.
    """
    if reading.question is not None and not set(reading.keys) <= set(choice.meanings):
        raise InputError(reading.question)
    laid = reading.content.place(grid_of(tile), {**reading.meanings, **choice.meanings}, choice.offset)
    if not (laid.raster != UNLABELLED).any():
        raise InputError(f"The file labels no pixel of tile {tile.name}; choose the labels of this tile.")
    return laid


def merged(before: ClassRaster, laid: Placed, *, only_unlabelled: bool) -> ClassRaster:
    """The labels ``before``, uint8 of the tile's size, with ``laid`` taken in."""
    if only_unlabelled:
        return np.where(before == UNLABELLED, laid.raster, before)
    return laid.raster if laid.covered is None else np.where(laid.covered, laid.raster, before)


def preview(before: ClassRaster, laid: Placed, *, only_unlabelled: bool) -> Preview:
    """What laying ``laid`` over the labels ``before``, uint8 arrays of one shape, would change."""
    after = merged(before, laid, only_unlabelled=only_unlabelled)
    differs = before != after
    gains, was = after != UNLABELLED, before != UNLABELLED
    return Preview(
        labelled=_by_class(after[differs & gains & ~was]),
        changed=_by_class(after[differs & gains & was]),
        removed=int((differs & ~gains).sum()),
        notes=laid.notes,
    )


def apply(
    workspace: Workspace,
    tile: Tile,
    laid: Placed,
    *,
    source: str,
    only_unlabelled: bool = False,
    client_key: str | None = None,
    opinion: str = "",
    annotator: str = DEFAULT_ANNOTATOR,
) -> Change:
    """Take a file's labels into a tile's, as one stroke that one undo takes back; ``source`` is the file's name.

    Raises ``InputError`` as ``journal.rework`` does.
    """
    change = journal.rework(
        workspace,
        tile.id,
        lambda before: merged(before, laid, only_unlabelled=only_unlabelled),
        tool="import",
        client_key=client_key,
        opinion=opinion,
        annotator=annotator,
        source=source,
    )
    changes.announce(workspace, tile.id, opinion)
    return change


def suggest(workspace: Workspace, tile: Tile, laid: Placed, *, source: str) -> str:
    """Show a file's labels as the tile's suggestion, to be accepted region by region; its id."""
    return suggestions.put(workspace, tile, laid.raster, None, source=f"import: {source}")


def _by_class(values: ClassRaster) -> dict[str, int]:
    counts = np.bincount(values, minlength=len(CLASS_NAMES)).tolist()
    return {name: pixels for name, pixels in zip(CLASS_NAMES, counts, strict=False) if pixels}
