"""The journal of strokes: every edit of a class raster, done, undone or redone, one write transaction each.

Why the raster file and the journal never drift apart. Each operation (a stroke, an undo, a redo) has a key that the
browser made. Under the database's write lock, which holds between threads and between processes, the new raster is
written to disk with that key inside, then the transaction commits. So, whenever a tile is looked at:

- the file's key is the journal's last: they agree, the usual case;
- the file is missing or its key is an older one of this tile: the disk lost it; the raster is rebuilt from the journal;
- the journal does not know the file's key: the server was killed between file and commit. The file also says what the
  operation was, and the journal makes good for it: the same stroke, undo or redo. Where the browser then sends it
  again, the key says that it is already there. A file that another program wrote is somebody's work too: it is taken
  in as one stroke that can be undone (tool 'outside').
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels import compaction, edits, sheets
from core.labels import raster as raster_file
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.labels.instances import ClassCount, count_parts
from core.labels.raster import Step, StoredRaster
from core.labels.sheets import Sheet
from core.labels.strokes import Box, Stroke
from core.tables import LabelOperation
from core.tables import Stroke as StrokeRow
from core.workspace import Workspace

Replacement = Literal["import", "clear", "restore", "opinion", "outside"]
"""The tools that replace the whole raster: a mask, nothing, a version, a second opinion, another program's work."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a tile's labels stand: ``sequence`` grows with each operation (0: none yet); depths count strokes."""

    sequence: int
    saved_at: datetime | None
    counts: dict[str, ClassCount]
    undo: int
    redo: int


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation did: ``patch`` is the class raster inside ``box`` as it is on disk now.

    ``box`` is None where nothing changed. ``previous`` is the sequence before this operation: a browser that knew an
    older one has missed somebody else's and must fetch the raster anew.
    """

    previous: int
    state: State
    box: Box | None
    patch: ClassRaster | None


def apply(
    workspace: Workspace,
    tile_id: int,
    stroke: Stroke,
    *,
    opinion: str = "",
    annotator: str = DEFAULT_ANNOTATOR,
    admit: Callable[[Session], None] | None = None,
) -> Change:
    """Paint a stroke into the class raster of a sheet, on disk when this returns.

    ``annotator`` is who draws it, ``opinion`` names the sheet (see ``sheets.py``). A stroke whose key is already in the
    journal is not painted again; one that changes no pixel, be it that its guard allows none, leaves no entry.
    ``admit`` is asked under the write lock, before anything is written, and raises where the stroke may not be made any
    more: to find its pixels can take seconds. Raises ``InputError`` for an unknown tile, a stroke outside it, and a
    disk that cannot be written.
    """
    with workspace.database.read() as session:
        sheet = sheets.find_sheet(session, tile_id, opinion)
        is_known = _owner(session, stroke.client_key) is not None
    # Sent again, it need not be found again: the suggestion that it took from may be gone by now.
    prepared = None if is_known else edits.prepare(workspace, sheet.tile, stroke)
    source = None if is_known else edits.source(workspace, sheet.tile, stroke)
    with workspace.database.write() as session:
        if admit is not None:
            admit(session)
        edit = _Edit(workspace, session, tile_id, opinion)
        if edit.known(stroke.client_key) or prepared is None:
            return edit.repeated(stroke.client_key)
        region = prepared(edit.raster)
        patch = stroke.guard.apply(edit.raster[region.box.slices], region.paint(edit.raster))
        geometry = stroke.model_dump(mode="json", exclude={"client_key", "tool", "class_index"})
        if source is not None:
            geometry["source"] = source
        row = _new_row(stroke.client_key, stroke.tool, stroke.class_index, geometry, annotator)
        change = edit.make(row, region.box, patch)
    compaction.schedule(workspace, tile_id, opinion, standing=change.state.undo)
    return change


def replace(
    workspace: Workspace,
    tile_id: int,
    raster: ClassRaster,
    *,
    tool: Replacement,
    client_key: str | None = None,
    opinion: str = "",
    annotator: str = DEFAULT_ANNOTATOR,
    source: str | None = None,
) -> Change:
    """Replace the whole raster by another, uint8 of the tile's size, as ``rework`` does."""
    return rework(
        workspace,
        tile_id,
        lambda _before: raster,
        tool=tool,
        client_key=client_key,
        opinion=opinion,
        annotator=annotator,
        source=source,
    )


def rework(
    workspace: Workspace,
    tile_id: int,
    change: Callable[[ClassRaster], ClassRaster],
    *,
    tool: Replacement,
    client_key: str | None = None,
    opinion: str = "",
    annotator: str = DEFAULT_ANNOTATOR,
    source: str | None = None,
) -> Change:
    """Change the whole raster, as one stroke of ``tool`` that can be undone.

    ``change`` is shown the raster under the write lock, so that nobody's stroke falls in between, and gives another of
    the tile's size; ``source`` says in words for a person where that came from. Raises ``InputError`` as ``apply``
    does, and for a raster of another size.
    """
    key = client_key or _new_key()
    with workspace.database.write() as session:
        edit = _Edit(workspace, session, tile_id, opinion)
        if edit.known(key):
            return edit.repeated(key)
        raster = change(edit.raster)
        if raster.shape != edit.raster.shape:
            tile = edit.sheet.tile
            raise InputError(
                f"The labels offered for tile {tile.name} are {raster.shape[1]} x {raster.shape[0]} pixels and "
                f"the tile is {tile.width} x {tile.height}; choose a mask of the tile's size."
            )
        geometry = {} if source is None else {"source": source}
        return edit.replace(_new_row(key, tool, UNLABELLED, geometry, annotator), raster)


def undo(workspace: Workspace, tile_id: int, client_key: str | None = None, *, opinion: str = "") -> Change:
    """Take back the last stroke that stands; changes nothing where there is none."""
    return _step(workspace, tile_id, opinion, client_key or _new_key(), kind="undo")


def redo(workspace: Workspace, tile_id: int, client_key: str | None = None, *, opinion: str = "") -> Change:
    """Bring back the stroke that was undone last; changes nothing where there is none."""
    return _step(workspace, tile_id, opinion, client_key or _new_key(), kind="redo")


def load(workspace: Workspace, tile_id: int, *, opinion: str = "") -> ClassRaster:
    """The sheet's class raster (read-only), mended first where file and journal differ."""
    return _current(workspace, tile_id, opinion)[0]


def state(workspace: Workspace, tile_id: int, *, opinion: str = "") -> State:
    """Where the sheet's labels stand, mended first where file and journal differ."""
    return _current(workspace, tile_id, opinion)[1]


def _current(workspace: Workspace, tile_id: int, opinion: str) -> tuple[ClassRaster, State]:
    with workspace.database.read() as session:
        sheet = sheets.find_sheet(session, tile_id, opinion)
        last = sheets.last_operation(session, sheet)
        stored = raster_file.read(sheet.path(workspace), sheet.shape)
        if _agree(stored, last):
            current = stored or raster_file.blank(sheet.tile)
            return current.raster, _state(session, sheet, current)
    with workspace.database.write() as session:
        edit = _Edit(workspace, session, tile_id, opinion)
        return edit.raster, _state(session, sheet, edit.stored)


def _step(workspace: Workspace, tile_id: int, opinion: str, key: str, *, kind: str) -> Change:
    with workspace.database.write() as session:
        edit = _Edit(workspace, session, tile_id, opinion)
        if edit.known(key):
            return edit.repeated(key)
        row = sheets.next_to_undo(session, edit.sheet) if kind == "undo" else sheets.next_to_redo(session, edit.sheet)
        if row is None:
            return edit.unchanged()
        row.state = "undone" if kind == "undo" else "done"
        patch = sheets.before_of(row) if kind == "undo" else sheets.after_of(row)
        return edit.write(row, patch, key=key, kind=kind)


class _Edit:
    """One sheet under the write lock: its raster, in step with the journal, and the ways to change it."""

    def __init__(self, workspace: Workspace, session: Session, tile_id: int, opinion: str) -> None:
        self.session = session
        self.sheet = sheets.find_sheet(session, tile_id, opinion)
        self.path = self.sheet.path(workspace)
        self.previous = 0
        self.stored = self._in_step()

    @property
    def raster(self) -> ClassRaster:
        """The class raster as it is on disk now, read-only."""
        return self.stored.raster

    def known(self, key: str) -> bool:
        """Whether the journal has an operation of this key. Raises ``InputError`` where it is another sheet's."""
        owner = _owner(self.session, key)
        if owner not in (None, self._id):
            raise InputError("This stroke's key was used on another tile; reload the page and draw it again.")
        return owner is not None

    def repeated(self, key: str) -> Change:
        """The answer to an operation that was sent again: the pixels where it was, as they are now."""
        row = self.session.scalars(
            select(StrokeRow)
            .join(LabelOperation, LabelOperation.stroke_id == StrokeRow.id)
            .where(LabelOperation.client_key == key)
        ).one()
        return self._change(sheets.box_of(row))

    def unchanged(self) -> Change:
        """The answer to an operation that has nothing to do."""
        return self._change(None)

    def make(self, row: StrokeRow, box: Box, patch: ClassRaster) -> Change:
        """Enter a new stroke that leaves ``patch`` in ``box``; what was undone before can no longer be redone."""
        before = self.raster[box.slices]
        if np.array_equal(before, patch):
            return self.unchanged()
        self._enter(row, box, before, patch)
        return self.write(row, patch, key=row.client_key, kind="stroke")

    def replace(self, row: StrokeRow, raster: ClassRaster) -> Change:
        """Enter a stroke that leaves the whole raster as given, recorded over the rows and columns that differ."""
        box = _differing_box(self.raster, raster)
        return self.unchanged() if box is None else self.make(row, box, raster[box.slices])

    def write(self, row: StrokeRow, patch: ClassRaster, *, key: str, kind: str) -> Change:
        """Put ``patch`` at the stroke's place, on disk, and note the operation."""
        raster = self.raster.copy()
        raster[sheets.box_of(row).slices] = patch
        self._note(row, key, kind)
        source = row.geometry.get("source")
        step = Step(kind, row.id, row.tool, row.class_index, row.annotator, source)
        self.stored = raster_file.save(self.path, raster, key, step)
        return self._change(sheets.box_of(row))

    @property
    def _id(self) -> tuple[int, str]:
        return self.sheet.tile.id, self.sheet.opinion

    def _enter(self, row: StrokeRow, box: Box, before: ClassRaster, after: ClassRaster) -> None:
        undone = (self.sheet.owns(StrokeRow), StrokeRow.state == "undone")
        self.session.execute(update(StrokeRow).where(*undone).values(state="dropped"))
        row.tile_id, row.opinion = self._id
        row.top, row.left, row.height, row.width = box.top, box.left, box.height, box.width
        row.before, row.after = sheets.pack(before), sheets.pack(after)
        self.session.add(row)
        self.session.flush()

    def _note(self, row: StrokeRow, key: str, kind: str) -> LabelOperation:
        operation = LabelOperation(
            tile_id=row.tile_id, opinion=row.opinion, stroke_id=row.id, client_key=key, kind=kind
        )
        self.session.add(operation)
        self.session.flush()
        return operation

    def _change(self, box: Box | None) -> Change:
        patch = None if box is None else self.raster[box.slices]
        return Change(self.previous, _state(self.session, self.sheet, self.stored), box, patch)

    def _in_step(self) -> StoredRaster:
        """Read the raster, mending file or journal first where they differ (see the top of this file)."""
        last = sheets.last_operation(self.session, self.sheet)
        self.previous = last.id if last else 0
        stored = raster_file.read(self.path, self.sheet.shape)
        if _agree(stored, last):
            return stored or raster_file.blank(self.sheet.tile)
        rebuilt = sheets.replay(self.session, self.sheet).raster
        owner = _owner(self.session, stored.operation) if stored and stored.operation else None
        if last is not None and (stored is None or owner == self._id):
            return raster_file.save(self.path, rebuilt, last.client_key)
        if stored is not None:
            self._take_in(stored, rebuilt, _new_key() if owner or stored.operation is None else stored.operation)
        return stored or raster_file.blank(self.sheet.tile)

    def _take_in(self, stored: StoredRaster, rebuilt: ClassRaster, key: str) -> None:
        """Enter what the file holds and the journal does not: the operation that its step tells, else a stroke."""
        step = (stored.step if stored.operation == key else None) or Step()
        if self._stepped(step, rebuilt, stored.raster, key):
            return
        box = _differing_box(rebuilt, stored.raster) or Box(0, 0, 1, 1)  # the file may differ in its key alone
        geometry = {} if step.source is None else {"source": step.source}
        row = _new_row(key, step.tool, step.class_index, geometry, step.annotator)
        self._enter(row, box, rebuilt[box.slices], stored.raster[box.slices])
        self.previous = self._note(row, key, "stroke").id  # no browser has seen this: each must fetch anew
        if stored.operation != key:
            raster_file.save(self.path, stored.raster, key)

    def _stepped(self, step: Step, rebuilt: ClassRaster, stored: ClassRaster, key: str) -> bool:
        """Note the undo or redo of ``step``, where that leads from what the journal rebuilds to what is stored."""
        if step.kind not in ("undo", "redo"):
            return False
        back = step.kind == "undo"
        row = sheets.next_to_undo(self.session, self.sheet) if back else sheets.next_to_redo(self.session, self.sheet)
        if row is None or row.id != step.stroke_id:
            return False
        stepped = rebuilt.copy()
        stepped[sheets.box_of(row).slices] = sheets.before_of(row) if back else sheets.after_of(row)
        if not np.array_equal(stepped, stored):
            return False
        row.state = "undone" if back else "done"
        self.previous = self._note(row, key, step.kind).id
        return True


def _agree(stored: StoredRaster | None, last: LabelOperation | None) -> bool:
    if stored is None or last is None:
        return stored is None and last is None
    return stored.operation == last.client_key


def _owner(session: Session, key: str) -> tuple[int, str] | None:
    """The tile and the opinion whose operation has this key."""
    query = select(LabelOperation.tile_id, LabelOperation.opinion).where(LabelOperation.client_key == key)
    return session.execute(query).tuples().first()


def _state(session: Session, sheet: Sheet, stored: StoredRaster) -> State:
    last = sheets.last_operation(session, sheet)
    depth = sheets.depths(session, sheet)
    return State(
        sequence=last.id if last else 0,
        saved_at=last.created if last else None,
        counts=count_parts([strip.parts for strip in stored.strips]),
        undo=depth.get("done", 0),
        redo=depth.get("undone", 0),
    )


def _new_row(key: str, tool: str, class_index: int, geometry: dict[str, Any], annotator: str) -> StrokeRow:
    return StrokeRow(client_key=key, tool=tool, class_index=class_index, geometry=geometry, annotator=annotator)


def _new_key() -> str:
    return str(uuid.uuid4())


def _differing_box(a: ClassRaster, b: ClassRaster) -> Box | None:
    differs = a != b
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1)
