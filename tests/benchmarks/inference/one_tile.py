"""The default preset on one tile: from JPEG to class raster without and with cached features, TTA, fit and features.

The head learns from 50 instances per class of the other tiles. Predictions go the product's way (``predict_tile``: the
JPEG is decoded, features computed or read, the class raster made); each way runs in a process of its own, for its peak
memory, with as many threads as torch takes by itself.

    python -m tests.benchmarks.inference.one_tile
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from core.catalog.discover import discover
from core.classes import CLASS_COUNT
from core.inference.predict import load_segmenter
from core.inference.switches import Switches
from core.inference.tile_prediction import predict_tile
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from tests.benchmarks.memory import peak_mb
from tests.benchmarks.real_tiles import REAL_TILES, sparse_labels
from tests.scenes import write_pairs

PER_CLASS = 50
RUNS = 5
BARS = {"without": "2.5", "with": "0.7", "d4": "8 times the first row"}
WORDS = {"without": "JPEG to class raster", "with": "the same with cached features", "d4": "all eight TTA, no features"}


def measure(*, runs: int = RUNS, drawn: int = 0) -> dict[str, Any]:
    """Medians of ``runs``; tiles of ``drawn`` pixels a side are drawn where that is not 0 or no real ones are there."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        real = REAL_TILES.is_dir() and not drawn
        data = REAL_TILES if real else folder / "data"
        if not real:
            write_pairs(data, 3, drawn or 2448)
        labels = sparse_labels(folder / "labels", 0, PER_CLASS) if real else None
        tiles = discover(data).tiles
        recipe = load_recipe("head", [f"train_tiles={','.join(tile.name for tile in tiles[1:])}"])
        fits = [
            fit(
                FitRequest(
                    data=data,
                    labels=labels,
                    out=folder / f"run-{number}",
                    recipe=recipe,
                    device="cpu",
                    cache=FeatureCache(folder / "features"),
                ),
                SilentProgress(),
            )
            for number in range(runs)
        ]
        tile = tiles[0].image_path
        return {
            "tile": tile.name if real else "a drawn tile",
            "runs": runs,
            "threads": torch.get_num_threads(),
            "tiles": fits[0]["tiles"],
            "features_seconds": fits[0]["features_seconds"] / fits[0]["tiles"],
            "head_seconds": statistics.median(one["head_seconds"] for one in fits),
            "ways": {way: _in_process(way, folder / "run-0", tile, runs) for way in WORDS},
        }


def _in_process(way: str, run: Path, tile: Path, runs: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.inference.one_tile", "--runs", str(runs)]
    finished = subprocess.run([*command, "--one", way, run, tile], check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def _one(way: str, run: Path, tile: Path, runs: int) -> dict[str, float]:
    """Median seconds of ``runs`` after one that does not count, and this process's peak memory."""
    taken = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(runs + 1):
            cache = FeatureCache(Path(scratch) / ("kept" if way == "with" else str(number)))
            segmenter = load_segmenter(run, "cpu", cache)
            switches = Switches(tta="d4" if way == "d4" else "none")
            start = time.perf_counter()
            made = predict_tile([segmenter], tile, switches=switches, progress=SilentProgress())
            taken.append(time.perf_counter() - start)
            if made.raster.max() >= CLASS_COUNT:
                raise RuntimeError("a pixel was left without a class")
    return {"seconds": statistics.median(taken[1:]), "slowest": max(taken[1:]), "peak_mb": peak_mb()}


def chapter(found: dict[str, Any]) -> str:
    """The figures in Markdown."""
    ways = found["ways"]
    rows = [
        f"| {words} | {ways[way]['seconds']:.2f} | {ways[way]['slowest']:.2f} | {BARS[way]} | "
        f"{ways[way]['peak_mb']:.0f} |"
        for way, words in WORDS.items()
    ]
    return (
        "## Default preset, one tile\n\n"
        f"Tile {found['tile']}, {found['threads']} threads, medians of {found['runs']} after one that does not count, "
        "each row in a process of its own.\n\n"
        "| | s | slowest | bar, s | peak RSS, MB |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nAll eight TTA takes {ways['d4']['seconds'] / ways['without']['seconds']:.1f} times the first row. "
        f"Features take {found['features_seconds']:.2f} s a tile (mean of {found['tiles']} tiles, once; bar: 2.5 s) "
        f"and the head at {PER_CLASS} instances per class {found['head_seconds']:.1f} s (median of {found['runs']} "
        "fits; bar: 10 s)."
    )


def main() -> None:
    """Print the chapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--drawn", type=int, default=0, metavar="SIDE", help="on drawn tiles of this size")
    parser.add_argument("--one", nargs=3, metavar=("WAY", "RUN", "TILE"), help="one way in this process")
    options = parser.parse_args()
    if options.one:
        way, run, tile = options.one
        print(json.dumps(_one(way, Path(run), Path(tile), options.runs)))
    else:
        print(chapter(measure(runs=options.runs, drawn=options.drawn)))


if __name__ == "__main__":
    main()
