"""Measure against peers, side by side in one run, and write RESULTS.md: ``make bench``.

Machines are noisy: quote the ratios and medians, not the seconds. Figures on real DeepGlobe tiles need them beside
the project (see ``REAL_TILES``); where they are absent, that part says so.
"""

import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import cv2
import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix as sklearn_confusion

from core.catalog.discover import discover
from core.catalog.images import read_image, read_mask, write_mask
from core.catalog.sample import draw_scene
from core.evaluation.confusion import count
from core.inference.refine import refine
from core.labels.simulated import simulate_instances
from models.torchvision_import import ensure_torchvision
from tests.benchmarks import cached_against_usual
from tests.benchmarks.labelling import report as labelling
from tests.benchmarks.leave_one_out import LeaveOneOut, leave_one_out
from tests.benchmarks.lightgbm_rgb import PARAMETERS, Peer, lightgbm_leave_one_out

RESULTS = Path(__file__).with_name("RESULTS.md")
REAL_TILES = Path(__file__).resolve().parents[3] / "shared" / "data" / "deepglobe" / "land-train"
SEEDS = (0, 1, 2, 3, 4)
BUDGETS = (20, 50)
PER_CLASS = 50  # of the comparisons
SIDE = 2448
PEER_TILES = ("119", "2774", "6399")  # LightGBM takes minutes a fold: three folds tell enough of its speed


def main() -> None:
    """Run every part and write the page."""
    parts = [_head(), _sample(), _confusion(), _refinement(), _few_labels(), _cached(), _against_lightgbm()]
    parts += labelling.parts()
    RESULTS.write_text("\n\n".join(parts) + "\n")
    print(f"Wrote {RESULTS}")


def _head() -> str:
    return (
        "# Results\n\n"
        f"Written by `make bench` on {platform.machine()}, {torch.get_num_threads()} cores, no GPU, "
        f"Python {platform.python_version()}, torch {torch.__version__}. Seconds on a shared machine: read the ratios."
    )


def _few_labels() -> str:
    """Leave one tile out over the real pairs: full masks, and 50 instances per class by three seeds."""
    title = "## Leave one tile out on 11 real DeepGlobe pairs, default recipe\n\n"
    if not REAL_TILES.is_dir():
        return title + "The real tiles are not beside the project; nothing was measured."
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "features"
        found = [leave_one_out(REAL_TILES, None, cache=cache)]
        few: dict[int, list[float]] = {}
        for per_class, seed in product(BUDGETS, SEEDS):
            labels = _sparse_labels(Path(scratch) / f"{per_class}-per-class-seed-{seed}", seed, per_class)
            found.append(leave_one_out(REAL_TILES, labels, cache=cache))
            few.setdefault(per_class, []).append(found[-1].miou)
    rows = [
        f"| {r.labels} | {r.miou:.3f} | {r.accuracy:.3f} | {' | '.join(f'{v:.2f}' for v in r.iou.values())} "
        f"| {r.head_seconds:.1f} |"
        for r in found
    ]
    summary = " ".join(
        f"{per_class} per class: mean mIoU {statistics.mean(mious):.3f}, worst {min(mious):.3f}."
        for per_class, mious in few.items()
    )
    return (
        title
        + "Train on ten, predict the eleventh, one confusion matrix over all eleven.\n\n"
        + f"| labels | mIoU | accuracy | {' | '.join(found[0].iou)} | head, s |\n|---|---|---|"
        + "---|" * (len(found[0].iou) + 1)
        + "\n"
        + "\n".join(rows)
        + f"\n\n{summary} {_speed(found)}"
    )


def _speed(found: Sequence[LeaveOneOut]) -> str:
    return (
        f"Features of a tile {found[0].features_seconds} s; a tile predicted in "
        f"{statistics.median(r.predict_seconds for r in found):.2f} s from the image, "
        f"{statistics.median(r.predict_cached_seconds for r in found):.2f} s with cached features."
    )


def _against_lightgbm() -> str:
    """The same labels and folds for both, in one run."""
    title = f"## Against LightGBM on pixels, {PER_CLASS} instances per class, seed 0\n\n"
    if not REAL_TILES.is_dir():
        return title + "The real tiles are not beside the project; nothing was measured."
    with tempfile.TemporaryDirectory() as scratch:
        labels = _sparse_labels(Path(scratch) / "labels", 0, PER_CLASS)
        ours = leave_one_out(REAL_TILES, labels, cache=Path(scratch) / "features", left_out=PEER_TILES)
        peers = [
            lightgbm_leave_one_out(REAL_TILES, labels, features=features, left_out=PEER_TILES)
            for features in ("rgb", "texture")
        ]
    rows = [_peer_row(peer, ours) for peer in peers]
    return (
        title
        + f"The same three folds (left out: {', '.join(PEER_TILES)}) for both, in one run.\n\n"
        + "| | mIoU | accuracy | predict a tile, s | ours is faster by |\n|---|---|---|---|---|\n"
        + f"| head, default recipe, from the image | {ours.miou:.3f} | {ours.accuracy:.3f} "
        + f"| {ours.predict_seconds:.2f} | |\n"
        + "\n".join(rows)
    )


def _peer_row(peer: Peer, ours: LeaveOneOut) -> str:
    ratio = peer.predict_seconds / ours.predict_seconds
    return (
        f"| LightGBM on {peer.features} | {peer.miou:.3f} | {peer.accuracy:.3f} | {peer.predict_seconds:.1f} "
        f"| {ratio:.0f} times |"
    )


def _sample() -> str:
    """Seconds to draw a scene on one core, and what a pixel-colour classifier makes of unseen scenes."""
    cv2.setNumThreads(1)
    scenes, seconds = [], []
    for seed in range(6):
        start = time.perf_counter()
        scenes.append(draw_scene(seed, SIDE))
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
        f"A scene of {SIDE} x {SIDE} is drawn in {statistics.median(seconds):.1f} s (median of 6, one thread). "
        f"LightGBM on RGB, trained on {PER_CLASS} instances per class of four scenes, is right on "
        f"{np.concatenate(right).mean():.1%} of the pixels of two unseen ones (bar: under 65 %)."
    )


def _confusion() -> str:
    ensure_torchvision()  # torchmetrics imports torchvision too
    from torchmetrics.functional.classification import multiclass_confusion_matrix as torchmetrics_confusion

    generator = np.random.default_rng(0)
    truth, prediction = (generator.integers(0, 6, (SIDE, SIDE), dtype=np.uint8) for _ in range(2))
    ours = _median(lambda: count(truth, prediction), 9)
    scikit = _median(lambda: sklearn_confusion(truth.ravel(), prediction.ravel(), labels=range(6)), 3)
    as_tensors = torch.from_numpy(prediction), torch.from_numpy(truth)
    metrics = _median(lambda: torchmetrics_confusion(*as_tensors, num_classes=6), 5)
    return (
        f"## Confusion matrix of a {SIDE} x {SIDE} tile\n\n"
        "| | ms | ours is faster by |\n|---|---|---|\n"
        f"| ours | {ours * 1000:.1f} | |\n"
        f"| scikit-learn | {scikit * 1000:.0f} | {scikit / ours:.0f} times |\n"
        f"| torchmetrics | {metrics * 1000:.0f} | {metrics / ours:.0f} times |"
    )


def _refinement() -> str:
    image = draw_scene(0, SIDE).image
    probabilities = _smooth_probabilities()
    rows = []
    for name in ("guided", "crf"):
        seconds = _median(lambda name=name: refine(name, probabilities, image, metres_per_pixel=(0.5, 0.5)), 3)
        rows.append(f"| {name} | {seconds:.2f} |")
    return f"## Refinement of a {SIDE} x {SIDE} tile\n\n| | s |\n|---|---|\n" + "\n".join(rows)


def _smooth_probabilities() -> NDArray[np.float32]:
    coarse = np.random.default_rng(0).random((6, 40, 40), dtype=np.float32)
    wide = np.stack([cv2.resize(band, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for band in coarse]).clip(0.01)
    return np.asarray(wide / wide.sum(axis=0), np.float32)


def _cached() -> str:
    if not REAL_TILES.is_dir():
        return "## Cached features against the usual way\n\nThe real tiles are not beside the project."
    with tempfile.TemporaryDirectory() as scratch:
        return cached_against_usual.chapter(REAL_TILES, _sparse_labels(Path(scratch), 0, PER_CLASS))


def _sparse_labels(folder: Path, seed: int, per_class: int) -> Path:
    """The simulated annotator's labels of all real pairs, in a folder that ``fit --labels`` takes."""
    rasters = {}
    for tile in discover(REAL_TILES).tiles:
        if tile.mask_path is not None:
            shape = read_image(tile.image_path).shape[:2]
            rasters[tile.name] = read_mask(tile.mask_path, shape=shape).raster
    for name, raster in simulate_instances(rasters, per_class=per_class, seed=seed).items():
        write_mask(folder / f"{name}_mask.png", raster)
    return folder


def _median(work: Callable[[], object], runs: int) -> float:
    """Median seconds of some runs, after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
