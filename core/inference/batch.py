"""Predict tiles with one run, or the mean of several, and write class rasters.

This is the one way from a tile to a written prediction: the command line, the evaluation job and the Compare
page all come through ``predict_tile``, so a figure never depends on who asked for it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from core.atomic import atomic_file
from core.catalog.discover import TileFile, discover
from core.catalog.images import fingerprint, read_image, read_info, write_mask
from core.classes import CLASS_NAMES, PALETTE, UNLABELLED, ClassRaster
from core.errors import InputError
from core.inference.predict import AnySegmenter, load_segmenter
from core.inference.refine import refine
from core.inference.regions import remove_small_regions
from core.progress import Progress

TTA_CHOICES = ("none", "flips", "d4")
REFINEMENT_CHOICES = ("none", "guided", "crf")


@dataclass(frozen=True, slots=True)
class Switches:
    """What is done on top of the network: test-time augmentation, refinement, small-region removal (pixels)."""

    tta: str = "none"
    refinement: str = "none"
    min_region: int = 0

    def __post_init__(self) -> None:
        if self.tta not in TTA_CHOICES or self.refinement not in REFINEMENT_CHOICES or self.min_region < 0:
            raise InputError(
                f"These switches are not known: {asdict(self)}; tta is one of {', '.join(TTA_CHOICES)}, "
                f"refinement one of {', '.join(REFINEMENT_CHOICES)}, and the smallest region at least 0 pixels."
            )

    @property
    def key(self) -> str:
        """A folder name that tells these switches from all others."""
        return f"tta-{self.tta}_refine-{self.refinement}_min-{self.min_region}"


@dataclass(frozen=True, slots=True)
class TilePrediction:
    """A predicted tile.

    ``raster`` is (height, width) uint8, ``probabilities`` (6, height, width) float32, ``seconds`` the time from
    the decoded image to the class raster.
    """

    raster: ClassRaster
    probabilities: NDArray[np.float32]
    seconds: float


def predict_tile(
    segmenters: Sequence[AnySegmenter], image_path: Path, *, switches: Switches, progress: Progress
) -> TilePrediction:
    """Predict one tile: mean probabilities of all runs and transforms, then refinement, then small regions.

    Raises ``InputError`` when the image cannot be read.
    """
    image = read_image(image_path)
    info = read_info(image_path)
    metres = (info.metres_per_pixel_y, info.metres_per_pixel_x)
    key = fingerprint(image_path)
    start = time.perf_counter()
    probabilities: NDArray[np.float32] | None = None
    for segmenter in segmenters:
        of_run = segmenter.probabilities(
            image, metres_per_pixel=metres, tta=switches.tta, fingerprint=key, progress=progress
        )
        if probabilities is None:
            probabilities = of_run
        else:
            probabilities += of_run
    if probabilities is None:
        raise ValueError("at least one run is needed")
    if len(segmenters) > 1:
        probabilities /= len(segmenters)
    probabilities = refine(switches.refinement, probabilities, image, metres_per_pixel=metres)
    raster = probabilities.argmax(axis=0).astype(np.uint8)
    if switches.min_region:
        raster = remove_small_regions(raster, probabilities, min_pixels=switches.min_region)
    return TilePrediction(raster, probabilities, time.perf_counter() - start)


def predict_folder(
    *, runs: Sequence[Path], data: Path, out: Path, switches: Switches, keep_probabilities: bool, progress: Progress
) -> dict[str, object]:
    """Predict every tile of a folder into ``out``; a cancel keeps the tiles that are finished.

    Writes ``<id>_mask.png`` in the DeepGlobe palette, ``<id>_mask.tif`` beside it where the tile has a CRS, and
    ``<id>_probabilities.tif`` (six uint8 bands, 255 is certain) when asked. Unreadable tiles are left out and
    listed under ``left_out``. Raises ``InputError`` for an empty folder, or when no tile could be read.
    """
    found = discover(data)
    segmenters = [load_segmenter(run) for run in runs]
    left_out = [f.sentence for f in found.findings if f.severity == "error"]
    seconds: list[float] = []
    for index, tile in enumerate(found.tiles):
        progress.update(index, len(found.tiles), f"Predicting tile {tile.name}")
        try:
            prediction = predict_tile(segmenters, tile.image_path, switches=switches, progress=progress)
        except InputError as error:
            left_out.append(str(error))
            continue
        _write(tile, prediction, out, keep_probabilities=keep_probabilities)
        seconds.append(prediction.seconds)
    if not seconds:
        raise InputError(f"No tile of {data} could be predicted: {' '.join(left_out[:3])}")
    progress.update(len(found.tiles), len(found.tiles), "Predicted all tiles")
    return {
        "tiles": len(seconds),
        "out": str(out),
        "switches": asdict(switches),
        "runs": [str(run) for run in runs],
        "seconds_per_tile": round(float(np.median(seconds)), 3),
        "left_out": left_out,
    }


def _write(tile: TileFile, prediction: TilePrediction, out: Path, *, keep_probabilities: bool) -> None:
    """Write one tile's files; the mask last, since its presence says that the tile is done."""
    info = read_info(tile.image_path)
    if keep_probabilities:
        scaled = np.round(prediction.probabilities * 255).astype(np.uint8)
        _write_geotiff(out / f"{tile.name}_probabilities.tif", scaled, tile.image_path, names=CLASS_NAMES)
    if info.crs is not None:
        _write_geotiff(out / f"{tile.name}_mask.tif", prediction.raster[None], tile.image_path, names=("land cover",))
    write_mask(out / f"{tile.name}_mask.png", prediction.raster)


def _write_geotiff(path: Path, bands: NDArray[np.uint8], like: Path, *, names: Sequence[str]) -> None:
    """Write (bands, height, width) uint8 as a tiled GeoTIFF in the place that the image ``like`` has on the ground."""
    with rasterio.open(like) as source:
        crs, transform = source.crs, source.transform
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "compress": "deflate",
        "tiled": True,
        "crs": crs,
        "transform": transform if crs else Affine.identity(),
    }
    if bands.shape[0] == 1:
        profile["nodata"] = UNLABELLED
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(bands)
            for number, name in enumerate(names, start=1):
                target.set_band_description(number, name)
            if bands.shape[0] == 1:
                target.write_colormap(1, {index: (*map(int, PALETTE[index]), 255) for index in range(256)})
        with atomic_file(path) as stream:
            stream.write(memory.read())
