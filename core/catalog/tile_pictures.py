"""Tiles and their given masks as pyramids, decoded once for all routes that show them, within stated bounds."""

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.catalog import thumbnails
from core.catalog.images import read_image, read_mask
from core.catalog.maps.contact_sheet import SIDE, micro
from core.catalog.pyramid import MASK_BYTES, MEMORY_BYTES, SMALL_BYTES, LevelCache, Levels
from core.errors import InputError
from core.tables import Tile
from core.workspace import Workspace

_REDUCIBLE = (".jpg", ".jpeg")


class TilePictures:
    """Reads through caches: each raises ``InputError`` where a file cannot be read."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._pictures = LevelCache(MEMORY_BYTES)
        self._masks = LevelCache(MASK_BYTES)
        self._small = LevelCache(SMALL_BYTES)

    def picture(self, tile: Tile) -> Levels:
        """The whole pyramid of a tile."""
        return self._pictures.get(tile.fingerprint, lambda: read_image(Path(tile.image_path)))

    def picture_of(self, tile: Tile, longest: int) -> Levels:
        """A pyramid of a tile that is at least ``longest`` pixels long: the cheapest one that will do.

        That is of a thumbnail, else of a JPEG decoded at a quarter or a half (15 and 25 ms of a DeepGlobe tile, beside
        90 ms for all of it), else the whole.
        """
        size = next((size for size in thumbnails.INDEXED_SIZES if size >= longest), None)
        if size is not None:
            kept = size
            return self._small.get(f"{tile.fingerprint}-{kept}", lambda: self._thumbnail(tile, kept))
        path, whole = Path(tile.image_path), max(tile.width, tile.height)
        part = next((part for part in (whole // 4, whole // 2) if part >= longest), None)
        if part is None or path.suffix.lower() not in _REDUCIBLE or self._pictures.has(tile.fingerprint):
            return self.picture(tile)
        return self._pictures.get(f"{tile.fingerprint}-{part}", lambda: thumbnails.reduced(path, part))

    def mask(self, tile: Tile, longest: int) -> Levels:
        """A pyramid of a tile's given mask that is at least ``longest`` pixels long."""
        key = tile.mask_fingerprint or ""
        if longest <= thumbnails.MASK_THUMBNAIL_SIZE:
            return self._small.get(f"{key}-mask", lambda: thumbnails.mask_thumbnail(self._workspace, tile))
        shape = (tile.height, tile.width)
        return self._masks.get(key, lambda: read_mask(Path(tile.mask_path or ""), shape).raster)

    def micro(self, tile: Tile) -> NDArray[np.uint8]:
        """The micro picture of a tile, (32, 32, 3): decoded at a quarter of its smallest thumbnail, 0.2 ms."""
        content = np.frombuffer(thumbnails.thumbnail(self._workspace, tile, 4 * SIDE), np.uint8)
        small = cv2.imdecode(content, cv2.IMREAD_REDUCED_COLOR_4)
        if small is None:
            raise InputError(f"The thumbnail of tile {tile.name} is damaged; remove the workspace's thumbnails.")
        return micro(np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8))

    def _thumbnail(self, tile: Tile, size: int) -> NDArray[np.uint8]:
        with Image.open(BytesIO(thumbnails.thumbnail(self._workspace, tile, size)), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))
