"""Small pictures of tiles and of their masks, kept on disk under the fingerprint of the file they show."""

import math
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.atomic import write_bytes
from core.catalog.file_kinds import unreadable
from core.catalog.images import read_image, read_mask
from core.classes import ClassRaster
from core.errors import InputError
from core.tables import Tile
from core.workspace import Workspace

THUMBNAIL_SIZES = (128, 256, 512, 1024)
"""The longest sides, in pixels, that are served; the first three are made when a folder is indexed."""

INDEXED_SIZES = THUMBNAIL_SIZES[:3]
MASK_THUMBNAIL_SIZE = 512
JPEG_QUALITY = 85


def thumbnail(workspace: Workspace, tile: Tile, size: int) -> bytes:
    """A JPEG of the tile, ``size`` pixels on its longer side (never enlarged), from the cache or made now.

    Raises ``InputError`` when the tile's image cannot be read.
    """
    path = _thumbnail_path(workspace, tile.fingerprint, size)
    if not path.is_file():
        make_thumbnails(workspace, Path(tile.image_path), tile.fingerprint, sizes=(size,))
    return path.read_bytes()


def make_thumbnails(
    workspace: Workspace, image_path: Path, fingerprint: str, sizes: tuple[int, ...] = INDEXED_SIZES
) -> None:
    """Write the thumbnails of an image that are not there yet.

    The picture is decoded to its end, so this is also where a damaged file shows: raises ``InputError``.
    """
    missing = [size for size in sizes if not _thumbnail_path(workspace, fingerprint, size).is_file()]
    if not missing:
        return
    picture = reduced(image_path, max(missing))
    for size in sorted(missing, reverse=True):
        picture = _shrink(picture, size, cv2.INTER_AREA)
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        write_bytes(_thumbnail_path(workspace, fingerprint, size), encoded.tobytes())


def mask_thumbnail(workspace: Workspace, tile: Tile) -> ClassRaster:
    """The tile's given mask as a class raster of at most 512 pixels a side, by nearest neighbour.

    Raises ``InputError`` when the tile has no mask or it cannot be read.
    """
    if tile.mask_path is None:
        raise InputError(f"Tile {tile.name} came without a mask.")
    path = _mask_thumbnail_path(workspace, tile.mask_fingerprint or "")
    if not path.is_file():
        make_mask_thumbnail(
            workspace, read_mask(Path(tile.mask_path), (tile.height, tile.width)).raster, tile.mask_fingerprint or ""
        )
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


def make_mask_thumbnail(workspace: Workspace, raster: ClassRaster, fingerprint: str) -> None:
    """Write a mask's thumbnail, class indices as grey values, if it is not there yet."""
    path = _mask_thumbnail_path(workspace, fingerprint)
    if not path.is_file():
        write_bytes(path, cv2.imencode(".png", small_mask(raster))[1].tobytes())


def small_mask(raster: ClassRaster) -> ClassRaster:
    """A class raster of at most 512 pixels a side, by nearest neighbour."""
    return _shrink(raster, MASK_THUMBNAIL_SIZE, cv2.INTER_NEAREST)


def _shrink(pixels: NDArray[np.uint8], size: int, interpolation: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    if scale >= 1:
        return pixels
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, target, interpolation=interpolation), np.uint8)


def reduced(path: Path, size: int) -> NDArray[np.uint8]:
    """The image at ``size`` or above: a JPEG is decoded at a half, a quarter or an eighth, up to 4 times faster.

    ``(height, width, 3)`` uint8 RGB. Raises ``InputError`` when it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        with Image.open(BytesIO(content), formats=("JPEG",)) as image:
            if image.mode not in {"RGB", "L"}:
                return read_image(path)
            scale = size / max(image.size)
            image.draft("RGB", (math.ceil(image.width * scale - 1e-6), math.ceil(image.height * scale - 1e-6)))
            return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        return read_image(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is damaged and cannot be decoded ({error}); copy the file again.") from error


def _thumbnail_path(workspace: Workspace, fingerprint: str, size: int) -> Path:
    return workspace.thumbnails / fingerprint[:2] / f"{fingerprint}-{size}.jpg"


def _mask_thumbnail_path(workspace: Workspace, fingerprint: str) -> Path:
    return workspace.thumbnails / fingerprint[:2] / f"{fingerprint}-mask.png"
