"""Label versions: the class raster of a sheet as it was, under a name.

A version is kept in the database, beside the journal whose strokes it follows, with the origin of each pixel. It never
changes and is never compacted away. Going back to one is a stroke (``importing.restore``), so that can be undone too.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, defer

from core.classes import CLASS_COUNT, CLASS_NAMES, UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels import provenance, sheets
from core.labels.annotators import DEFAULT_ANNOTATOR
from core.labels.rasterising import Mask, rasterise_rings
from core.labels.sheets import Sheet
from core.labels.strokes import Box, Point
from core.tables import LabelVersion, Tile
from core.workspace import Workspace

MAX_NAME_LETTERS = 60
MAX_VERSIONS = 200
"""Of one sheet."""

DiffMap = NDArray[np.uint8]
"""(height, width) uint8: index into ``CHANGES``."""


@dataclass(frozen=True, slots=True)
class Change:
    """One way in which a pixel can differ from a version: its name, and RGBA on the map."""

    name: str
    colour: tuple[int, int, int, int]


CHANGES: tuple[Change, ...] = (
    Change("same", (0, 0, 0, 0)),
    Change("labelled since", (0, 158, 115, 235)),
    Change("removed since", (213, 30, 60, 235)),
    Change("class changed", (240, 170, 0, 235)),
)
SAME, LABELLED, REMOVED, CHANGED = range(4)


@dataclass(frozen=True, slots=True)
class Version:
    """A named version without its pixels. ``sequence`` is that of the operation which it follows."""

    id: int
    name: str
    annotator: str
    sequence: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Diff:
    """How many pixels differ between a version and now: by the names of ``CHANGES``, and gained and lost by class."""

    pixels: dict[str, int]
    gained: dict[str, int]
    lost: dict[str, int]


def save(
    workspace: Workspace, tile_id: int, name: str, *, opinion: str = "", annotator: str = DEFAULT_ANNOTATOR
) -> Version:
    """Keep the sheet as it is in the journal now, under a name.

    The same request sent twice (name and person are the same, and nothing was painted between) keeps it once. Raises
    ``InputError`` for an empty or long name, one that another version of the sheet has, and an unknown tile.
    """
    kept_name = _checked_name(name)
    with workspace.database.write() as session:
        sheet = sheets.find_sheet(session, tile_id, opinion)
        last = sheets.last_operation(session, sheet)
        sequence = 0 if last is None else last.id
        known = {row.name: row for row in session.scalars(_named(sheet))}
        if kept_name in known:
            if (known[kept_name].sequence, known[kept_name].annotator) == (sequence, annotator):
                return _version(known[kept_name])
            raise InputError(f"There is a version '{kept_name}' of this tile already; choose another name.")
        if len(known) >= MAX_VERSIONS:
            raise InputError(f"This tile has {MAX_VERSIONS} versions and no more are kept; work on without a new one.")
        standing = provenance.standing_in(workspace, session, sheet)
        row = LabelVersion(
            tile_id=tile_id,
            opinion=opinion,
            name=kept_name,
            annotator=annotator,
            sequence=sequence,
            stroke_id=0 if last is None else last.stroke_id,
            raster=sheets.pack(standing.raster),
            origins=sheets.pack(standing.origins),
        )
        session.add(row)
        session.flush()
        return _version(row)


def listed(workspace: Workspace, tile_id: int, *, opinion: str = "") -> list[Version]:
    """The named versions of a sheet, the newest first."""
    with workspace.database.read() as session:
        sheet = sheets.find_sheet(session, tile_id, opinion)
        return [_version(row) for row in session.scalars(_named(sheet))]


def find(workspace: Workspace, tile: Tile, version_id: int) -> Version:
    """A named version of a tile, of any sheet. Raises ``InputError`` where there is none of this id."""
    with workspace.database.read() as session:
        return _version(_find(session, tile, version_id))


def load(workspace: Workspace, tile: Tile, version_id: int) -> ClassRaster:
    """The class raster of a version, read-only. Raises ``InputError`` where there is none of this id."""
    with workspace.database.read() as session:
        return sheets.unpack_raster(_find(session, tile, version_id).raster, (tile.height, tile.width))


def region(
    workspace: Workspace, tile: Tile, *, version: int, mode: str, points: Sequence[Point], class_index: int
) -> tuple[Box, Mask, ClassRaster]:
    """The part of a version that a stroke copies: a box, which of its pixels, and their classes.

    Mode 'class' takes the version's pixels of ``class_index``, 'lasso' those inside the ring ``points``, 'all' every
    pixel. Unlabelled pixels are copied too, except in mode 'class'. Raises ``InputError`` for a class that the version
    does not have, a lasso beside the tile, and where there is no version of this id.
    """
    raster = load(workspace, tile, version)
    if mode == "lasso":
        box, mask = rasterise_rings([points], raster.shape)
        return box, mask, raster[box.slices]
    mask = raster == class_index if mode == "class" else np.ones(raster.shape, np.bool_)
    if not mask.any():
        raise InputError(f"That version has no {CLASS_NAMES[class_index]}; choose another class or version.")
    return Box(0, 0, *raster.shape), mask, raster


def diff_map(then: ClassRaster, now: ClassRaster) -> DiffMap:
    """How each pixel changed between two class rasters of one shape."""
    changed = np.full(then.shape, CHANGED, np.uint8)
    changed[then == UNLABELLED] = LABELLED
    changed[now == UNLABELLED] = REMOVED
    changed[then == now] = SAME
    return changed


def diff(then: ClassRaster, now: ClassRaster) -> Diff:
    """Count what changed between two class rasters of one shape."""
    pixels = np.bincount(diff_map(then, now).ravel(), minlength=len(CHANGES))
    differs = then != now
    lost, gained = (np.bincount(raster[differs], minlength=CLASS_COUNT)[:CLASS_COUNT] for raster in (then, now))
    return Diff(
        pixels={change.name: int(n) for change, n in zip(CHANGES, pixels, strict=True)},
        gained={name: int(n) for name, n in zip(CLASS_NAMES, gained, strict=True)},
        lost={name: int(n) for name, n in zip(CLASS_NAMES, lost, strict=True)},
    )


def encode_diff(changed: DiffMap) -> bytes:
    """A palette PNG of a diff map in the colours of ``CHANGES``, see-through by its palette."""
    image = Image.fromarray(changed)
    image.putpalette([part for change in CHANGES for part in change.colour[:3]])
    stream = io.BytesIO()
    image.save(stream, "png", compress_level=1, transparency=bytes(change.colour[3] for change in CHANGES))
    return stream.getvalue()


def _checked_name(name: str) -> str:
    kept = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    if not kept:
        raise InputError("A version needs a name; type one, such as 'before the forest edge'.")
    if len(kept) > MAX_NAME_LETTERS:
        raise InputError(f"A version's name has at most {MAX_NAME_LETTERS} letters and this one has {len(kept)}.")
    return kept


def _named(sheet: Sheet) -> Select[LabelVersion]:
    """The named versions of a sheet, newest first, without their pixels."""
    return (
        select(LabelVersion)
        .where(sheet.owns(LabelVersion), LabelVersion.name.is_not(None))
        .order_by(LabelVersion.id.desc())
        .options(defer(LabelVersion.raster), defer(LabelVersion.origins))
    )


def _find(session: Session, tile: Tile, version_id: int) -> LabelVersion:
    row = session.get(LabelVersion, version_id, options=[defer(LabelVersion.raster), defer(LabelVersion.origins)])
    if row is None or row.name is None or row.tile_id != tile.id:
        raise InputError(f"There is no version {version_id} of tile {tile.name}; choose one from the list.")
    return row


def _version(row: LabelVersion) -> Version:
    return Version(row.id, row.name or "", row.annotator, row.sequence, row.created)
