"""Features on disk: what makes the second run on the same tiles take seconds.

One ``.npy`` file per tile, extractor and view, float16; joined extractors keep a file for each of their parts. Files
are written whole or not at all, so several processes may share the folder; a file that is cut short, or is something
else, counts as missing and is written anew.
"""

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.atomic import atomic_file
from core.errors import NotSavedError
from core.inference.tta import Dihedral
from core.progress import Progress
from core.training.cell_grid import CellGrid
from core.training.features import AS_IT_IS, FeatureExtractor, Features, view_name
from core.training.joined_features import Extractor, part_grid
from core.workspace import feature_cache_folder

DEFAULT_BYTES = 20 * 2**30
"""How much the cache may hold: some 800 tiles of 2448 x 2448, all of DeepGlobe's labelled ones."""

_SAFE = re.compile(r"[\w.\-]+")


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """A folder of features, bounded in bytes; the files that were not used for longest go first."""

    folder: Path
    limit_bytes: int = DEFAULT_BYTES

    def fetch(
        self,
        *,
        fingerprint: str,
        extractor_identity: str,
        shape: tuple[int, int, int],
        compute: Callable[[], Features],
        mapped: bool = False,
    ) -> Features:
        """The features of a tile: from disk where they are there and whole, else computed and kept.

        ``shape`` is what they must have. ``mapped`` ones stay on disk and are read as they are used, so that those of
        many tiles take no memory that is needed elsewhere. Raises ``InputError`` when the folder cannot be written.
        """
        path = self._path(fingerprint, extractor_identity)
        return self._fetch(path, shape, np.float16, compute, mapped=mapped)

    def fetch_pieces(
        self, *, fingerprint: str, identity: str, shape: tuple[int, int], compute: Callable[[], NDArray[np.uint16]]
    ) -> NDArray[np.uint16]:
        """The superpixels of a tile, ``shape`` uint16, kept as features are."""
        return self._fetch(self._path(fingerprint, identity), shape, np.uint16, compute, mapped=False)

    def _fetch(
        self, path: Path, shape: tuple[int, ...], dtype: DTypeLike, compute: Callable[[], NDArray[Any]], *, mapped: bool
    ) -> NDArray[Any]:
        kept = _read(path, shape, dtype, mapped=mapped)
        if kept is not None:
            return kept
        made = compute()
        with atomic_file(path) as stream:
            np.save(stream, made, allow_pickle=False)
        self._trim(newest=path)
        again = _read(path, shape, dtype, mapped=True) if mapped else None
        return made if again is None else again

    def holds(self, *, fingerprint: str, extractor_identity: str) -> bool:
        """Whether there is a file for this tile, without reading it: for forecasts, not for trust."""
        return self._path(fingerprint, extractor_identity).is_file()

    def _path(self, fingerprint: str, extractor_identity: str) -> Path:
        name = f"{fingerprint}-{extractor_identity}"
        if not _SAFE.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a file's name")
        return self.folder / f"{name}.npy"

    def _trim(self, newest: Path) -> None:
        files = sorted(_entries(self.folder))
        total = sum(size for _, size, _ in files)
        for _, size, entry in files:
            if total <= self.limit_bytes:
                return
            if entry != newest:
                entry.unlink(missing_ok=True)
                total -= size


def tile_features(
    cache: FeatureCache,
    extractor: Extractor,
    *,
    fingerprint: str,
    grid: CellGrid,
    read: Callable[[], NDArray[np.uint8]],
    transform: Dihedral = AS_IT_IS,
    progress: Progress | None = None,
    mapped: bool = False,
) -> Features:
    """The features of a tile as ``extractor.extract`` gives them, each of its parts from the cache where it is there.

    Args:
        cache: where they are kept.
        extractor: one encoder at one resolution, or several joined.
        fingerprint: of the tile's file.
        grid: the tile's cells, made by the extractor.
        read: gives the ``(height, width, 3)`` uint8 RGB tile; asked for once at most, where something is missing.
        transform: how the tile lies for the encoder; its features are kept apart from those of other views.
        progress: may stop the work by raising ``CancelledError``.
        mapped: leave them on disk, as ``FeatureCache.fetch`` does.

    Raises ``InputError`` when the cache cannot be written, and what ``read`` does.
    """
    image = once(read)

    def part_features(part: FeatureExtractor) -> Features:
        cells = grid if len(extractor.parts) == 1 else part_grid(part, grid)
        return cache.fetch(
            fingerprint=fingerprint,
            extractor_identity=part.identity + view_name(transform),
            shape=(part.channels, *cells.cells),
            compute=lambda: part.extract(image(), cells, transform=transform, progress=progress),
            mapped=mapped,
        )

    joined = extractor.join([part_features(part) for part in extractor.parts], grid)
    return _on_disk(joined, cache.folder) if mapped and len(extractor.parts) > 1 else joined


def holds_features(
    cache: FeatureCache, extractor: Extractor, *, fingerprint: str, transform: Dihedral = AS_IT_IS
) -> bool:
    """Whether all features of a view of a tile are in the cache, without reading them."""
    identities = (part.identity + view_name(transform) for part in extractor.parts)
    return all(cache.holds(fingerprint=fingerprint, extractor_identity=identity) for identity in identities)


def default_cache() -> FeatureCache:
    """The cache in the user's cache folder, or where ``TILEWRIGHT_CACHE`` says."""
    return FeatureCache(feature_cache_folder())


def _entries(folder: Path) -> list[tuple[int, int, Path]]:
    """Time of last use (nanoseconds), size (bytes) and path of every file in the cache."""
    present = []
    for path in folder.glob("*.npy"):
        try:
            status = path.stat()
        except FileNotFoundError:  # another process trimmed it between listing and looking
            continue
        present.append((status.st_mtime_ns, status.st_size, path))
    return present


def _read(path: Path, shape: tuple[int, ...], dtype: DTypeLike, *, mapped: bool) -> NDArray[Any] | None:
    try:
        # Copy on write: torch wants arrays that it may write to, and nothing is ever written.
        kept = np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False)
        os.utime(path)  # used just now: last in line to be removed
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(kept, np.ndarray) or kept.dtype != dtype or kept.shape != shape:
        return None
    return kept


def _on_disk(features: Features, folder: Path) -> Features:
    """The same features in a nameless file, which goes when they are no longer used."""
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(features.data)
            stream.flush()
            return np.memmap(stream, np.float16, "c", shape=features.shape)
    except OSError as error:
        raise NotSavedError(
            f"Could not write to {folder}: {error.strerror or error}. Free some disk space, then try again."
        ) from error
