"""Leave one tile out: train on all tiles but one, predict that one, score them all with one confusion matrix.

The labels of the left-out tile are never seen, only its full mask when it is scored. The folds are those of
``core.training.cross_validation``, which ``ablate`` runs too; here their speed is measured as well.

    python -m tests.benchmarks.leave_one_out --data DIR [--labels DIR]... [--recipe head] [--set key=value]...
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.catalog.discover import TileFile
from core.catalog.images import fingerprint, read_image, read_info
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.cross_validation import cross_validate
from core.training.feature_cache import FeatureCache
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
    predict_seconds: float  # from the decoded image to the class raster; nan where prediction was not timed
    predict_cached_seconds: float  # the same with the tile's features in the cache


def leave_one_out(
    data: Path,
    labels: Path | None,
    *,
    cache: Path,
    recipe: str = "head",
    overrides: Sequence[str] = (),
    left_out: Sequence[str] = (),
    timed: bool = True,
) -> LeaveOneOut:
    """Run the folds of ``left_out`` (all tiles where it is empty); ``labels`` None trains on full masks.

    With ``timed`` every left-out tile is predicted twice more for its seconds, which takes longer than its fit.
    """
    known = any(cache.glob("*.npy"))
    whole: list[float] = []
    cached: list[float] = []
    features: list[float] = []

    def measure(run: Path, tiles: Sequence[TileFile], result: dict[str, Any]) -> None:
        features.append(result["features_seconds"] / result["tiles"])
        for tile in tiles if timed else ():
            seconds, cached_seconds = _seconds(run, tile, FeatureCache(cache))
            whole.append(seconds)
            cached.append(cached_seconds)

    found = cross_validate(
        data,
        labels,
        recipe=load_recipe(recipe, list(overrides)),
        progress=SilentProgress(),
        device="cpu",
        cache=FeatureCache(cache),
        only=left_out,
        on_fold=measure,
    )
    return LeaveOneOut(
        labels=labels.name if labels else "full masks",
        miou=round(float(found.scores.miou or 0), 4),
        accuracy=round(float(found.scores.accuracy or 0), 4),
        iou={name: round(value, 3) for name, value in found.scores.iou.items()},
        features_seconds=None if known else round(features[0], 2),
        head_seconds=round(found.head_seconds, 2),
        predict_seconds=_mean(whole),
        predict_cached_seconds=_mean(cached),
    )


def _mean(seconds: Sequence[float]) -> float:
    return round(float(np.mean(seconds)), 2) if seconds else float("nan")


def _seconds(run: Path, tile: TileFile, cache: FeatureCache) -> tuple[float, float]:
    """The seconds to predict a tile without and with cached features; the cache has them already."""
    image, info = read_image(tile.image_path), read_info(tile.image_path)
    metres = (info.metres_per_pixel_y, info.metres_per_pixel_x)
    segmenter = load_segmenter(run, "cpu", cache)
    start = time.perf_counter()
    segmenter.predict(image, metres_per_pixel=metres)
    whole = time.perf_counter() - start
    key = fingerprint(tile.image_path)
    start = time.perf_counter()
    segmenter.predict(image, metres_per_pixel=metres, fingerprint=key)
    return whole, time.perf_counter() - start


def main() -> None:
    """Print one JSON line per set of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path, action="append", help="full masks when left out")
    parser.add_argument("--recipe", default="head")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--left-out", action="append", default=[], help="a tile's name; all when left out")
    parser.add_argument("--cache", type=Path, help="a feature cache to keep; a fresh one when left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        for labels in options.labels or [None]:
            found = leave_one_out(
                options.data,
                labels,
                cache=options.cache or Path(fresh),
                recipe=options.recipe,
                overrides=options.set,
                left_out=options.left_out,
            )
            print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
