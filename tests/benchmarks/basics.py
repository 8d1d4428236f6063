"""The sample, the confusion matrix and the refinements: chapters that need no real tiles."""

import statistics
import time

import cv2
import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix as sklearn_confusion

from core.catalog.sample import draw_scene
from core.evaluation.confusion import count
from core.inference.refine import refine
from core.labels.simulated import simulate_instances
from models.torchvision_import import ensure_torchvision
from tests.benchmarks.amount import Amount
from tests.benchmarks.lightgbm_rgb import PARAMETERS
from tests.benchmarks.real_tiles import median_seconds

PER_CLASS = 50


def sample(amount: Amount) -> str:
    """Seconds to draw a scene on one core, and what a pixel-colour classifier makes of unseen scenes."""
    cv2.setNumThreads(1)
    scenes, seconds = [], []
    for seed in range(6):
        start = time.perf_counter()
        scenes.append(draw_scene(seed, amount.side))
        seconds.append(time.perf_counter() - start)
    cv2.setNumThreads(-1)
    rasters = {str(index): scene.raster for index, scene in enumerate(scenes[:4])}
    sparse = simulate_instances(rasters, per_class=PER_CLASS, seed=0)
    pixels = np.concatenate([scenes[int(name)].image[labels < 255] for name, labels in sparse.items()])
    classes = np.concatenate([labels[labels < 255] for labels in sparse.values()])
    chosen = np.random.default_rng(0).permutation(len(pixels))[:120_000]
    data = lightgbm.Dataset(pixels[chosen].astype(np.float32), label=classes[chosen])
    model = lightgbm.train(PARAMETERS, data, num_boost_round=100)
    unseen = [(scene.image[::4, ::4].reshape(-1, 3), scene.raster[::4, ::4].ravel()) for scene in scenes[4:]]
    right = [np.asarray(model.predict(image.astype(np.float32))).argmax(1) == truth for image, truth in unseen]
    return (
        "## The synthetic sample\n\n"
        f"A scene of {amount.side} x {amount.side} is drawn in {statistics.median(seconds):.1f} s (median of 6, one "
        f"thread). LightGBM on RGB, trained on {PER_CLASS} instances per class of four scenes, is right on "
        f"{np.concatenate(right).mean():.1%} of the pixels of two unseen ones (bar: under 65 %)."
    )


def confusion(amount: Amount) -> str:
    """Ours, scikit-learn's and torchmetrics' confusion matrix of the same two rasters."""
    ensure_torchvision()  # torchmetrics imports torchvision too
    from torchmetrics.functional.classification import multiclass_confusion_matrix as torchmetrics_confusion

    generator = np.random.default_rng(0)
    side = amount.side
    truth, prediction = (generator.integers(0, 6, (side, side), dtype=np.uint8) for _ in range(2))
    ours = median_seconds(lambda: count(truth, prediction), 9)
    scikit = median_seconds(lambda: sklearn_confusion(truth.ravel(), prediction.ravel(), labels=range(6)), 3)
    as_tensors = torch.from_numpy(prediction), torch.from_numpy(truth)
    metrics = median_seconds(lambda: torchmetrics_confusion(*as_tensors, num_classes=6), 5)
    return (
        f"## Confusion matrix of a {side} x {side} tile\n\n"
        "Drawn labels; medians of 9, 3 and 5 after one that does not count.\n\n"
        "| | ms | ours is faster by |\n|---|---|---|\n"
        f"| ours | {ours * 1000:.1f} | |\n"
        f"| scikit-learn | {scikit * 1000:.0f} | {scikit / ours:.0f} times |\n"
        f"| torchmetrics | {metrics * 1000:.0f} | {metrics / ours:.0f} times |"
    )


def refinement(amount: Amount) -> str:
    """Seconds of the guided filter and the dense CRF."""
    image = draw_scene(0, amount.side).image
    probabilities = _smooth_probabilities(amount.side)
    rows = []
    for name in ("guided", "crf"):
        seconds = median_seconds(
            lambda name=name: refine(name, probabilities, image, metres_per_pixel=(0.5, 0.5)), amount.runs
        )
        rows.append(f"| {name} | {seconds:.2f} |")
    return (
        f"## Refinement of a {amount.side} x {amount.side} tile\n\n"
        f"A drawn scene; medians of {amount.runs} after one that does not count.\n\n| | s |\n|---|---|\n"
        + "\n".join(rows)
    )


def _smooth_probabilities(side: int) -> NDArray[np.float32]:
    coarse = np.random.default_rng(0).random((6, 40, 40), dtype=np.float32)
    wide = np.stack([cv2.resize(band, (side, side), interpolation=cv2.INTER_CUBIC) for band in coarse]).clip(0.01)
    return np.asarray(wide / wide.sum(axis=0), np.float32)
