"""Provenance: how each labelled pixel came to its class, who did it and when.

A pixel's origin is the stroke that last changed its class; painting the class that a pixel already has changes nothing.
Unlabelled pixels have no origin.
"""

import io
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import InputError
from core.labels import sheets
from core.labels.sheets import Origins, Sheet, Standing
from core.tables import Stroke
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of origin: its name, its colour on the map, and the tools whose strokes are of it."""

    name: str
    colour: tuple[int, int, int]
    tools: tuple[str, ...]

    @property
    def hex_colour(self) -> str:
        """The colour as ``#rrggbb``."""
        return "#{:02x}{:02x}{:02x}".format(*self.colour)


KINDS: tuple[Kind, ...] = (
    Kind("brush", (0, 114, 178), ("brush", "eraser")),
    Kind("outline", (230, 159, 0), ("polygon", "lasso", "rectangle")),
    Kind("fill", (86, 180, 233), ("fill",)),
    Kind("superpixel", (0, 158, 115), ("superpixel",)),
    Kind("click", (204, 121, 167), ("click",)),
    Kind("suggestion", (213, 94, 0), ("suggestion",)),
    Kind("version", (140, 107, 177), ("version", "restore")),
    Kind("second opinion", (166, 86, 40), ("opinion",)),
    Kind("import", (240, 228, 66), ("import",)),
    Kind("outside", (119, 119, 119), ("outside", "clear")),
)
"""The first six colours and the import's are Okabe and Ito's, which colour-blind people tell apart (jfly.uni-koeln.de/
color, 2008); 'outside' is a mask that another program wrote."""

_KIND_OF_TOOL = {tool: index for index, kind in enumerate(KINDS) for tool in kind.tools}
NO_KIND = 255
"""Of unlabelled pixels, in a raster of kinds."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one pixel's class came from; ``detail`` names the run, import or version that it was copied from."""

    kind: Kind
    tool: str
    annotator: str
    when: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Shares:
    """How many labelled pixels are of each kind, by its name, and of each annotator."""

    kinds: dict[str, int]
    annotators: dict[str, int]


def origins(workspace: Workspace, tile_id: int, opinion: str = "") -> Origins:
    """The id of the stroke that labelled each pixel, 0 where unlabelled: (height, width) int32, read-only.

    The journal's view: call ``journal.load`` first where another program may have changed the mask. Raises
    ``InputError`` for an unknown tile.
    """
    with workspace.database.read() as session:
        return standing_in(workspace, session, sheets.find_sheet(session, tile_id, opinion)).origins


def standing_in(workspace: Workspace, session: Session, sheet: Sheet) -> Standing:
    """The raster that the journal says, with its origins, as the session sees it; both read-only."""
    return _cache.get(workspace, session, sheet)


def kinds(workspace: Workspace, tile_id: int, opinion: str = "") -> NDArray[np.uint8]:
    """The kind of each pixel's origin: (height, width) uint8 index into ``KINDS``, ``NO_KIND`` where unlabelled."""
    found = origins(workspace, tile_id, opinion)
    table = np.full(int(found.max()) + 1, NO_KIND, np.uint8)
    with workspace.database.read() as session:
        sheet = sheets.find_sheet(session, tile_id, opinion)
        query = select(Stroke.id, Stroke.tool).where(sheet.owns(Stroke), Stroke.id < len(table))
        for stroke_id, tool in session.execute(query).tuples():
            table[stroke_id] = _KIND_OF_TOOL[tool]
    return table[found]


def encode_kinds(of_pixels: NDArray[np.uint8]) -> bytes:
    """A palette PNG of a raster of kinds in their colours, unlabelled see-through."""
    image = Image.fromarray(of_pixels)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(KINDS)] = [kind.colour for kind in KINDS]
    image.putpalette(palette.tobytes())
    stream = io.BytesIO()
    image.save(stream, "png", compress_level=1, transparency=NO_KIND)
    return stream.getvalue()


def shares(workspace: Workspace, tile_id: int, opinion: str = "") -> Shares:
    """Count the labelled pixels of each kind and of each annotator, the most first."""
    pixels = np.bincount(origins(workspace, tile_id, opinion).ravel())
    by_kind = {kind.name: 0 for kind in KINDS}
    by_annotator: dict[str, int] = {}
    with workspace.database.read() as session:
        sheet = sheets.find_sheet(session, tile_id, opinion)
        query = select(Stroke.id, Stroke.tool, Stroke.annotator).where(sheet.owns(Stroke), Stroke.id < len(pixels))
        for stroke_id, tool, annotator in session.execute(query).tuples():
            if pixels[stroke_id]:
                by_kind[KINDS[_KIND_OF_TOOL[tool]].name] += int(pixels[stroke_id])
                by_annotator[annotator] = by_annotator.get(annotator, 0) + int(pixels[stroke_id])
    return Shares(_most_first(by_kind), _most_first(by_annotator))


def at(workspace: Workspace, tile_id: int, x: float, y: float, *, opinion: str = "") -> Origin | None:
    """The origin of the pixel at (x, y) in tile pixels; None where it is unlabelled.

    Raises ``InputError`` for a place outside the tile.
    """
    found = origins(workspace, tile_id, opinion)
    height, width = found.shape
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"There is no pixel at ({x:g}, {y:g}); the tile is {width} x {height} pixels.")
    stroke_id = int(found[math.floor(y), math.floor(x)])
    if stroke_id == 0:
        return None
    with workspace.database.read() as session:
        row = session.get_one(Stroke, stroke_id)
    detail = row.geometry.get("source", "")
    return Origin(KINDS[_KIND_OF_TOOL[row.tool]], row.tool, row.annotator, row.created, detail)


def _most_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(((name, n) for name, n in counts.items() if n), key=lambda item: -item[1]))


class _Cache:
    """The origins last asked for: a few strokes later only those few are put on top. Safe between threads."""

    SIZE = 2  # some 30 MB each at 2448 x 2448

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[Path, int, str], tuple[list[int], Standing]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, workspace: Workspace, session: Session, sheet: Sheet) -> Standing:
        key = (workspace.root, sheet.tile.id, sheet.opinion)
        done = sheets.done_strokes(session, sheet)
        with self._lock:
            known, result = self._entries.pop(key, ([], None))
            if result is None or done[: len(known)] != known:
                result = sheets.replay(session, sheet)
            elif len(done) > len(known):
                result = Standing(result.raster.copy(), result.origins.copy())
                for row in sheets.standing(session, sheet, after=known[-1] if known else 0):
                    result.add(row)
            result.raster.setflags(write=False)
            result.origins.setflags(write=False)
            self._entries[key] = (done, result)
            while len(self._entries) > self.SIZE:
                self._entries.popitem(last=False)
        return result


_cache = _Cache()
