"""A raster of any size, read once from the top down in whole rows, at the resolution that a network sees.

Rows are read in order and never again, since JPEG and PNG can be read in no other way. Nothing is held but the rows
that are asked for, and one bit a pixel (``ValidRows``) that says which of them hold a picture at all.
"""

import contextlib
import math
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from core.catalog.georeference import ground_resolution
from core.catalog.images import MAX_PIXELS, STRETCH_PERCENTILES, read_info
from core.errors import InputError

Pixels = NDArray[np.uint8]
"""``(rows, width, 3)`` uint8 RGB."""

MAX_SIDE = 100_000
"""The longest side of a raster: memory grows with the width, and a mistaken header must not fill it."""
ALIGNMENT = 32
"""Working rows are given in multiples of it, but for the last ones: the coarsest stride of the usual encoders."""
GDAL_CACHE_BYTES = 64 << 20
"""Of decoded blocks; GDAL's own bound is a twentieth of the machine's memory."""

ROWS_AT_ONCE = 256
"""Rows that are read at once, but for a unit that has more."""

_DRIVERS = ("GTiff", "JPEG", "PNG")
_SAMPLE_ROWS = 64  # from which percentiles are taken
_SAMPLE_COLUMNS = 2000


@dataclass(frozen=True, slots=True)
class Stretch:
    """What becomes 0 and 255 in a band that has more than 8 bits."""

    low: float
    high: float

    def applied(self, band: NDArray[Any]) -> Pixels:
        """``(rows, width)`` of any number type to uint8; what is no number is darkest."""
        scale = 255.0 / (self.high - self.low) if self.high > self.low else 0.0
        numbers = np.nan_to_num(band.astype(np.float32), nan=self.low, posinf=self.high, neginf=self.low)
        return np.asarray(np.clip((numbers - self.low) * scale, 0, 255), np.uint8)


class ValidRows:
    """Which pixels hold a picture, one bit each, from the reading thread to the writing one."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: deque[NDArray[np.uint8] | None] = deque()
        self._lock = threading.Lock()

    def put(self, valid: NDArray[np.bool_]) -> None:
        """Add ``(rows, width)``, the next ones."""
        packed = [None] * len(valid) if valid.all() else list(np.packbits(valid, axis=1))
        with self._lock:
            self._rows.extend(packed)

    def take(self, count: int) -> NDArray[np.bool_]:
        """Take the next ``count`` rows out, ``(count, width)``."""
        with self._lock:
            packed = [self._rows.popleft() for _ in range(count)]
        rows = np.ones((count, self._width), np.bool_)
        for row, bits in zip(rows, packed, strict=True):
            if bits is not None:
                row[:] = np.unpackbits(bits, count=self._width)
        return rows

    def clear(self) -> None:
        """Forget what was put: nobody will take it."""
        with self._lock:
            self._rows.clear()


@dataclass(frozen=True, slots=True)
class WorkingRows:
    """Rows at working resolution: ``pixels`` (rows, width, 3) uint8; ``valid`` whether each column's are any good."""

    pixels: Pixels
    valid: NDArray[np.bool_]


class RasterSource:
    """An open raster; a context manager.

    ``size`` and ``working`` are (height, width), of its pixels and at the resolution asked for; ``rows_per_unit`` of
    its rows become ``ALIGNMENT`` working rows. ``notes`` are sentences on what was made of it.
    """

    def __init__(self, path: Path, *, resolution_m: float | None) -> None:
        """Open a raster to be read at ``resolution_m`` metres a pixel, None for as it is; it is never enlarged.

        Raises ``InputError`` for a file that is missing, damaged, no GeoTIFF, JPEG or PNG, or too large.
        """
        self.path = path
        self._dataset = _open(path)
        dataset = self._dataset
        self.size: tuple[int, int] = (dataset.height, dataset.width)
        metres_x, metres_y, crs = ground_resolution(dataset)
        self.crs = dataset.crs if crs is not None else None
        self.transform = dataset.transform
        self.metres_per_pixel = (metres_y, metres_x)
        down, across = (1.0 if resolution_m is None else min(1.0, m / resolution_m) for m in self.metres_per_pixel)
        self.rows_per_unit = round(ALIGNMENT / down)
        whole, rest = divmod(self.size[0], self.rows_per_unit)
        rows = whole * ALIGNMENT + round(rest * ALIGNMENT / self.rows_per_unit)
        self.working: tuple[int, int] = (max(1, rows), max(1, round(self.size[1] * across)))
        self.working_per_pixel = (ALIGNMENT / self.rows_per_unit, self.working[1] / self.size[1])
        self.valid = ValidRows(self.size[1])
        self.notes: list[str] = []
        if self.crs is None:
            self.notes.append(f"{path.name} has no coordinate reference system: 0.5 m a pixel is assumed.")
        self._bands, self._colours = _bands(dataset)
        self._stretches = self._find_stretches()

    def __enter__(self) -> "RasterSource":
        return self

    def __exit__(self, *_error: object) -> None:
        self._dataset.close()

    def working_rows(self) -> Iterator[WorkingRows]:
        """All rows from the top at working resolution, some at a time, in multiples of ``ALIGNMENT`` but the last.

        Raises ``InputError`` where the file is damaged.
        """
        height = self.size[0]
        step = max(1, ROWS_AT_ONCE // self.rows_per_unit) * self.rows_per_unit
        done = 0
        for top in range(0, height, step):  # at most ``ROWS_AT_ONCE`` working rows
            pixels, valid = self._read(top, min(top + step, height))
            self.valid.put(valid)
            rows = min(round((top + len(pixels)) * self.working_per_pixel[0]), self.working[0]) - done
            if top + step >= height:
                rows = self.working[0] - done
            if rows <= 0:
                continue  # the last rows are less than half a working row
            done += rows
            working = cv2.resize(pixels, (self.working[1], rows), interpolation=cv2.INTER_AREA)
            edges = (np.arange(self.working[1]) / self.working_per_pixel[1]).astype(np.intp)
            yield WorkingRows(np.asarray(working, np.uint8), np.logical_or.reduceat(valid.any(axis=0), edges))

    def _read(self, top: int, bottom: int) -> tuple[Pixels, NDArray[np.bool_]]:
        window = Window(0, top, self.size[1], bottom - top)
        try:
            bands = self._dataset.read(self._bands, window=window)
            valid = self._dataset.dataset_mask(window=window) > 0
        except RasterioError as error:
            raise InputError(
                f"{self.path} is cut short or damaged: its rows {top} to {bottom} cannot be read; copy the file again."
            ) from error
        if self._colours is not None:
            return np.ascontiguousarray(self._colours[bands[0]]), valid
        if self._stretches is not None:
            bands = [stretch.applied(band) for band, stretch in zip(bands, self._stretches, strict=True)]
        pixels = np.empty((bottom - top, self.size[1], 3), np.uint8)
        for channel in range(3):
            pixels[..., channel] = bands[min(channel, len(bands) - 1)]
        if not valid.all():
            pixels[~valid] = 0
        return pixels, valid

    def _find_stretches(self) -> tuple[Stretch, ...] | None:
        """For each band that is read, from rows spread over the whole raster; None where it has 8 bits."""
        if all(self._dataset.dtypes[band - 1] == "uint8" for band in self._bands):
            return None
        height, width = self.size
        step = max(1, width // _SAMPLE_COLUMNS)
        rows = sorted({round(row) for row in np.linspace(0, height - 1, _SAMPLE_ROWS)})
        parts: list[NDArray[Any]] = []
        masks: list[NDArray[np.bool_]] = []
        for row in rows:
            window = Window(0, row, width, 1)
            try:
                parts.append(self._dataset.read(self._bands, window=window)[:, 0, ::step].astype(np.float64))
                masks.append(self._dataset.dataset_mask(window=window)[0, ::step] > 0)
            except RasterioError as error:
                raise InputError(f"{self.path} is cut short or damaged at row {row}; copy the file again.") from error
        sample, valid = np.concatenate(parts, axis=1), np.concatenate(masks)
        found = tuple(_stretch(band[valid & np.isfinite(band)]) for band in sample)
        percent = " to ".join(f"{p:g}" for p in STRETCH_PERCENTILES)
        ranges = ", ".join(f"{one.low:g} to {one.high:g}" for one in found)
        self.notes.append(
            f"{self.path.name} has {self._dataset.dtypes[0]} bands; each was stretched from its {percent} percentiles "
            f"({ranges}) to 0 to 255."
        )
        return found


def _stretch(values: NDArray[np.float64]) -> Stretch:
    if not values.size:
        return Stretch(0.0, 1.0)
    low, high = np.percentile(values, STRETCH_PERCENTILES)
    return Stretch(float(low), float(high))


def _open(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"There is no file {path}; give the path of a GeoTIFF, JPEG or PNG.")
    dataset = _opened(path)
    height, width = dataset.height, dataset.width
    try:
        if max(height, width) > MAX_SIDE:
            raise InputError(
                f"{path} is {width:,} x {height:,} pixels, and a raster's sides may be {MAX_SIDE:,} at most; cut it "
                "into smaller ones."
            )
        if np.dtype(dataset.dtypes[0]).kind == "c":
            raise InputError(f"{path} holds complex numbers, not a picture; export its amplitude as 8-bit bands.")
        if height * width <= MAX_PIXELS:
            read_info(path)  # finds a JPEG or PNG that is cut short, which GDAL fills with grey
    except InputError:
        dataset.close()
        raise
    return dataset


def _opened(path: Path) -> Any:
    for driver in _DRIVERS:  # by name: GDAL's other drivers would take a file that fetches what lies elsewhere
        with contextlib.suppress(RasterioError):
            return rasterio.open(path.absolute(), driver=driver)
    raise InputError(f"{path} is damaged, or no GeoTIFF, JPEG or PNG; choose another file.")


def _bands(dataset: Any) -> tuple[list[int], NDArray[np.uint8] | None]:
    """The bands to read (three, or one for grey), and the colour table ``(256, 3)`` where one band is a palette."""
    if dataset.count >= 3:
        return [1, 2, 3], None
    if dataset.colorinterp[0].name != "palette" or dataset.dtypes[0] != "uint8":
        return [1], None
    table = dataset.colormap(1)
    return [1], np.array([table.get(index, (0, 0, 0))[:3] for index in range(256)], np.uint8)


class Strip:
    """A strip of working rows that moves down a raster, in one buffer as high as the highest strip asked for."""

    def __init__(self, source: RasterSource, most: int) -> None:
        """``most`` is the most rows that a strip will have."""
        self._source = source
        self._rows = source.working_rows()
        self._pixels: Pixels = np.empty((most + ROWS_AT_ONCE, source.working[1], 3), np.uint8)
        self._valid: list[tuple[int, NDArray[np.bool_]]] = []  # one past a part's last row, and its columns
        self._top = self._bottom = 0  # the rows that are held

    def rows(self, top: int, bottom: int) -> WorkingRows:
        """The rows ``top`` to ``bottom``, neither above those of the call before; a view, good until the next call.

        Below the raster the rows are mirrored, as networks are trained.
        """
        self._drop(top)
        inside = min(bottom, self._source.working[0])
        while self._bottom < inside:
            part = next(self._rows)
            held = self._bottom - self._top
            self._pixels[held : held + len(part.pixels)] = part.pixels
            self._bottom += len(part.pixels)
            self._valid.append((self._bottom, part.valid))
        valid = np.any([columns for _, columns in self._valid], axis=0)
        pixels = self._pixels[: inside - top]
        if bottom > inside:
            pixels = np.pad(pixels, ((0, bottom - inside), (0, 0), (0, 0)), mode="symmetric")
        return WorkingRows(pixels, valid)

    def end(self) -> None:
        """Read what is left: less than a working row, but its pixels are to be told valid or not."""
        for _ in self._rows:
            pass

    def _drop(self, top: int) -> None:
        held = self._bottom - top
        self._pixels[:held] = self._pixels[top - self._top : self._bottom - self._top]
        self._top = top
        self._valid = [(bottom, columns) for bottom, columns in self._valid if bottom > top]


def blocks(length: int, most: int) -> list[tuple[int, int]]:
    """A side in pieces of even length, up to ``most`` and whole multiples of ``ALIGNMENT``: (first, one past last)."""
    count = math.ceil(length / most)
    step = -(-length // (count * ALIGNMENT)) * ALIGNMENT
    return [(start, min(start + step, length)) for start in range(0, length, step)]
