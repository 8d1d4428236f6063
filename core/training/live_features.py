"""The features of the tiles that a live head works on, kept in memory as far as a stated bound allows.

A tile of 2448 x 2448 takes 26 MB of features. What does not fit is read from the cache on disk again (some 20 ms),
and what is not there either is computed (about a second); nothing fails for want of room. For the tile that somebody
paints, the running sums are kept too (110 MB), so that the vectors of new cells cost next to nothing.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from core.catalog.images import read_image
from core.progress import Progress
from core.tables import Tile
from core.training.cell_grid import CellGrid
from core.training.feature_cache import FeatureCache, holds_features, tile_features
from core.training.features import Features
from core.training.joined_features import Extractor
from models.heads import ContextTable, context_vectors

FEATURE_BYTES = 320 * 2**20
TABLE_BYTES = 256 * 2**20
_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """Where features come from: the cache on disk, or the encoder."""

    extractor: Extractor
    cache: FeatureCache

    def grid(self, tile: Tile) -> CellGrid:
        """The cells of a tile."""
        return self.extractor.grid((tile.height, tile.width), (tile.metres_per_pixel_y, tile.metres_per_pixel_x))

    def on_disk(self, tile: Tile) -> bool:
        """Whether they need not be computed."""
        return holds_features(self.cache, self.extractor, fingerprint=tile.fingerprint)

    def read(self, tile: Tile, progress: Progress) -> Features:
        """The features of a tile, computed and kept where they are not there yet.

        Raises ``InputError`` for an image that cannot be read, and ``CancelledError``.
        """
        return tile_features(
            self.cache,
            self.extractor,
            fingerprint=tile.fingerprint,
            grid=self.grid(tile),
            read=lambda: read_image(Path(tile.image_path)),
            progress=progress,
        )


class LiveFeatures:
    """Features and running sums of the tiles used last."""

    def __init__(
        self,
        source: FeatureSource,
        progress: Progress,
        *,
        feature_bytes: int = FEATURE_BYTES,
        table_bytes: int = TABLE_BYTES,
    ) -> None:
        self.source = source
        self._progress = progress
        self._features = _Recent[Features](feature_bytes, lambda features: features.nbytes)
        self._tables = _Recent[ContextTable](table_bytes, lambda table: table.size_bytes)

    @property
    def held_bytes(self) -> int:
        """What is kept in memory just now."""
        return self._features.held_bytes + self._tables.held_bytes

    def of(self, tile: Tile) -> Features:
        """The features of a tile."""
        return self._features.get(tile.fingerprint, lambda: self.source.read(tile, self._progress))

    def vectors(self, tile: Tile, cells: Tensor, windows: tuple[int, ...]) -> Tensor:
        """The context vectors of some cells of a tile, ``(n, windows * channels)`` float32."""
        if self._tables.holds(tile.fingerprint):
            return self._table(tile).vectors(cells, windows)
        return context_vectors(torch.from_numpy(self.of(tile)), cells, windows)

    def prepare(self, tile: Tile) -> None:
        """Keep the running sums of the tile that somebody paints, so that the next strokes on it are quick."""
        self._table(tile)

    def _table(self, tile: Tile) -> ContextTable:
        return self._tables.get(tile.fingerprint, lambda: ContextTable(torch.from_numpy(self.of(tile))))


class _Recent(Generic[_Kept]):
    """What was used last, up to a number of bytes; one thing alone may exceed it."""

    def __init__(self, limit_bytes: int, size_of: Callable[[_Kept], int]) -> None:
        self._limit_bytes, self._size_of = limit_bytes, size_of
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        return sum(map(self._size_of, self._kept.values()))

    def holds(self, key: str) -> bool:
        return key in self._kept

    def get(self, key: str, make: Callable[[], _Kept]) -> _Kept:
        if key not in self._kept:
            self._kept[key] = make()
        self._kept.move_to_end(key)
        while self.held_bytes > self._limit_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return self._kept[key]
