"""Superpixels: small connected pieces of like colour, so that one touch paints up to a visible border.

SLIC (Achanta et al., TPAMI 34(11), 2012; scikit-image's) cuts the tile, at half resolution, into fine pieces. Their
neighbours are then joined into medium and these into coarse ones, always those first whose joining adds least to Ward's
sum of squares in the same colour and place distance. So grains nest, and all three cost one SLIC. Joined pieces also
follow the given masks better than SLIC's own at the same count: on five DeepGlobe tiles the best mIoU that they allow
is .89 against .88 in the middle grain, .82 against .81 in the coarse one.

What is kept of a tile is the fine piece of every half-resolution pixel and two tables from fine to coarser pieces.
"""

import io
import os
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from core.atomic import write_bytes
from core.catalog.images import read_image
from core.errors import InputError
from core.labels.strokes import Box
from core.tables import Tile
from core.workspace import Workspace

GRAINS = {"fine": 12.0, "medium": 25.0, "coarse": 50.0}
"""The side of a piece in metres, by grain: some 10 400, 2 400 and 600 pieces on a DeepGlobe tile."""

METHOD = 1
"""Goes up with every change of the figures below: pieces that were cut otherwise have other numbers."""

MAX_PIXELS = 64 * 2**20
"""The most pixels of a tile that is cut; one SLIC of it takes some 3 GB."""

LIMIT_BYTES = 2**30
"""What the folder of kept pieces may hold: some 4 000 DeepGlobe tiles."""

_SMALLEST_SIDE = {"fine": 6.0, "medium": 12.0, "coarse": 24.0}  # half-resolution pixels, where pixels are large
_MAX_PIECES = 2**16  # piece numbers are kept as uint16
_BLUR = 1.5  # half-resolution pixels; without it pieces follow the texture of crops and crowns
_COMPACTNESS = 6.0  # of SLIC: CIELAB units that a distance of one piece's side is worth
_JOIN_COMPACTNESS = 12.0
_ITERATIONS = 5  # twice as many take twice as long and gain nothing against the masks
_KEPT_IN_MEMORY = 6

Ids = NDArray[np.int32]
"""The piece of each half-resolution pixel: pixel (r, c) of the tile belongs to (r // 2, c // 2)."""


@dataclass(frozen=True, slots=True)
class Superpixels:
    """The pieces of one tile: ``fine`` (uint16, half resolution) and for each grain a table fine piece -> piece."""

    fine: NDArray[np.uint16]
    table: dict[str, NDArray[np.uint16]]

    def count(self, grain: str) -> int:
        """How many pieces a grain has; they are numbered from 0."""
        return int(self.table[grain].max()) + 1

    def ids(self, grain: str) -> Ids:
        """The piece of every half-resolution pixel, ``(ceil(height / 2), ceil(width / 2))``."""
        return self.table[grain].astype(np.int32)[self.fine]


def is_ready(workspace: Workspace, tile: Tile) -> bool:
    """Whether a tile's pieces are there, so that asking for them does not cut them now."""
    return _memory.get(_path(workspace, tile)) is not None or _path(workspace, tile).is_file()


def prepare(workspace: Workspace, tile: Tile) -> Superpixels:
    """A tile's pieces in all grains: from memory, from disk, or cut now (about a second) and kept.

    Raises ``InputError`` where the image cannot be read, is of another size than when it was indexed, or is too large.
    """
    path = _path(workspace, tile)
    with _cutting:  # one at a time: whoever comes second finds it done
        pieces = _memory.get(path)
        if pieces is None:
            pieces = _read(path, tile)
            if pieces is None:
                pieces = cut(_image(tile), metres_per_pixel=_resolution(tile))
                write_bytes(path, _encode(pieces))
                _trim(path)
            _memory.put(path, pieces)
    return pieces


def ids(workspace: Workspace, tile: Tile, grain: str) -> Ids:
    """The pieces of a grain at half resolution; see ``prepare``. Raises ``InputError`` for a grain that is none."""
    _check_grain(grain)
    return prepare(workspace, tile).ids(grain)


def region(workspace: Workspace, tile: Tile, grain: str, segments: Sequence[int]) -> tuple[Box, NDArray[np.bool_]]:
    """The pixels of the tile that lie in the pieces ``segments``: the smallest box, and a mask of its size.

    Raises ``InputError`` for a grain or piece that does not exist, and as ``prepare`` does.
    """
    _check_grain(grain)
    pieces = prepare(workspace, tile)
    count = pieces.count(grain)
    wanted = np.unique(np.asarray(segments, np.int64))
    if not wanted.size or wanted[0] < 0 or wanted[-1] >= count:
        raise InputError(
            f"Tile {tile.name} has {count} {grain} superpixels, numbered from 0, and the stroke names others; "
            "reload the page and paint it again."
        )
    chosen = np.zeros(count, np.bool_)
    chosen[wanted] = True
    half = chosen[pieces.table[grain]][pieces.fine]
    rows, columns = np.flatnonzero(half.any(axis=1)), np.flatnonzero(half.any(axis=0))
    top, left = 2 * int(rows[0]), 2 * int(columns[0])
    height = min(2 * int(rows[-1]) + 2, tile.height) - top
    width = min(2 * int(columns[-1]) + 2, tile.width) - left
    piece = half[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Box(top, left, height, width), piece.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


def version(tile: Tile) -> str:
    """Changes whenever a tile's pieces would be others."""
    return f"{tile.fingerprint}-{METHOD}-{_resolution(tile):.4g}"


def cut(rgb: NDArray[np.uint8], *, metres_per_pixel: float) -> Superpixels:
    """Cut an ``(H, W, 3)`` RGB image into pieces of every grain, at half resolution."""
    height, width = (rgb.shape[0] + 1) // 2, (rgb.shape[1] + 1) // 2
    half = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = np.asarray(cv2.cvtColor(cv2.GaussianBlur(half, (0, 0), _BLUR), cv2.COLOR_RGB2LAB), np.float32)
    sides = {name: max(side / (2 * metres_per_pixel), _SMALLEST_SIDE[name]) for name, side in GRAINS.items()}
    targets = {name: min(max(1, round(height * width / side**2)), _MAX_PIECES // 2) for name, side in sides.items()}
    span = float(lab.max() - lab.min()) or 1.0  # SLIC stretches what it is given to 0..1, its compactness not
    fine = slic(
        lab,
        n_segments=targets["fine"],
        compactness=_COMPACTNESS / span,
        max_num_iter=_ITERATIONS,
        convert2lab=False,
        start_label=0,
    ).astype(np.int64)
    table = {"fine": np.arange(int(fine.max()) + 1, dtype=np.uint16)}
    graph = _Graph.of(fine, lab)
    for name in ("medium", "coarse"):
        graph.join(targets[name], place_weight=(_JOIN_COMPACTNESS / sides[name]) ** 2)
        table[name] = np.unique(graph.joined, return_inverse=True)[1].astype(np.uint16)
    return Superpixels(fine.astype(np.uint16), table)


class _Graph:
    """Pieces, what they look like, and which of them touch; joined in place.

    ``joined`` is, for every fine piece, the piece that it is part of now.
    """

    def __init__(
        self, *, size: NDArray[np.float64], features: NDArray[np.float64], edges: tuple[NDArray[np.int64], ...]
    ) -> None:
        self._size = size
        self._features = features  # a row a piece: L, a, b, row, column
        self._first, self._second = edges
        self.joined = np.arange(len(size))

    @classmethod
    def of(cls, ids: NDArray[np.int64], lab: NDArray[np.float32]) -> "_Graph":
        """The graph of a cut image."""
        (height, width), flat = ids.shape, ids.ravel()
        size = np.bincount(flat).astype(np.float64)
        channels = [*np.moveaxis(lab, -1, 0).reshape(3, -1)]
        channels += [np.repeat(np.arange(height), width), np.tile(np.arange(width), height)]
        sums = [np.bincount(flat, weights=channel) for channel in channels]
        beside = (ids[:, 1:].ravel(), ids[:, :-1].ravel())
        below = (ids[1:].ravel(), ids[:-1].ravel())
        touching = np.concatenate([beside[0], below[0]]), np.concatenate([beside[1], below[1]])
        return cls(size=size, features=np.stack(sums, 1) / size[:, None], edges=_pairs(*touching, len(size)))

    def join(self, target: int, *, place_weight: float) -> None:
        """Join pairs until ``target`` pieces are left: in each round all that are each other's cheapest neighbour.

        The cost is Ward's (J. Am. Stat. Assoc. 58, 1963): what the sum of squares within pieces grows by.
        """
        weights = np.array([1, 1, 1, place_weight, place_weight])
        count = len(np.unique(self.joined))
        while count > target:
            first, second = self._first, self._second
            sizes = self._size[first] * self._size[second] / (self._size[first] + self._size[second])
            cost = sizes * ((self._features[first] - self._features[second]) ** 2 * weights).sum(axis=1)
            order = np.argsort(cost, kind="stable")
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order))  # ranks have no ties, so a piece is in one pair at most
            cheapest = np.full(len(self._size), len(order))
            np.minimum.at(cheapest, first, rank)
            np.minimum.at(cheapest, second, rank)
            mutual = order[((rank == cheapest[first]) & (rank == cheapest[second]))[order]][: count - target]
            self._merge(first[mutual], second[mutual])
            count -= len(mutual)

    def _merge(self, into: NDArray[np.int64], gone: NDArray[np.int64]) -> None:
        size = self._size[into] + self._size[gone]
        weighted = self._features[into] * self._size[into, None] + self._features[gone] * self._size[gone, None]
        self._features[into] = weighted / size[:, None]
        self._size[into] = size
        now = np.arange(len(self._size))
        now[gone] = into
        self.joined = now[self.joined]
        self._first, self._second = _pairs(now[self._first], now[self._second], len(now))


def _pairs(
    first: NDArray[np.int64], second: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each pair of different pieces once, the smaller number first."""
    differ = first != second
    first, second = first[differ], second[differ]
    keys = np.unique(np.minimum(first, second) * count + np.maximum(first, second))
    return keys // count, keys % count


def _image(tile: Tile) -> NDArray[np.uint8]:
    if tile.width * tile.height > MAX_PIXELS:
        raise InputError(
            f"Tile {tile.name} has {tile.width * tile.height:,} pixels and superpixels are made of up to "
            f"{MAX_PIXELS:,}; cut it into smaller tiles, or use the other tools."
        )
    rgb = read_image(Path(tile.image_path))
    if rgb.shape[:2] != (tile.height, tile.width):
        raise InputError(f"{tile.image_path} changed its size since it was indexed; index its folder again.")
    return rgb


def _resolution(tile: Tile) -> float:
    return float(np.sqrt(tile.metres_per_pixel_x * tile.metres_per_pixel_y))


def _check_grain(grain: str) -> None:
    if grain not in GRAINS:
        raise InputError(f"Superpixels come in {', '.join(GRAINS)}, not {grain[:20]!r}; choose one of these.")


def _path(workspace: Workspace, tile: Tile) -> Path:
    return workspace.superpixels / f"{version(tile)}.npz"


def _encode(pieces: Superpixels) -> bytes:
    stream = io.BytesIO()
    # Neighbours are mostly of one piece: what changes from pixel to pixel packs ten times better than the numbers.
    steps = np.diff(pieces.fine, axis=1, prepend=np.uint16(0))
    np.savez_compressed(stream, steps=steps, medium=pieces.table["medium"], coarse=pieces.table["coarse"])
    return stream.getvalue()


def _read(path: Path, tile: Tile) -> Superpixels | None:
    """What is kept, or None where it is missing or damaged: then it is cut anew."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            steps, medium, coarse = stored["steps"], stored["medium"], stored["coarse"]
        os.utime(path)  # used just now: last in line to be removed
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    sound = steps.shape == ((tile.height + 1) // 2, (tile.width + 1) // 2) and medium.shape == coarse.shape
    if not sound or any(array.dtype != np.uint16 for array in (steps, medium, coarse)) or medium.ndim != 1:
        return None
    fine = np.cumsum(steps, axis=1, dtype=np.uint16)
    if int(fine.max()) + 1 != len(medium):
        return None
    return Superpixels(fine, {"fine": np.arange(len(medium), dtype=np.uint16), "medium": medium, "coarse": coarse})


def _trim(newest: Path) -> None:
    """Remove the files that were not used for longest, until the folder is within its bound."""
    present = []
    for path in newest.parent.glob("*.npz"):
        try:
            status = path.stat()
        except FileNotFoundError:  # another process was here first
            continue
        present.append((status.st_mtime_ns, status.st_size, path))
    held = sum(size for _, size, _ in present)
    for _, size, path in sorted(present):
        if held <= LIMIT_BYTES:
            return
        if path != newest:
            path.unlink(missing_ok=True)
            held -= size


class _Memory:
    """The pieces last used, some 3 MB a tile. Safe between threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Path, Superpixels] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path) -> Superpixels | None:
        with self._lock:
            if path in self._entries:
                self._entries.move_to_end(path)
            return self._entries.get(path)

    def put(self, path: Path, pieces: Superpixels) -> None:
        with self._lock:
            self._entries[path] = pieces
            while len(self._entries) > _KEPT_IN_MEMORY:
                self._entries.popitem(last=False)


_memory = _Memory()
_cutting = Lock()
