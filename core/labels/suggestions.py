"""What the model would paint on a tile: kept on disk, shown over the image, accepted by strokes.

``suggestions/<collection id>/<tile id>/<id>.png`` is the suggested class raster in the palette, unlabelled where
nothing is suggested; ``<id>-confidence.png`` is 8-bit grey, 255 certain, of any smaller size, stretched over the tile;
``<id>.json``, written last, says where it comes from. A suggestion never changes, so what a browser shows is what a
stroke accepts, whatever was learnt in between: ids are random, and one that was current stays for a while.

The suggestion that is shown is the newest of the live head, unless a person chose another (a run's, an imported
mask's): that one stays until they go back to the live head.
"""

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.atomic import write_bytes, write_json
from core.classes import UNLABELLED, ClassRaster
from core.errors import InputError
from core.labels.raster import encode
from core.labels.rasterising import Mask, rasterise_rings
from core.labels.strokes import Box, Point
from core.tables import Tile
from core.workspace import Workspace

LIVE = "live"
KEPT = 3
"""Suggestions of the live head that stay however old they are."""

KEPT_SECONDS = 120.0
"""How long every suggestion stays: a person may still be looking at it, or have a stroke on the way."""

CONFIDENCE_STEP = 4
"""The live head's confidence is kept for every fourth pixel of a row and column; its cells are 16 pixels wide."""

RENEWED = "The suggestion has been renewed meanwhile; click again."
_ID = re.compile(r"[0-9a-f]{16}")
_CHOSEN = "chosen.json"

Confidence = NDArray[np.uint8]
"""``(rows, columns)`` uint8, 255 certain: pixel (r, c) has that of row floor(r rows / height), columns alike."""


@dataclass(frozen=True, slots=True)
class Note:
    """Where a suggestion comes from.

    ``source`` is 'live', 'run: NAME' or 'import: FILE'. ``sequence`` is the tile's last operation that a live head had
    learnt from. ``made`` is seconds since 1970, ``seconds`` what it took by stage, ``key`` what else it was made from.
    """

    id: str
    source: str
    sequence: int
    made: float
    seconds: dict[str, float] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggestion with its pictures, read-only: ``raster`` of the tile's size, ``confidence`` of any smaller size."""

    raster: ClassRaster
    confidence: Confidence


def put(
    workspace: Workspace,
    tile: Tile,
    raster: ClassRaster,
    confidence: Confidence | None,
    *,
    source: str,
    sequence: int = 0,
    seconds: Mapping[str, float] | None = None,
    key: str = "",
) -> str:
    """Keep a suggestion, on disk when this returns, and give back its id.

    ``raster`` is uint8 of the tile's size, 255 where nothing is suggested; ``confidence`` None means certain
    everywhere. One that is not of the live head becomes the one that is shown. Raises ``InputError`` for a raster of
    another size and a disk that cannot be written.
    """
    if raster.shape != (tile.height, tile.width):
        raise InputError(
            f"The suggestion for tile {tile.name} is {raster.shape[1]} x {raster.shape[0]} pixels and the tile is "
            f"{tile.width} x {tile.height}; choose a mask that fits."
        )
    folder = _folder(workspace, tile)
    note = Note(secrets.token_hex(8), source, sequence, time.time(), dict(seconds or {}), key)
    sure = np.full((1, 1), 255, np.uint8) if confidence is None else confidence
    write_bytes(folder / f"{note.id}.png", encode(raster, see_through=True))
    write_bytes(folder / f"{note.id}-confidence.png", _grey_png(sure))
    write_json(folder / f"{note.id}.json", asdict(note))
    if source != LIVE:
        choose(workspace, tile, note.id)
    _trim(folder)
    return note.id


def choose(workspace: Workspace, tile: Tile, suggestion: str | None) -> None:
    """Show one suggestion until another is chosen; None goes back to the live head's."""
    if suggestion is None:
        (_folder(workspace, tile) / _CHOSEN).unlink(missing_ok=True)
    else:
        write_json(_folder(workspace, tile) / _CHOSEN, {"suggestion": suggestion})


def current(workspace: Workspace, tile: Tile) -> Note | None:
    """The suggestion that is shown, or None where there is none yet."""
    folder = _folder(workspace, tile)
    chosen = _chosen(folder)
    if chosen is not None:
        return chosen
    return max((note for note in _notes(folder) if note.source == LIVE), key=lambda note: note.made, default=None)


def find(workspace: Workspace, tile: Tile, *, source: str, key: str) -> Note | None:
    """The newest suggestion from one source that was made from what ``key`` says, or None."""
    alike = (note for note in _notes(_folder(workspace, tile)) if (note.source, note.key) == (source, key))
    return max(alike, key=lambda note: note.made, default=None)


def source(workspace: Workspace, tile: Tile, suggestion: str) -> str:
    """Where a suggestion comes from: 'live', 'run: NAME' or 'import: FILE'. Raises ``InputError`` if it is gone."""
    note = _read_note(_path(workspace, tile, suggestion, ".json"))
    if note is None:
        raise InputError(RENEWED)
    return note.source


def raster_file(workspace: Workspace, tile: Tile, suggestion: str) -> Path:
    """The raster's picture. Raises ``InputError`` where there is no such suggestion of the tile."""
    return _existing(_path(workspace, tile, suggestion, ".png"))


def confidence_file(workspace: Workspace, tile: Tile, suggestion: str) -> Path:
    """The confidence's picture. Raises ``InputError`` where there is no such suggestion of the tile."""
    return _existing(_path(workspace, tile, suggestion, "-confidence.png"))


def load(workspace: Workspace, tile: Tile, suggestion: str) -> Suggestion:
    """The pictures of a suggestion. Raises ``InputError`` where there is no such suggestion of the tile."""
    return _load(raster_file(workspace, tile, suggestion), confidence_file(workspace, tile, suggestion))


def region(
    workspace: Workspace,
    tile: Tile,
    *,
    suggestion: str,
    mode: str,
    points: Sequence[Point],
    threshold: float,
    class_index: int,
) -> tuple[Box, Mask, ClassRaster]:
    """The part of a suggestion that a stroke accepts: a box, which of its pixels, and their classes.

    A pixel counts where something is suggested and the confidence byte is at least ``threshold`` (0 to 1) times 255.
    Mode 'region' takes the 4-connected region of one suggested class around the seed ``points[0]``, 'class' the pixels
    of ``class_index``, 'lasso' those inside the ring ``points``, 'all' everything. Raises ``InputError`` where that is
    no pixel, and for a suggestion that is gone.
    """
    shown = load(workspace, tile, suggestion)
    counts = (shown.raster != UNLABELLED) & _stretched(shown.confidence, shown.raster.shape, threshold)
    if mode == "region":
        box, mask = _region_around(shown.raster, counts, points[0], threshold)
    elif mode == "lasso":
        box, ring = rasterise_rings([points], shown.raster.shape)
        mask = ring & counts[box.slices]
    else:
        mask = counts if mode == "all" else counts & (shown.raster == class_index)
        box = Box(0, 0, *mask.shape)
    return _cut(box, mask, shown.raster, threshold)


def _stretched(confidence: Confidence, shape: tuple[int, int], threshold: float) -> Mask:
    """Where the confidence suffices, by pixel of the tile."""
    enough = confidence >= ceil(threshold * 255)
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape, confidence.shape, strict=True))
    stretched: Mask = enough[rows][:, columns]
    return stretched


def _region_around(raster: ClassRaster, counts: Mask, seed: Point, threshold: float) -> tuple[Box, Mask]:
    column, row = int(np.floor(seed[0])), int(np.floor(seed[1]))
    if not (0 <= row < raster.shape[0] and 0 <= column < raster.shape[1]):
        raise InputError("The click lies outside the tile; click on the image.")
    if not counts[row, column]:
        raise InputError(_nothing(threshold))
    same = (counts & (raster == raster[row, column])).astype(np.uint8)
    filled = np.zeros((raster.shape[0] + 2, raster.shape[1] + 2), np.uint8)  # OpenCV wants a border of one pixel
    flags = 4 | (1 << 8) | cv2.FLOODFILL_MASK_ONLY
    _, _, _, (left, top, width, height) = cv2.floodFill(same, filled, (column, row), 0, flags=flags)
    box = Box(top, left, height, width)
    return box, filled[1:-1, 1:-1][box.slices].astype(np.bool_)


def _cut(box: Box, mask: Mask, raster: ClassRaster, threshold: float) -> tuple[Box, Mask, ClassRaster]:
    """The smallest box around the mask's pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise InputError(_nothing(threshold))
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    small = Box(box.top + top, box.left + left, height, width)
    return small, mask[top : top + height, left : left + width], raster[small.slices]


def _nothing(threshold: float) -> str:
    return f"Nothing is suggested there with at least {threshold:.0%} confidence; lower the limit or paint it by hand."


def _folder(workspace: Workspace, tile: Tile) -> Path:
    return workspace.suggestions(tile.collection_id) / str(tile.id)


def _path(workspace: Workspace, tile: Tile, suggestion: str, ending: str) -> Path:
    if not _ID.fullmatch(suggestion):
        raise InputError(RENEWED)
    return _folder(workspace, tile) / f"{suggestion}{ending}"


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(RENEWED)
    return path


def _notes(folder: Path) -> list[Note]:
    notes = (_read_note(path) for path in folder.glob("*.json") if path.name != _CHOSEN)
    return [note for note in notes if note is not None]


def _read_note(path: Path) -> Note | None:
    """A suggestion's note, or None where it is not there (any more)."""
    try:
        return Note(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None


def _chosen(folder: Path) -> Note | None:
    try:
        chosen = str(json.loads((folder / _CHOSEN).read_bytes())["suggestion"])
    except FileNotFoundError:
        return None
    return _read_note(folder / f"{chosen}.json")


def _trim(folder: Path) -> None:
    """Remove what nobody can be looking at any more: the old ones, but for the newest of each source."""
    chosen = _chosen(folder)
    keep = set() if chosen is None else {chosen.id}
    notes = sorted(_notes(folder), key=lambda note: note.made, reverse=True)
    seen: dict[str, int] = {}
    for note in notes:
        seen[note.source] = seen.get(note.source, 0) + 1
        if seen[note.source] <= (KEPT if note.source == LIVE else 1) or time.time() - note.made < KEPT_SECONDS:
            keep.add(note.id)
    for note in notes:
        if note.id not in keep:
            for ending in (".json", ".png", "-confidence.png"):  # the note first: without it the rest is not found
                (folder / f"{note.id}{ending}").unlink(missing_ok=True)


def _grey_png(confidence: Confidence) -> bytes:
    encoded, content = cv2.imencode(".png", confidence, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not encoded:
        raise ValueError(f"a confidence of {confidence.shape} {confidence.dtype} cannot be written as PNG")
    return content.tobytes()


@lru_cache(maxsize=4)
def _load(raster: Path, confidence: Path) -> Suggestion:
    """Files of one id never change, so they are read once."""
    try:
        with Image.open(raster) as image:
            classes = np.array(image)
        with Image.open(confidence) as image:
            sure = np.array(image)
    except FileNotFoundError as error:
        raise InputError(RENEWED) from error
    classes.setflags(write=False)
    sure.setflags(write=False)
    return Suggestion(classes, sure)
