"""A prediction of any size on disk: a Cloud Optimized GeoTIFF, written from the top down.

Everything is written in a hidden folder beside the target and moved there once it is whole, so that whoever looks finds
the old file or the new one, and a cancel or a full disk leaves nothing behind.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # GDAL's own errors, which a copy raises as they are
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from core.classes import CLASS_COUNT, CLASS_NAMES, PALETTE, UNLABELLED, ClassRaster
from core.errors import NotSavedError
from core.inference.raster_source import RasterSource

BLOCK = 512
"""Side of the blocks in which the file is stored; rows are written so many at a time."""
SPARE_BYTES = 32 << 20
"""Disk space that is left free: a disk that is full to the brim stops other programs too."""


class RasterTarget:
    """Takes rows of classes, and of probabilities if they are asked for; a context manager.

    ``finish`` moves the files into place; without it they are thrown away. Rows are cut to whole blocks here.
    """

    def __init__(self, path: Path, source: RasterSource, *, probabilities: Path | None) -> None:
        """Begin ``path``, and six uint8 bands (255 is certain) at ``probabilities`` if given.

        Raises ``NotSavedError`` where the folder cannot be written.
        """
        self._path, self._probabilities_path = path, probabilities
        self._height, self._width = source.size
        self._profile: dict[str, Any] = {
            "driver": "GTiff",
            "dtype": "uint8",
            "height": self._height,
            "width": self._width,
            "compress": "deflate",
            "tiled": True,
            "blockxsize": BLOCK,
            "blockysize": BLOCK,
            "BIGTIFF": "IF_SAFER",
            "crs": source.crs,
            "transform": source.transform if source.crs else Affine.identity(),
        }
        self._row = 0
        self._waiting = 0
        self._classes = np.empty((1, BLOCK, self._width), np.uint8)
        self._scaled = None if probabilities is None else np.empty((CLASS_COUNT, BLOCK, self._width), np.uint8)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        except OSError as error:
            raise self._not_saved(error.strerror or str(error)) from error
        self._open: list[Any] = []
        try:
            self._class_file = self._create("classes.tif", 1, ("land cover",))
            self._class_file.write_colormap(1, {index: (*map(int, PALETTE[index]), 255) for index in range(256)})
            self._scaled_file = None if probabilities is None else self._create("scaled.tif", CLASS_COUNT, CLASS_NAMES)
        except RasterioError as error:
            self.discard()
            raise self._not_saved(_reason(error)) from error

    def __enter__(self) -> "RasterTarget":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.discard()

    def add(self, classes: ClassRaster, scaled: NDArray[np.uint8] | None) -> None:
        """Take the next rows: ``(rows, width)`` classes, ``(6, rows, width)`` probabilities times 255.

        Raises ``NotSavedError`` on a full disk.
        """
        taken = 0
        while taken < len(classes):
            count = min(BLOCK - self._waiting, len(classes) - taken)
            into, part = slice(self._waiting, self._waiting + count), slice(taken, taken + count)
            self._classes[0, into] = classes[part]
            if self._scaled is not None and scaled is not None:
                self._scaled[:, into] = scaled[:, part]
            taken += count
            self._waiting += count
            if self._waiting == BLOCK:
                self._flush()

    def finish(self) -> None:
        """Write what is left and put the files in their place. Raises ``NotSavedError`` on a full disk."""
        self._flush()
        if self._row != self._height:
            raise ValueError(f"{self._row} of {self._height} rows were written")
        try:
            self._close()
            ready = self._folder / "cog.tif"
            rasterio.shutil.copy(
                self._folder / "classes.tif",
                ready,
                driver="COG",
                compress="deflate",
                blocksize=BLOCK,
                overview_resampling="mode",
                bigtiff="IF_SAFER",
            )
            self._check(ready)
            if self._probabilities_path is not None:
                self._check(self._folder / "scaled.tif")
                (self._folder / "scaled.tif").replace(self._probabilities_path)
            ready.replace(self._path)
        except (RasterioError, CPLE_BaseError, OSError) as error:
            raise self._not_saved(_reason(error)) from error

    def discard(self) -> None:
        """Throw away what is not in its place."""
        with contextlib.suppress(RasterioError, CPLE_BaseError):  # of a file that is thrown away
            self._close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _create(self, name: str, count: int, names: tuple[str, ...]) -> Any:
        nodata = {"nodata": UNLABELLED} if count == 1 else {}
        dataset = rasterio.open(self._folder / name, "w", count=count, **self._profile, **nodata)
        self._open.append(dataset)
        for number, described in enumerate(names, start=1):
            dataset.set_band_description(number, described)
        return dataset

    def _flush(self) -> None:
        if not self._waiting:
            return
        if shutil.disk_usage(self._folder).free < SPARE_BYTES:
            raise self._not_saved("no space is left on the disk")
        window = Window(0, self._row, self._width, self._waiting)
        try:
            self._class_file.write(self._classes[:, : self._waiting], window=window)
            if self._scaled_file is not None and self._scaled is not None:
                self._scaled_file.write(self._scaled[:, : self._waiting], window=window)
        except RasterioError as error:
            raise self._not_saved(_reason(error)) from error
        self._row += self._waiting
        self._waiting = 0

    def _close(self) -> None:
        while self._open:
            self._open.pop().close()

    def _check(self, written: Path) -> None:
        """Read the last block back: a disk that fills up while a file is closed is told of nowhere else."""
        with rasterio.open(written) as dataset:
            rows, columns = min(BLOCK, self._height), min(BLOCK, self._width)
            dataset.read(window=Window(self._width - columns, self._height - rows, columns, rows))

    def _not_saved(self, reason: str) -> NotSavedError:
        return NotSavedError(
            f"Could not write {self._path}: {reason}; nothing was changed there. Free some disk space or choose "
            "another folder, then try again."
        )


def _reason(error: Exception) -> str:
    """What GDAL said at first: rasterio's own message only points there."""
    first: BaseException = error
    while first.__cause__ is not None:
        first = first.__cause__
    return str(first).rstrip(".")
