"""The class raster on disk: one palette PNG a tile, in DeepGlobe's colours.

The PNG's indices *are* the class raster (0..5, 255 unlabelled) and its palette is DeepGlobe's, so any reader that asks
for RGB gets a DeepGlobe mask byte for byte, and one that asks for indices gets ours. Text chunks name the operation
that wrote it, which ``journal.py`` compares with its own last one, and say what that operation was.
"""

import io
import json
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.atomic import write_bytes
from core.classes import CLASS_COUNT, PALETTE, UNLABELLED, ClassRaster, decode_colours
from core.errors import InputError
from core.labels.annotators import DEFAULT_ANNOTATOR, folder_name
from core.labels.strips import Strip, cut, encode_png
from core.tables import Tile
from core.workspace import Workspace

OPERATION_CHUNK = "tilewright-operation"
STEP_CHUNK = "tilewright-step"
CACHED_RASTERS = 8  # some 6 MB each at 2448 x 2448


@dataclass(frozen=True, slots=True)
class Step:
    """What an operation was: enough to enter it into the journal where the server died between file and commit.

    ``kind`` is stroke, undo or redo; ``stroke_id`` counts for the last two, the other fields for a new stroke.
    """

    kind: str = "stroke"
    stroke_id: int = 0
    tool: str = "outside"
    class_index: int = UNLABELLED
    annotator: str = DEFAULT_ANNOTATOR
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRaster:
    """A raster as it lies on disk (read-only array), cut into strips too.

    ``operation`` wrote it and ``step`` says what that was; both None where another program wrote it.
    """

    raster: ClassRaster
    operation: str | None
    step: Step | None
    strips: tuple[Strip, ...]


def mask_path(workspace: Workspace, tile: Tile, opinion: str = "") -> Path:
    """Where a tile's class raster lies, or an annotator's second opinion of it."""
    if opinion:
        return workspace.opinions(tile.collection_id, folder_name(opinion)) / f"{tile.name}_mask.png"
    return workspace.labels(tile.collection_id) / f"{tile.name}_mask.png"


def empty(tile: Tile) -> ClassRaster:
    """A raster of the tile's size with nothing labelled."""
    return np.full((tile.height, tile.width), UNLABELLED, np.uint8)


def blank(tile: Tile) -> StoredRaster:
    """What there is where there is no file yet."""
    raster = empty(tile)
    raster.setflags(write=False)
    return StoredRaster(raster, None, None, cut(raster))


def load(workspace: Workspace, tile: Tile) -> ClassRaster:
    """The tile's class raster as it lies on disk, read-only; all unlabelled where there is no file yet.

    Reads the file only. ``journal.load`` also mends what a crash left. Raises ``InputError`` where the file cannot be
    read or is not of the tile's size.
    """
    stored = read(mask_path(workspace, tile), (tile.height, tile.width))
    return empty(tile) if stored is None else stored.raster


def read(path: Path, shape: tuple[int, int]) -> StoredRaster | None:
    """Read a mask file, or None where there is none. Kept in memory until the file changes.

    Raises ``InputError`` where it is no image or not of ``shape`` (height, width).
    """
    try:
        stamp = _stamp(path)
    except FileNotFoundError:
        return None
    cached = _cache.get(path, stamp)
    if cached is None:
        cached = _decode(path, shape)
        _cache.put(path, stamp, cached)
    return cached


def save(path: Path, raster: ClassRaster, operation: str, step: Step | None = None) -> StoredRaster:
    """Write a class raster atomically, and give back a copy of it as it is kept.

    Raises ``NotSavedError`` where the disk is full or read-only.
    """
    for leftover in path.parent.glob(f".{path.name}.*.part"):  # of a writer that was killed: the journal lets in one
        leftover.unlink(missing_ok=True)
    kept = raster.copy()
    kept.setflags(write=False)
    strips = cut(kept, _cache.strips(path))
    step_text = {} if step is None else {STEP_CHUNK: json.dumps(asdict(step))}
    write_bytes(path, encode_png(strips, {OPERATION_CHUNK: operation, **step_text}))
    stored = StoredRaster(kept, operation, step, strips)
    _cache.put(path, _stamp(path), stored)
    return stored


def encode(raster: ClassRaster, *, see_through: bool = False) -> bytes:
    """A palette PNG of a class raster or a piece of one; ``see_through`` makes unlabelled pixels transparent."""
    image = Image.fromarray(raster)
    image.putpalette(PALETTE.tobytes())
    stream = io.BytesIO()
    transparency = {"transparency": UNLABELLED} if see_through else {}
    image.save(stream, "png", compress_level=1, **transparency)
    return stream.getvalue()


def _decode(path: Path, shape: tuple[int, int]) -> StoredRaster:
    try:
        with Image.open(path) as image:
            if (image.height, image.width) != shape:
                raise InputError(
                    f"The labels {path} are {image.width} x {image.height} pixels and their tile is "
                    f"{shape[1]} x {shape[0]}; move that file away, then the labels are rebuilt from the journal."
                )
            text = image.info.get(OPERATION_CHUNK)
            operation = text if isinstance(text, str) else None
            step = _read_step(image.info.get(STEP_CHUNK))
            if operation is not None and image.mode == "P":
                raster = np.array(image)
                raster[raster >= CLASS_COUNT] = UNLABELLED
            else:  # written by another program: trust its colours only
                raster = decode_colours(np.asarray(image.convert("RGB"))).raster
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"The labels {path} cannot be read as an image; "
            "move that file away, then they are rebuilt from the journal."
        ) from error
    raster.setflags(write=False)
    return StoredRaster(raster, operation, step, cut(raster))


def _read_step(text: object) -> Step | None:
    """The step in a text chunk; None where there is none, or another program's."""
    try:
        return Step(**json.loads(text)) if isinstance(text, str) else None
    except (ValueError, TypeError):
        return None


_Stamp = tuple[int, int, int]


def _stamp(path: Path) -> _Stamp:
    """What changes whenever the file is replaced."""
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size


class _Cache:
    """The rasters last used, each good for as long as its file is the same. Safe between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Path, tuple[_Stamp, StoredRaster]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, stamp: _Stamp) -> StoredRaster | None:
        with self._lock:
            found = self._entries.get(path)
            if found is None or found[0] != stamp:
                return None
            self._entries.move_to_end(path)
            return found[1]

    def strips(self, path: Path) -> tuple[Strip, ...]:
        """Those of the raster that was read or written last, even where the file has changed since."""
        with self._lock:
            found = self._entries.get(path)
            return () if found is None else found[1].strips

    def put(self, path: Path, stamp: _Stamp, stored: StoredRaster) -> None:
        with self._lock:
            self._entries[path] = (stamp, stored)
            self._entries.move_to_end(path)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)


_cache = _Cache(CACHED_RASTERS)
