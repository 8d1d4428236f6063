"""The peer: LightGBM on each pixel's colour, which is how IRIS-like tools learn from a few labels.

It gets the same labels and the same folds as our head. Two sets of pixel features: colours alone, or colours with
blurred colours and local deviation at three scales, which is the stronger form.

    python -m tests.benchmarks.lightgbm_rgb --data DIR [--labels DIR] [--features rgb|texture] [--tiles 119,266]
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import lightgbm
import numpy as np
from numpy.typing import NDArray

from core.catalog.discover import TileFile, discover, find_mask
from core.catalog.images import read_image, read_mask
from core.classes import CLASS_COUNT, UNLABELLED
from core.evaluation import confusion, scores

PIXELS_PER_CLASS = 20_000
BLURS = (4, 16, 64)
PARAMETERS = {"objective": "multiclass", "num_class": CLASS_COUNT, "num_leaves": 31, "verbosity": -1, "seed": 0}
ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Peer:
    """What LightGBM gave on the left-out tiles; seconds are means per tile (predict) or per fit (train)."""

    labels: str
    features: str
    tiles: int
    miou: float
    accuracy: float
    iou: dict[str, float]
    train_seconds: float
    predict_seconds: float  # from the decoded image to the class raster


def lightgbm_leave_one_out(
    data: Path, labels: Path | None, *, features: str = "rgb", left_out: Sequence[str] = ()
) -> Peer:
    """Train on all tiles but one, for each of ``left_out`` (all tiles where it is empty)."""
    tiles = [tile for tile in discover(data).tiles if tile.mask_path is not None]
    samples = {tile.name: _labelled_pixels(tile, labels, features) for tile in tiles}
    matrix = np.zeros((6, 7), np.int64)
    train, predict = [], []
    judged = [tile for tile in tiles if not left_out or tile.name in left_out]
    for tile in judged:
        vectors, classes = (
            np.concatenate([sample[part] for name, sample in samples.items() if name != tile.name]) for part in (0, 1)
        )
        start = time.perf_counter()
        model = _fit(vectors, classes)
        train.append(time.perf_counter() - start)
        image = read_image(tile.image_path)
        start = time.perf_counter()
        raster = _predict(model, image, features)
        predict.append(time.perf_counter() - start)
        matrix += confusion.count(_mask(tile, tile.mask_path), raster)
    found = scores.from_confusion(matrix)
    return Peer(
        labels=labels.name if labels else "full masks",
        features=features,
        tiles=len(judged),
        miou=round(float(found.miou or 0), 4),
        accuracy=round(float(found.accuracy or 0), 4),
        iou={name: round(value, 3) for name, value in found.iou.items()},
        train_seconds=round(float(np.mean(train)), 2),
        predict_seconds=round(float(np.mean(predict)), 2),
    )


def _pixel_features(image: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """``(height, width, n)`` float32: colours, and for 'texture' their blurs and local deviations."""
    colours = image.astype(np.float32)
    if kind == "rgb":
        return colours
    grey = colours.mean(axis=-1)
    maps = [colours]
    for sigma in BLURS:
        mean = cv2.GaussianBlur(grey, (0, 0), sigma)
        deviation = np.sqrt(np.maximum(cv2.GaussianBlur(grey * grey, (0, 0), sigma) - mean * mean, 0))
        maps += [cv2.GaussianBlur(colours, (0, 0), sigma), deviation[..., None]]
    return np.concatenate(maps, axis=-1)


def _mask(tile: TileFile, path: Path | None) -> NDArray[np.uint8]:
    image = read_image(tile.image_path)
    if path is None:
        return np.full(image.shape[:2], UNLABELLED, np.uint8)
    return read_mask(path, shape=image.shape[:2]).raster


def _labelled_pixels(
    tile: TileFile, labels: Path | None, features: str
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    raster = _mask(tile, find_mask(labels, tile.name) if labels else tile.mask_path).ravel()
    generator = np.random.default_rng(0)
    chosen = [generator.permutation(np.flatnonzero(raster == index))[:PIXELS_PER_CLASS] for index in range(CLASS_COUNT)]
    pixels = np.sort(np.concatenate(chosen))
    vectors = _pixel_features(read_image(tile.image_path), features)
    return vectors.reshape(-1, vectors.shape[-1])[pixels], raster[pixels]


def _fit(vectors: NDArray[np.float32], classes: NDArray[np.uint8]) -> lightgbm.Booster:
    weights = 1 / np.bincount(classes, minlength=CLASS_COUNT)[classes]
    data = lightgbm.Dataset(vectors, label=classes, weight=weights * len(classes) / CLASS_COUNT)
    return lightgbm.train(PARAMETERS, data, num_boost_round=ROUNDS)


def _predict(model: lightgbm.Booster, image: NDArray[np.uint8], features: str) -> NDArray[np.uint8]:
    vectors = _pixel_features(image, features)
    probabilities = np.asarray(model.predict(vectors.reshape(-1, vectors.shape[-1])))
    return probabilities.argmax(axis=1).astype(np.uint8).reshape(image.shape[:2])


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--features", choices=("rgb", "texture"), default="rgb")
    parser.add_argument("--tiles", default="", help="left-out tiles, by name; all when empty")
    options = parser.parse_args()
    left_out = [name for name in options.tiles.split(",") if name]
    found = lightgbm_leave_one_out(options.data, options.labels, features=options.features, left_out=left_out)
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
