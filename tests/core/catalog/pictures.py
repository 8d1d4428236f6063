"""Small image and mask files, good and bad, for the catalogue's tests."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.classes import encode_colours

SHARED = Path(__file__).parents[3] / "../shared/data"


def noise(width: int = 64, height: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """A picture whose every pixel differs: ``(height, width, 3)`` uint8 RGB."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blocks(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """A class raster with all six classes in columns and an unlabelled last one."""
    columns = np.minimum(np.arange(width) * 7 // width, 6)
    raster = np.where(columns == 6, 255, columns).astype(np.uint8)
    return np.tile(raster, (height, 1))


def write_picture(path: Path, rgb: NDArray[np.uint8] | None = None) -> Path:
    """Write an RGB picture in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise() if rgb is None else rgb
    path.write_bytes(cv2.imencode(path.suffix.lower(), np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes())
    return path


def write_pair(folder: Path, name: str, seed: int = 0) -> Path:
    """Write ``<name>_sat.jpg`` and its palette mask; returns the image's path."""
    image = write_picture(folder / f"{name}_sat.jpg", noise(seed=seed))
    write_picture(folder / f"{name}_mask.png", encode_colours(blocks()))
    return image


def write_png_header(path: Path, width: int, height: int) -> Path:
    """Write a well-formed PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path
