"""The journal of strokes: every edit of a class raster, done, undone or redone, one write transaction each.

Why the raster file and the journal never drift apart. Each operation (a stroke, an undo, a redo) has a key that the
browser made. Under the database's write lock, which holds between threads and between processes, the new raster is
written to disk with that key inside, then the transaction commits. So, whenever a tile is looked at:

- the file's key is the journal's last: they agree, the usual case;
- the file is missing or its key is an older one of this tile: the disk lost it; the raster is rebuilt from the journal;
- the journal does not know the file's key: the server was killed between file and commit, or another program wrote
  the file. What lies on disk is somebody's work and is taken in as one stroke that can be undone (tool 'outside').
  Where the browser then sends its unanswered stroke again, the key says that it is already there.
"""

import uuid
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels import raster as raster_file
from core.labels.instances import ClassCount, count
from core.labels.strokes import Box, Stroke, rasterise
from core.tables import LabelOperation, Tile
from core.tables import Stroke as StrokeRow
from core.workspace import Workspace

ANNOTATOR = "local"
"""Who drew it, until several people share a server."""


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


def apply(workspace: Workspace, tile_id: int, stroke: Stroke, *, annotator: str = ANNOTATOR) -> Change:
    """Paint a stroke into the tile's class raster, on disk when this returns.

    A stroke whose key is already in the journal is not painted again; one that changes no pixel leaves no entry.
    Raises ``InputError`` for an unknown tile, a stroke outside it, and a disk that cannot be written.
    """
    with workspace.database.write() as session:
        edit = _Edit(workspace, session, tile_id)
        if edit.known(stroke.client_key):
            return edit.repeated(stroke.client_key)
        box, mask = rasterise(stroke, edit.raster.shape)
        patch = edit.raster[box.slices].copy()
        patch[mask] = stroke.class_index
        geometry = {"points": stroke.points, "radius": stroke.radius}
        row = _new_row(stroke.client_key, stroke.tool, stroke.class_index, geometry, annotator)
        return edit.make(row, box, patch)


def replace(
    workspace: Workspace,
    tile_id: int,
    raster: ClassRaster,
    *,
    tool: str,
    client_key: str | None = None,
    annotator: str = ANNOTATOR,
) -> Change:
    """Replace the whole raster by another, as one stroke of ``tool`` that can be undone.

    ``raster`` is uint8 of the tile's size. Raises ``InputError`` as ``apply`` does, and for a raster of another size.
    """
    key = client_key or _new_key()
    with workspace.database.write() as session:
        edit = _Edit(workspace, session, tile_id)
        if edit.known(key):
            return edit.repeated(key)
        if raster.shape != edit.raster.shape:
            raise InputError(
                f"The labels offered for tile {edit.tile.name} are {raster.shape[1]} x {raster.shape[0]} pixels and "
                f"the tile is {edit.tile.width} x {edit.tile.height}; choose a mask of the tile's size."
            )
        return edit.replace(_new_row(key, tool, UNLABELLED, {}, annotator), raster)


def undo(workspace: Workspace, tile_id: int, client_key: str | None = None) -> Change:
    """Take back the last stroke that stands; changes nothing where there is none."""
    return _step(workspace, tile_id, client_key or _new_key(), kind="undo")


def redo(workspace: Workspace, tile_id: int, client_key: str | None = None) -> Change:
    """Bring back the stroke that was undone last; changes nothing where there is none."""
    return _step(workspace, tile_id, client_key or _new_key(), kind="redo")


def load(workspace: Workspace, tile_id: int) -> ClassRaster:
    """The tile's class raster (read-only), mended first where file and journal differ."""
    return _current(workspace, tile_id)[0]


def state(workspace: Workspace, tile_id: int) -> State:
    """Where the tile's labels stand, mended first where file and journal differ."""
    return _current(workspace, tile_id)[1]


def _current(workspace: Workspace, tile_id: int) -> tuple[ClassRaster, State]:
    with workspace.database.read() as session:
        tile = _tile(session, tile_id)
        last = _last_operation(session, tile_id)
        stored = raster_file.read(raster_file.mask_path(workspace, tile), (tile.height, tile.width))
        if _agree(stored, last):
            raster = raster_file.empty(tile) if stored is None else stored.raster
            return raster, _state(session, tile_id, raster)
    with workspace.database.write() as session:
        edit = _Edit(workspace, session, tile_id)
        return edit.raster, _state(session, tile_id, edit.raster)


def _step(workspace: Workspace, tile_id: int, key: str, *, kind: str) -> Change:
    was, becomes, pick = ("done", "undone", func.max) if kind == "undo" else ("undone", "done", func.min)
    with workspace.database.write() as session:
        edit = _Edit(workspace, session, tile_id)
        if edit.known(key):
            return edit.repeated(key)
        chosen = session.scalar(select(pick(StrokeRow.id)).where(StrokeRow.tile_id == tile_id, StrokeRow.state == was))
        if chosen is None:
            return edit.unchanged()
        row = session.get_one(StrokeRow, chosen)
        row.state = becomes
        return edit.write(row, _unpack(row, row.before if kind == "undo" else row.after), key=key, kind=kind)


class _Edit:
    """One tile under the write lock: its raster, in step with the journal, and the ways to change it."""

    def __init__(self, workspace: Workspace, session: Session, tile_id: int) -> None:
        self.session = session
        self.tile = _tile(session, tile_id)
        self.path = raster_file.mask_path(workspace, self.tile)
        self.previous = 0
        self.raster = self._in_step()

    def known(self, key: str) -> bool:
        """Whether the journal has an operation of this key. Raises ``InputError`` where it is another tile's."""
        owner = self._owner(key)
        if owner not in (None, self.tile.id):
            raise InputError("This stroke's key was used on another tile; reload the page and draw it again.")
        return owner is not None

    def repeated(self, key: str) -> Change:
        """The answer to an operation that was sent again: the pixels where it was, as they are now."""
        row = self.session.scalars(
            select(StrokeRow)
            .join(LabelOperation, LabelOperation.stroke_id == StrokeRow.id)
            .where(LabelOperation.client_key == key)
        ).one()
        return self._change(_box(row))

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
        raster[_box(row).slices] = patch
        self._note(row, key, kind)
        raster_file.save(self.path, raster, key)
        self.raster = raster
        return self._change(_box(row))

    def _owner(self, key: str) -> int | None:
        """The tile whose operation has this key."""
        return self.session.scalar(select(LabelOperation.tile_id).where(LabelOperation.client_key == key))

    def _enter(self, row: StrokeRow, box: Box, before: ClassRaster, after: ClassRaster) -> None:
        undone = (StrokeRow.tile_id == self.tile.id, StrokeRow.state == "undone")
        self.session.execute(update(StrokeRow).where(*undone).values(state="dropped"))
        row.tile_id = self.tile.id
        row.top, row.left, row.height, row.width = box.top, box.left, box.height, box.width
        row.before, row.after = _pack(before), _pack(after)
        self.session.add(row)
        self.session.flush()

    def _note(self, row: StrokeRow, key: str, kind: str) -> LabelOperation:
        operation = LabelOperation(tile_id=self.tile.id, stroke_id=row.id, client_key=key, kind=kind)
        self.session.add(operation)
        self.session.flush()
        return operation

    def _change(self, box: Box | None) -> Change:
        patch = None if box is None else self.raster[box.slices]
        return Change(self.previous, _state(self.session, self.tile.id, self.raster), box, patch)

    def _in_step(self) -> ClassRaster:
        """Read the raster, mending file or journal first where they differ (see the top of this file)."""
        last = _last_operation(self.session, self.tile.id)
        self.previous = last.id if last else 0
        stored = raster_file.read(self.path, (self.tile.height, self.tile.width))
        if _agree(stored, last):
            return raster_file.empty(self.tile) if stored is None else stored.raster
        rebuilt = _rebuild(self.session, self.tile)
        owner = self._owner(stored.operation) if stored and stored.operation else None
        if last is not None and (stored is None or owner == self.tile.id):
            raster_file.save(self.path, rebuilt, last.client_key)
            return rebuilt
        if stored is None:
            return rebuilt
        self._take_in(stored, rebuilt, _new_key() if owner or stored.operation is None else stored.operation)
        return stored.raster

    def _take_in(self, stored: raster_file.StoredRaster, rebuilt: ClassRaster, key: str) -> None:
        box = _differing_box(rebuilt, stored.raster) or Box(0, 0, 1, 1)  # the file may differ in its key alone
        row = _new_row(key, "outside", UNLABELLED, {}, ANNOTATOR)
        self._enter(row, box, rebuilt[box.slices], stored.raster[box.slices])
        self.previous = self._note(row, key, "stroke").id  # no browser has seen this: each must fetch anew
        if stored.operation != key:
            raster_file.save(self.path, stored.raster, key)


def _agree(stored: raster_file.StoredRaster | None, last: LabelOperation | None) -> bool:
    if stored is None or last is None:
        return stored is None and last is None
    return stored.operation == last.client_key


def _rebuild(session: Session, tile: Tile) -> ClassRaster:
    """The raster that the strokes that stand leave behind, one after the other."""
    raster = raster_file.empty(tile)
    rows = select(StrokeRow).where(StrokeRow.tile_id == tile.id, StrokeRow.state == "done").order_by(StrokeRow.id)
    for row in session.scalars(rows).yield_per(50):
        raster[_box(row).slices] = _unpack(row, row.after)
    return raster


def _state(session: Session, tile_id: int, raster: ClassRaster) -> State:
    last = _last_operation(session, tile_id)
    depth = dict.fromkeys(("done", "undone", "dropped"), 0)
    by_state = select(StrokeRow.state, func.count()).where(StrokeRow.tile_id == tile_id).group_by(StrokeRow.state)
    depth |= session.execute(by_state).tuples().all()
    return State(
        sequence=last.id if last else 0,
        saved_at=last.created if last else None,
        counts=count(raster),
        undo=depth["done"],
        redo=depth["undone"],
    )


def _tile(session: Session, tile_id: int) -> Tile:
    tile = session.get(Tile, tile_id)
    if tile is None:
        raise InputError(f"There is no tile {tile_id} in this workspace; choose one from the list.")
    return tile


def _last_operation(session: Session, tile_id: int) -> LabelOperation | None:
    return session.scalars(
        select(LabelOperation).where(LabelOperation.tile_id == tile_id).order_by(LabelOperation.id.desc()).limit(1)
    ).first()


def _new_row(key: str, tool: str, class_index: int, geometry: dict[str, Any], annotator: str) -> StrokeRow:
    return StrokeRow(client_key=key, tool=tool, class_index=class_index, geometry=geometry, annotator=annotator)


def _new_key() -> str:
    return str(uuid.uuid4())


def _box(row: StrokeRow) -> Box:
    return Box(row.top, row.left, row.height, row.width)


def _pack(patch: ClassRaster) -> bytes:
    return zlib.compress(patch.tobytes(), 1)


def _unpack(row: StrokeRow, packed: bytes) -> ClassRaster:
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(row.height, row.width)


def _differing_box(a: ClassRaster, b: ClassRaster) -> Box | None:
    differs = a != b
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1)
