"""Sheets: each is one class raster with a journal of its own.

A tile has the sheet of its labels (opinion ''), and one for each annotator who gives a second opinion on it. Here are
the questions that all keepers of the journal put to the database about one sheet.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, defer

from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels import raster as raster_file
from core.labels.strokes import Box
from core.tables import LabelOperation, LabelVersion, Stroke, Tile
from core.workspace import Workspace

Origins = NDArray[np.int32]
"""``(height, width)`` int32: the id of the stroke that labelled each pixel as it is now, 0 for unlabelled."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One class raster: a tile's labels (opinion ''), or one annotator's second opinion."""

    tile: Tile
    opinion: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.tile.height, self.tile.width

    def path(self, workspace: Workspace) -> Path:
        """Where its raster lies."""
        return raster_file.mask_path(workspace, self.tile, self.opinion)

    def owns(self, table: Any) -> ColumnElement[bool]:
        """The condition that a row of strokes, operations or versions is of this sheet."""
        owned: ColumnElement[bool] = (table.tile_id == self.tile.id) & (table.opinion == self.opinion)
        return owned


def find_sheet(session: Session, tile_id: int, opinion: str) -> Sheet:
    """Raises ``InputError`` where there is no such tile."""
    tile = session.get(Tile, tile_id)
    if tile is None:
        raise InputError(f"There is no tile {tile_id} in this workspace; choose one from the list.")
    return Sheet(tile, opinion)


def last_operation(session: Session, sheet: Sheet) -> LabelOperation | None:
    """The newest operation of the journal."""
    newest = select(LabelOperation).where(sheet.owns(LabelOperation)).order_by(LabelOperation.id.desc()).limit(1)
    return session.scalars(newest).first()


def checkpoint(session: Session, sheet: Sheet) -> LabelVersion | None:
    """The newest checkpoint of the compaction, whose raster and origins are read when they are asked for."""
    newest = (
        select(LabelVersion)
        .where(sheet.owns(LabelVersion), LabelVersion.name.is_(None))
        .order_by(LabelVersion.id.desc())
        .limit(1)
        .options(defer(LabelVersion.raster), defer(LabelVersion.origins))
    )
    return session.scalars(newest).first()


def _kept(session: Session, sheet: Sheet) -> ColumnElement[bool]:
    """The condition of strokes whose patches are kept: those behind the newest checkpoint."""
    newest = checkpoint(session, sheet)
    return sheet.owns(Stroke) & (Stroke.id > (0 if newest is None else newest.stroke_id))


def depths(session: Session, sheet: Sheet) -> dict[str, int]:
    """How many strokes of each state there are that can still be undone or redone."""
    by_state = select(Stroke.state, func.count()).where(_kept(session, sheet)).group_by(Stroke.state)
    return dict(session.execute(by_state).tuples().all())


def done_strokes(session: Session, sheet: Sheet, *, after: int = 0) -> list[int]:
    """The ids of the strokes that stand, in order, those whose patches were dropped too."""
    done = select(Stroke.id).where(sheet.owns(Stroke), Stroke.state == "done", Stroke.id > after).order_by(Stroke.id)
    return list(session.scalars(done))


def next_to_undo(session: Session, sheet: Sheet) -> Stroke | None:
    """The last stroke that stands."""
    done = select(Stroke).where(_kept(session, sheet), Stroke.state == "done")
    return session.scalars(done.order_by(Stroke.id.desc()).limit(1)).first()


def next_to_redo(session: Session, sheet: Sheet) -> Stroke | None:
    """The stroke that was undone last."""
    undone = select(Stroke).where(_kept(session, sheet), Stroke.state == "undone")
    return session.scalars(undone.order_by(Stroke.id).limit(1)).first()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the strokes that stand leave behind: the raster, and which stroke labelled each pixel of it."""

    raster: ClassRaster
    origins: Origins

    def add(self, row: Stroke) -> None:
        """Put one more stroke on top, in place."""
        window, after = box_of(row).slices, after_of(row)
        changed = self.raster[window] != after
        self.origins[window][changed] = np.where(after[changed] == UNLABELLED, 0, row.id)
        self.raster[window] = after


def replay(session: Session, sheet: Sheet, *, up_to: int | None = None) -> Standing:
    """Put the strokes that stand on the newest checkpoint, in order, up to and with the one of id ``up_to``."""
    newest = checkpoint(session, sheet)
    if newest is None:
        result = Standing(raster_file.empty(sheet.tile), np.zeros(sheet.shape, np.int32))
    else:
        raster, origins = unpack_raster(newest.raster, sheet.shape), unpack_origins(newest.origins, sheet.shape)
        result = Standing(raster.copy(), origins.copy())
    for row in standing(session, sheet, after=0 if newest is None else newest.stroke_id, up_to=up_to):
        result.add(row)
    return result


def standing(session: Session, sheet: Sheet, *, after: int, up_to: int | None = None) -> Iterator[Stroke]:
    """The strokes that stand, in order: behind the one of id ``after``, up to and with the one of ``up_to``."""
    rows = select(Stroke).where(sheet.owns(Stroke), Stroke.state == "done", Stroke.id > after).order_by(Stroke.id)
    if up_to is not None:
        rows = rows.where(Stroke.id <= up_to)
    yield from session.scalars(rows).yield_per(50)


def box_of(row: Stroke) -> Box:
    """Where a stroke changed the raster."""
    return Box(row.top, row.left, row.height, row.width)


def before_of(row: Stroke) -> ClassRaster:
    """The raster in a stroke's box before it."""
    return unpack_raster(row.before, (row.height, row.width))


def after_of(row: Stroke) -> ClassRaster:
    """The raster in a stroke's box after it."""
    return unpack_raster(row.after, (row.height, row.width))


def pack(array: NDArray[Any]) -> bytes:
    """An array as it is kept in the database."""
    return zlib.compress(np.ascontiguousarray(array).data, 1)


def unpack_raster(packed: bytes, shape: tuple[int, int]) -> ClassRaster:
    """A class raster of ``shape`` (height, width) from the database, read-only."""
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)


def unpack_origins(packed: bytes, shape: tuple[int, int]) -> Origins:
    """Origins of ``shape`` (height, width) from the database, read-only."""
    return np.frombuffer(zlib.decompress(packed), np.int32).reshape(shape)
