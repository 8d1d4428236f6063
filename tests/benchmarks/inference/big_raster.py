"""A large GeoTIFF end to end with the default head: time per megapixel, peak memory, and whether seams can be seen.

The raster is made up from real tiles (generated ones where they are absent), each turned or mirrored as a table of
random numbers says, so that no border between blocks falls on a border between tiles by plan. One tile of it, as a
GeoTIFF of its own, is what the time per megapixel is compared with; either is measured in a process of its own.

A seam would show as more changes of class between neighbouring rows (or columns) at the borders of blocks than
elsewhere, and as more disagreement with a prediction whose blocks lie elsewhere: the raster's lower right part, from
half a block on, is predicted once more, and the two are compared near the borders of either and far from both.

    python -m tests.benchmarks.inference.big_raster --side 20000
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window

from core.catalog.images import read_image
from core.catalog.sample import draw_scene
from core.inference.tta import transforms
from core.progress import SilentProgress
from tests.benchmarks.memory import peak_mb
from tests.benchmarks.real_tiles import REAL_TILES

TILE = 2448
NEAR = 16
"""Pixels on each side of a border that count as near it."""
SEEDS = (0, 1, 2, 3)
_STRIP = 512


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000, help="of the raster, pixels")
    parser.add_argument("--run", type=Path, help="a run of the default head; by default one is trained here")
    parser.add_argument("--one", nargs=2, metavar=("RASTER", "OUT"), help="predict one raster in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_one(options.run, *map(Path, options.one))))
    else:
        print(json.dumps(measure(options.side, run=options.run), indent=2))


def measure(side: int, *, run: Path | None = None) -> dict[str, object]:
    """Time per megapixel against one tile's, peak memory in MB, disagreement near borders and elsewhere."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        chosen = run or _train(folder)
        _write(folder / "large.tif", side)
        _write(folder / "tile.tif", TILE)
        tile = [_in_process(chosen, folder, "tile") for _ in range(3)]
        large = _in_process(chosen, folder, "large")
        of_tile = statistics.median(one["seconds_per_megapixel"] for one in tile)
        return {
            "side": side,
            "tiles": "real" if REAL_TILES.is_dir() else "generated",
            "seconds": large["seconds"],
            "seconds_per_megapixel": large["seconds_per_megapixel"],
            "seconds_per_megapixel_of_a_tile": of_tile,
            "ratio": round(large["seconds_per_megapixel"] / of_tile, 3),
            "ratio_of_processor_time": round(
                large["cpu_seconds_per_megapixel"]
                / statistics.median(one["cpu_seconds_per_megapixel"] for one in tile),
                3,
            ),
            "peak_mb": large["peak_mb"],
            "peak_mb_of_a_tile": statistics.median(one["peak_mb"] for one in tile),
            **_seams(chosen, folder, side),
        }


def _in_process(run: Path, folder: Path, name: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.inference.big_raster", "--run", str(run)]
    command += ["--one", str(folder / f"{name}.tif"), str(folder / f"{name}_mask.tif")]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def _one(run: Path, raster: Path, out: Path) -> dict[str, float]:
    from core.inference.predict import load_segmenter
    from core.inference.raster import predict_raster

    segmenter = load_segmenter(run, "cpu")
    segmenter.predict(np.zeros((256, 256, 3), np.uint8))  # sets up
    start, spent = time.perf_counter(), time.process_time()
    predict_raster(segmenter, raster, out, progress=SilentProgress())
    seconds, spent = time.perf_counter() - start, time.process_time() - spent
    with rasterio.open(raster) as source:
        megapixels = source.width * source.height / 1e6
    return {
        "seconds": seconds,
        "seconds_per_megapixel": seconds / megapixels,
        "cpu_seconds_per_megapixel": spent / megapixels,
        "peak_mb": peak_mb(),
    }


def _train(folder: Path) -> Path:
    from core.training.fit import FitRequest, fit
    from core.training.recipe import load_recipe

    data = REAL_TILES
    if not REAL_TILES.is_dir():
        from core.catalog.sample import write_sample

        data = folder / "data"
        write_sample(data, tiles=4, size=TILE, seed=0, progress=SilentProgress())
    fit(FitRequest(data=data, out=folder / "run", recipe=load_recipe(), device="cpu"), SilentProgress())
    return folder / "run"


def _write(path: Path, side: int) -> None:
    """The raster, tile by tile: turned and mirrored by chance, in the order of their names."""
    generator = np.random.default_rng(0)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": side, "width": side, "tiled": True}
    place = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 0.5, 0.5)}
    with rasterio.open(path, "w", compress="deflate", predictor=2, BIGTIFF="IF_SAFER", **profile, **place) as target:
        for top in range(0, side, TILE):
            for left in range(0, side, TILE):
                image = transforms("d4")[generator.integers(8)].forward(_tile(int(generator.integers(100))))
                part = image[: side - top, : side - left]
                window = Window(left, top, part.shape[1], part.shape[0])
                target.write(np.moveaxis(part, -1, 0), window=window)


def _tile(number: int) -> NDArray[np.uint8]:
    paths = sorted(REAL_TILES.glob("*_sat.jpg")) if REAL_TILES.is_dir() else []
    return read_image(paths[number % len(paths)]) if paths else draw_scene(SEEDS[number % len(SEEDS)], TILE).image


def _seams(run: Path, folder: Path, side: int) -> dict[str, float]:
    from core.inference.raster_cells import BLOCK
    from core.inference.raster_source import blocks

    borders = [start for start, _ in blocks(side, BLOCK)][1:]
    offset = min(borders[0] // 2 // 32 * 32 if borders else 0, side - 1)
    length = min(side - offset, 4 * BLOCK)  # memory of this program: both parts are held whole
    part = Window(offset, offset, length, length)
    with rasterio.open(folder / "large.tif") as source:
        profile = {**source.profile, "height": length, "width": length}
        with rasterio.open(folder / "part.tif", "w", **profile) as target:
            target.write(source.read(window=part))
    _in_process(run, folder, "part")
    with rasterio.open(folder / "large_mask.tif") as made, rasterio.open(folder / "part_mask.tif") as again:
        first, second = made.read(1, window=part), again.read(1)
    own = [border - offset for border in borders]
    near = _near(length, own) | _near(length, [start for start, _ in blocks(length, BLOCK)][1:])
    inside = np.zeros((length, length), np.bool_)
    inside[_STRIP:, _STRIP:] = True  # the second one's edge is no edge of the first
    differs = first != second
    by_rows = _changes(first)
    at_border = _near(length - 1, own, reach=1)
    return {
        "disagreement_near_borders": _share(differs, (near[:, None] | near) & inside),
        "disagreement_elsewhere": _share(differs, ~(near[:, None] | near) & inside),
        "changes_at_borders": float(by_rows[at_border].mean()) if at_border.any() else float("nan"),
        "changes_elsewhere": float(by_rows[~at_border].mean()),
    }


def _near(length: int, borders: list[int], reach: int = NEAR) -> NDArray[np.bool_]:
    place = np.arange(length)
    return np.any([(place >= border - reach) & (place < border + reach) for border in borders] or [place < 0], axis=0)


def _changes(raster: NDArray[np.uint8]) -> NDArray[np.float64]:
    """By row: the share of pixels whose class is another than that of the pixel below."""
    return (raster[1:] != raster[:-1]).mean(axis=1)


def _share(differs: NDArray[np.bool_], where: NDArray[np.bool_]) -> float:
    return float(differs[where].mean()) if where.any() else float("nan")


if __name__ == "__main__":
    main()
