"""Features on disk: what makes the second run on the same tiles take seconds.

One ``.npy`` file per tile and extractor, float16. Files are written whole or not at all, so several processes
may share the folder; a file that is cut short, or is something else, counts as missing and is written anew.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.atomic import atomic_file
from core.training.features import Features
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
        self, *, fingerprint: str, extractor_identity: str, shape: tuple[int, int, int], compute: Callable[[], Features]
    ) -> Features:
        """The features of a tile: from disk where they are there and whole, else computed and kept.

        ``shape`` is what they must have. Raises ``InputError`` when the folder cannot be written.
        """
        path = self._path(fingerprint, extractor_identity)
        kept = _read(path, shape)
        if kept is not None:
            return kept
        features = compute()
        with atomic_file(path) as stream:
            np.save(stream, features, allow_pickle=False)
        self._trim(newest=path)
        return features

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


def _read(path: Path, shape: tuple[int, int, int]) -> Features | None:
    try:
        features = np.load(path, allow_pickle=False)
        os.utime(path)  # used just now: last in line to be removed
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(features, np.ndarray) or features.dtype != np.float16 or features.shape != shape:
        return None
    return features
