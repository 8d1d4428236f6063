"""Leave one tile out: train on all tiles but one, predict that one, score them all with one confusion matrix.

The labels of the left-out tile are never seen, only its full mask when it is scored. Everything goes through what
the command line uses (``fit``, ``load_segmenter``), so the figure is the product's, not a prototype's.

    python -m tests.benchmarks.leave_one_out --data DIR [--labels DIR]... [--recipe head] [--set key=value]...
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from core.catalog.discover import TileFile, discover
from core.catalog.images import fingerprint, read_image, read_info, read_mask
from core.evaluation import confusion, scores
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """What one set of labels gave. Seconds are means: per tile for features and prediction, per fit for the head."""

    labels: str
    miou: float
    accuracy: float
    iou: dict[str, float]
    features_seconds: float | None  # None when all features were cached before
    head_seconds: float
    predict_seconds: float  # from the decoded image to the class raster
    predict_cached_seconds: float  # the same with the tile's features in the cache


def leave_one_out(
    data: Path,
    labels: Path | None,
    *,
    cache: Path,
    recipe: str = "head",
    overrides: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> LeaveOneOut:
    """Run the folds of ``left_out`` (all tiles where it is empty); ``labels`` None trains on full masks."""
    tiles = [tile for tile in discover(data).tiles if tile.mask_path is not None]
    judged = [tile for tile in tiles if not left_out or tile.name in left_out]
    matrix = np.zeros((6, 7), np.int64)
    head, whole, cached = [], [], []
    features: float | None = None
    with tempfile.TemporaryDirectory() as scratch:
        for index, tile in enumerate(judged):
            others = ",".join(t.name for t in tiles if t is not tile)
            run = Path(scratch) / tile.name
            known = any(cache.glob("*.npy"))
            request = FitRequest(
                data=data,
                labels=labels,
                out=run,
                recipe=load_recipe(recipe, [*overrides, f"train_tiles={others}"]),
                device="cpu",
                cache=FeatureCache(cache),
            )
            result = fit(request, SilentProgress())
            head.append(result["head_seconds"])
            if index == 0 and not known:
                features = result["features_seconds"] / result["tiles"]
            counts, seconds, cached_seconds = _judge(run, tile, FeatureCache(cache))
            matrix += counts
            whole.append(seconds)
            cached.append(cached_seconds)
    found = scores.from_confusion(matrix)
    return LeaveOneOut(
        labels=labels.name if labels else "full masks",
        miou=round(float(found.miou or 0), 4),
        accuracy=round(float(found.accuracy or 0), 4),
        iou={name: round(value, 3) for name, value in found.iou.items()},
        features_seconds=None if features is None else round(features, 2),
        head_seconds=round(float(np.mean(head)), 2),
        predict_seconds=round(float(np.mean(whole)), 2),
        predict_cached_seconds=round(float(np.mean(cached)), 2),
    )


def _judge(run: Path, tile: TileFile, cache: FeatureCache) -> tuple[confusion.Confusion, float, float]:
    """The left-out tile's confusion matrix, and the seconds to predict it without and with cached features."""
    image, info = read_image(tile.image_path), read_info(tile.image_path)
    metres = (info.metres_per_pixel_y, info.metres_per_pixel_x)
    segmenter = load_segmenter(run, "cpu", cache)
    start = time.perf_counter()
    segmenter.predict(image, metres_per_pixel=metres)
    whole = time.perf_counter() - start
    key = fingerprint(tile.image_path)
    segmenter.cell_probabilities(image, metres_per_pixel=metres, fingerprint=key)  # now its features are cached
    start = time.perf_counter()
    raster = segmenter.predict(image, metres_per_pixel=metres, fingerprint=key)
    seconds = time.perf_counter() - start
    if tile.mask_path is None:
        raise ValueError(f"tile {tile.name} has no mask")
    truth = read_mask(tile.mask_path, shape=(info.height, info.width)).raster
    return confusion.count(truth, raster), whole, seconds


def main() -> None:
    """Print one JSON line per set of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, action="append", help="full masks when left out")
    parser.add_argument("--recipe", default="head")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--cache", type=Path, help="a feature cache to keep; a fresh one when left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        for labels in options.labels or [None]:
            found = leave_one_out(
                options.data, labels, cache=options.cache or Path(fresh), recipe=options.recipe, overrides=options.set
            )
            print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
