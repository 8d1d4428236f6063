"""A class raster in strips of rows, each with what follows from its pixels, worked out once.

After every stroke the whole mask is written and its instances are counted anew. Most of a tile is as it was before, so
both are put together from strips, and only the strips that a stroke changed are compressed and searched again. The
time of a stroke then does not grow with what is painted on the tile.
"""

import io
import struct
import zlib
from collections.abc import Sequence
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from core.classes import PALETTE, ClassRaster
from core.labels.instances import Parts, find_parts

STRIP_ROWS = 96
_LEVEL = 1  # zlib's quickest: higher ones take a few times as long and save a tenth
_ADLER_BASE = 65521


class Deflated(NamedTuple):
    """A strip as a chunk of a PNG, with the Adler-32 sum and the length of what is compressed in it."""

    chunk: bytes
    adler: int
    length: int


class Strip:
    """Some rows of a class raster (read-only array)."""

    def __init__(self, rows: ClassRaster) -> None:
        self.rows = rows

    @cached_property
    def parts(self) -> Parts:
        """The connected regions in it."""
        return find_parts(self.rows)

    @cached_property
    def deflated(self) -> Deflated:
        """The rows, each behind a byte that says 'not filtered', as deflate blocks that need no others before them."""
        lines = np.zeros((self.rows.shape[0], self.rows.shape[1] + 1), np.uint8)
        lines[:, 1:] = self.rows
        content = lines.tobytes()
        compressor = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
        blocks = compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH)
        return Deflated(_chunk(b"IDAT", blocks), zlib.adler32(content), len(content))


def cut(raster: ClassRaster, before: Sequence[Strip] = ()) -> tuple[Strip, ...]:
    """Cut a class raster into strips, taking those from ``before`` that are the same in the same place.

    The raster must not change afterwards: strips are views of it.
    """
    fresh = (raster[top : top + STRIP_ROWS] for top in range(0, raster.shape[0], STRIP_ROWS))
    return tuple(
        old if old is not None and np.array_equal(old.rows, rows) else Strip(rows)
        for rows, old in zip_longest(fresh, before[: -(-raster.shape[0] // STRIP_ROWS)])
    )


def encode_png(strips: Sequence[Strip], texts: dict[str, str]) -> bytes:
    """A palette PNG of all strips in the class palette, with text chunks (PNG specification, W3C 2003, clause 11).

    The image data is one zlib stream over several chunks: a header, the deflate blocks of each strip, an empty last
    block and the sum over all (RFC 1950, RFC 1951).
    """
    height, width = sum(len(strip.rows) for strip in strips), strips[0].rows.shape[1]
    stream = io.BytesIO()
    stream.write(b"\x89PNG\r\n\x1a\n")
    stream.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)))
    stream.write(_chunk(b"PLTE", PALETTE.tobytes()))
    for name, text in texts.items():
        stream.write(_chunk(b"tEXt", name.encode("latin-1") + b"\0" + text.encode("latin-1")))
    stream.write(_chunk(b"IDAT", b"\x78\x01"))
    adler = 1
    for strip in strips:
        stream.write(strip.deflated.chunk)
        adler = _joined_adler(adler, strip.deflated)
    stream.write(_chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", adler)))
    stream.write(_chunk(b"IEND", b""))
    return stream.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def _joined_adler(first: int, second: Deflated) -> int:
    """The Adler-32 sum of two texts in a row, from the sum of each (zlib's adler32_combine)."""
    low = (first & 0xFFFF) + (second.adler & 0xFFFF) - 1
    high = (first >> 16) + (second.adler >> 16) + second.length * ((first & 0xFFFF) - 1)
    return (high % _ADLER_BASE) << 16 | low % _ADLER_BASE
