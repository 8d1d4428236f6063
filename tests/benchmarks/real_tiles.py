"""The real tiles beside the project, sparse labels of them, and medians: what several benchmarks measure with."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from core.catalog.discover import discover
from core.catalog.images import read_image, read_mask, write_mask
from core.labels.simulated import simulate_instances

REAL_TILES = Path(__file__).resolve().parents[3] / "shared" / "data" / "deepglobe" / "land-train"
ABSENT = "The real tiles are not beside the project; nothing was measured."


def sparse_labels(folder: Path, seed: int, per_class: int) -> Path:
    """The simulated annotator's labels of all real pairs, in a folder that ``fit --labels`` takes."""
    rasters = {}
    for tile in discover(REAL_TILES).tiles:
        if tile.mask_path is not None:
            shape = read_image(tile.image_path).shape[:2]
            rasters[tile.name] = read_mask(tile.mask_path, shape=shape).raster
    for name, raster in simulate_instances(rasters, per_class=per_class, seed=seed).items():
        write_mask(folder / f"{name}_mask.png", raster)
    return folder


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Median seconds of some runs, after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
