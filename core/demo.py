"""The whole loop on synthetic tiles: draw, label a little, train, predict, score. ``make demo`` runs it."""

import time
from pathlib import Path
from typing import Any

from core.catalog.discover import discover
from core.catalog.images import read_info, read_mask, write_mask
from core.catalog.sample import write_sample
from core.evaluation.evaluate import evaluate_folder
from core.inference.batch import predict_folder
from core.inference.switches import Switches
from core.labels.simulated import simulate_instances
from core.progress import Progress
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe

TRAINING_TILES = 5
HELD_OUT_TILES = 3
INSTANCES_PER_CLASS = 50


def run_demo(out: Path, progress: Progress) -> dict[str, Any]:
    """Draw eight scenes, label 50 instances per class on five, train the default head, score it on the other three.

    Prints a table of per-class IoU to stdout and returns the scores. The held-out scenes are never trained on.
    """
    start = time.perf_counter()
    training, held_out, labels = out / "train", out / "held-out", out / "labels"
    write_sample(training, tiles=TRAINING_TILES, size=2448, seed=0, progress=progress)
    write_sample(held_out, tiles=HELD_OUT_TILES, size=2448, seed=1000, progress=progress)
    _label_a_little(training, labels)
    run = out / "run"
    request = FitRequest(data=training, labels=labels, out=run, recipe=load_recipe("head", []), seed=0, device="auto")
    fitted = fit(request, progress)
    predictions = out / "predictions"
    predict_folder(
        runs=[run],
        data=held_out,
        out=predictions,
        switches=Switches(),
        keep_probabilities=False,
        progress=progress,
    )
    scores = evaluate_folder(held_out, predictions, progress)
    seconds = time.perf_counter() - start
    _print_table(scores, seconds)
    return {"seconds": round(seconds, 1), "synthetic": True, "fit": fitted, "scores": scores}


def _label_a_little(data: Path, labels: Path) -> None:
    rasters = {}
    for tile in discover(data).tiles:
        if tile.mask_path is not None:
            info = read_info(tile.image_path)
            rasters[tile.name] = read_mask(tile.mask_path, shape=(info.height, info.width)).raster
    for name, raster in simulate_instances(rasters, per_class=INSTANCES_PER_CLASS, seed=0).items():
        write_mask(labels / f"{name}_mask.png", raster)


def _print_table(scores: dict[str, Any], seconds: float) -> None:
    low, high = scores["interval"]["miou"]
    print(f"Synthetic sample, {INSTANCES_PER_CLASS} labelled instances per class, {scores['tiles']} held-out tiles")
    print(f"{'class':<12}{'IoU':>7}{'precision':>11}{'recall':>8}{'F1':>7}")
    for name, iou in scores["iou"].items():
        row = [scores[figure][name] for figure in ("precision", "recall", "f1")]
        print(f"{name:<12}{iou:7.3f}{row[0]:11.3f}{row[1]:8.3f}{row[2]:7.3f}")
    print(
        f"{'mean':<12}{scores['miou']:7.3f}   95 % interval {low:.3f} to {high:.3f}, accuracy {scores['accuracy']:.3f}"
    )
    print(f"in {seconds:.0f} s", flush=True)
