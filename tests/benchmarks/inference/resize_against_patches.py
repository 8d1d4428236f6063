"""Tiles resized as a whole against patches at full resolution, with four decoders: mIoU, peak memory, time (A10, A11).

Both ways train on squares of 512 pixels, nearly GLNet's 508: 'resized' sees the whole tile of 2448 pixels brought to
512, and predicts it in one pass; 'patches' sees 512 of its own pixels of 0.5 m, and predicts in overlapping windows.
The encoder is frozen, small and the same for all (``SETTINGS``), so that a CPU gets through; the published comparison
trains ResNets for some hundred epochs. What a few steps tell is the cost; hardly the score.

A cell of the table is trained in one process and judged in another, so that either peak of memory is its own: the
allocator's where there is a GPU, else the process's. A cell that is kept with the same settings is not done again.

    python -m tests.benchmarks.inference.resize_against_patches --out DIR [--steps 12] [--tiles 3] [--device auto]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.atomic import write_json
from core.catalog.discover import discover
from core.catalog.images import read_image, read_info
from core.classes import CLASS_NAMES
from core.evaluation.confusion import count
from core.evaluation.scores import from_confusion
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.cross_validation import truth_of
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from tests.benchmarks.amount import Amount
from tests.benchmarks.memory import peak_mb
from tests.benchmarks.real_tiles import ABSENT, REAL_TILES

PATCH = 512
SIGHTS = {
    "resized": (f"resolution_m={2448 * 0.5 / PATCH}", "sight=resized"),
    "patches": ("resolution_m=0.5", "sight=patches"),
}
DECODERS = {"unet": "U-Net", "fpn": "FPN", "deeplabv3plus": "DeepLabV3+", "pspnet": "PSPNet"}
SETTINGS = (
    "encoder=efficientnet-lite0",
    "decoder_norm=groupnorm",
    f"patch={PATCH}",
    "batch_size=4",
    "epochs=1",
    "averaging=0",
    "augmentation=none",
)
JUDGED = ("119", "2774", "6399", "3484", "180902")
"""The tiles that are judged, as many of them as asked for; all others with a mask are trained on."""
STEPS, TILES = 8, 3
TITLE = "## Resized tiles against patches"


def measure(out: Path, *, steps: int, tiles: int, device: str, data: Path = REAL_TILES) -> list[dict[str, Any]]:
    """A row for each way and decoder; those that ``out`` keeps are taken from there."""
    rows = []
    for sight in SIGHTS:
        for decoder in DECODERS:
            wanted = {"sight": sight, "decoder": decoder, "steps": steps, "tiles": tiles, "device": device}
            wanted["settings"] = list(SETTINGS)
            path = out / f"{sight}-{decoder}.json"
            row = _kept(path, wanted)
            if row is None:
                print(f"{sight}, {decoder}", file=sys.stderr, flush=True)
                run = out / f"{sight}-{decoder}-{datetime.now(UTC):%H%M%S}"
                command = [sys.executable, "-m", "tests.benchmarks.inference.resize_against_patches"]
                command += ["--out", str(run), "--data", str(data), "--steps", str(steps)]
                command += ["--tiles", str(tiles), "--device", device, "--cell", sight, decoder]
                row = {**wanted, "train": _said([*command, "train"]), "judge": _said([*command, "judge"])}
                write_json(path, row)
            rows.append(row)
    return rows


def _kept(path: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    row: dict[str, Any] = json.loads(path.read_text())
    return row if all(row[name] == value for name, value in wanted.items()) else None


def _said(command: list[str]) -> dict[str, Any]:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with:\n{finished.stderr}")
    figures: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def train(options: argparse.Namespace, sight: str, decoder: str) -> dict[str, Any]:
    """Train a cell; its seconds a step, memory and how many tiles it learnt from."""
    judged = JUDGED[: options.tiles]
    names = [t.name for t in discover(options.data).tiles if t.mask_path is not None and t.name not in judged]
    settings = [*SETTINGS, *SIGHTS[sight], f"decoder={decoder}", f"steps={options.steps}"]
    recipe = load_recipe("decoder", [*settings, f"train_tiles={','.join(names)}"])
    fitted = fit(FitRequest(data=options.data, out=options.out, recipe=recipe, device=options.device), SilentProgress())
    return {"step_seconds": fitted["head_seconds"] / options.steps, "tiles": len(names), **_memory()}


def judge(options: argparse.Namespace) -> dict[str, Any]:
    """Judge a cell that was trained: mIoU of one confusion, median seconds from decoded image to raster, memory."""
    segmenter = load_segmenter(options.out, options.device)
    matrices, seconds = [], []
    for tile in discover(options.data).tiles:
        if tile.name not in JUDGED[: options.tiles]:
            continue
        image, info = read_image(tile.image_path), read_info(tile.image_path)
        start = time.perf_counter()
        raster = segmenter.predict(image, metres_per_pixel=(info.metres_per_pixel_y, info.metres_per_pixel_x))
        seconds.append(time.perf_counter() - start)
        matrices.append(count(truth_of(tile), raster))
    found = from_confusion(np.sum(matrices, axis=0))
    return {"miou": found.miou, "iou": found.iou, "seconds": statistics.median(seconds), **_memory()}


def _memory() -> dict[str, Any]:
    if torch.cuda.is_available():
        return {"device": torch.cuda.get_device_name(), "peak_mb": torch.cuda.max_memory_allocated() / 2**20}
    return {"device": "CPU", "peak_mb": peak_mb()}


def chapter(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    first = rows[0]
    on_cpu = first["judge"]["device"] == "CPU"
    table = [
        f"| {row['sight']} | {DECODERS[row['decoder']]} | {row['judge']['miou']:.3f} | {_by_class(row)} "
        f"| {row['judge']['seconds']:.1f} | {row['judge']['peak_mb']:.0f} | {row['train']['step_seconds']:.1f} "
        f"| {row['train']['peak_mb']:.0f} |"
        for row in rows
    ]
    warning = f"A CPU budget of {first['steps']} steps" if on_cpu else f"{first['steps']} steps"
    memory = "peak RSS of the process" if on_cpu else "the allocator's peak on the device"
    return (
        f"{TITLE}\n\n"
        f"{warning}: it tells the cost, hardly the score. Frozen {SETTINGS[0].removeprefix('encoder=')}, decoder "
        f"trained on {first['train']['tiles']} real tiles in batches of 4 squares of {PATCH} pixels, judged on "
        f"{first['tiles']} others with one confusion matrix, on {first['judge']['device']}. 'resized' brings the whole "
        f"tile to {PATCH} pixels, 'patches' takes it as it is, in overlapping windows. Seconds: median over the judged "
        f"tiles; memory: {memory}. So few tiles and one seed give no interval: differences in score between the rows "
        "mean nothing.\n\n"
        f"| tile | decoder | mIoU | {' | '.join(CLASS_NAMES)} | s a tile | MB, predicting | s a step | MB, training |\n"
        f"|---|---|---|{'---|' * len(CLASS_NAMES)}---|---|---|---|\n" + "\n".join(table)
    )


def _by_class(row: dict[str, Any]) -> str:
    found = row["judge"]["iou"]  # a class that does not occur on the judged tiles has none
    return " | ".join(f"{found[name]:.2f}" if name in found else "" for name in CLASS_NAMES)


def report(amount: Amount) -> str:
    """The chapter, of what is kept or measured now."""
    if not REAL_TILES.is_dir():
        return f"{TITLE}\n\n{ABSENT}"
    out = amount.kept / ("resize-against-patches-quick" if amount.quick else "resize-against-patches")
    steps, tiles = (1, 1) if amount.quick else (STEPS, TILES)
    return chapter(measure(out, steps=steps, tiles=tiles, device="auto"))


def main() -> None:
    """Print the chapter; with ``--cell`` one half of a cell, as the processes that are measured do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder that keeps the cells that are done")
    parser.add_argument("--data", type=Path, default=REAL_TILES)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--tiles", type=int, default=TILES, choices=range(1, len(JUDGED) + 1), help="judged ones")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--cell", nargs=3, metavar=("SIGHT", "DECODER", "HALF"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        sight, decoder, half = options.cell
        print(json.dumps(train(options, sight, decoder) if half == "train" else judge(options)))
        return
    rows = measure(options.out, steps=options.steps, tiles=options.tiles, device=options.device, data=options.data)
    print(chapter(rows))


if __name__ == "__main__":
    main()
