"""What the network presets cost on a device: seconds a step, images a second, memory; on a GPU also against the CPU.

``python -m tests.benchmarks.presets --device auto --out FOLDER`` writes ``presets.json`` and ``presets.md``. Every
preset is trained in a process of its own, so that its memory is its own, for a few steps on generated tiles of 2448
pixels (or on those of ``--data``), with random weights where its encoder's are on the hub. A step counts with the
making of its patches; the first ones, which load libraries and choose algorithms, do not count. GLNet, whose step is
over 216 patches, is measured on a GPU alone. Nothing is started any more once ``--budget`` seconds are over, and what
was left out is told.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from core.progress import SilentProgress
from core.training.network_setup import make_learner, make_network, make_patches, make_sampler
from core.training.patch_batches import batches
from core.training.patches import load_working_tiles
from core.training.recipe import Recipe, load_recipe
from core.training.training_data import gather
from tests.benchmarks.memory import peak_mb
from tests.scenes import write_pairs

PRESETS = ("decoder", "finetune", "glnet-fpn", "unet", "glnet")
WAYS: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "float32": ("precision=float32",),
    "augmented on the device": ("augment_on=device",),
    "compiled": ("compile=true",),
}
ON_CPU = ("as it is",)
NOT_COMPILED = ("glnet",)  # its stages do not go through forward
NOT_ON_CPU = ("glnet",)  # 36 patches a tile, 6 tiles a step: minutes
WARM_UP, CPU_WARM_UP = 5, 1
TILES, TILE_SIDE = 6, 2448


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="a folder of tiles with masks; by default tiles are drawn")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over every preset")
    parser.add_argument("--steps", type=int, default=20, help="timed steps on a GPU; a tenth of them on a CPU")
    parser.add_argument("--tile-side", type=int, default=TILE_SIDE)
    parser.add_argument("--budget", type=float, default=420)
    parser.add_argument("--one", nargs=2, metavar=("PRESET", "DEVICE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure_one(options, *options.one)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    result = measure_all(options)
    (options.out / "presets.json").write_text(json.dumps(result, indent=1))
    table = as_table(result)
    (options.out / "presets.md").write_text(table)
    print(table)


def measure_all(options: argparse.Namespace) -> dict[str, Any]:
    """Every preset on the device, and on the CPU as well where that is a GPU."""
    gpu = options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available())
    began = time.perf_counter()
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        data = options.data or Path(scratch)
        if options.data is None:
            write_pairs(data, TILES, options.tile_side)
        # The GPU first: it is what is lent for a while.
        wanted = [(preset, "cuda") for preset in options.presets] if gpu else []
        wanted += [(preset, "cpu") for preset in options.presets if preset not in NOT_ON_CPU]
        for preset, device in wanted:
            left = options.budget - (time.perf_counter() - began)
            if left <= 0:
                left_out.append(f"{preset} on {device}")
                continue
            print(f"{preset} on {device}, {left:.0f} s left", file=sys.stderr, flush=True)
            told, failure = _in_a_process(options, preset, device, data, seconds=left)
            rows += told
            left_out += [f"{preset} on {device}: {failure}"] if failure else []
    machine = {
        "gpu": torch.cuda.get_device_name() if gpu else "no GPU",
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    return {"machine": machine, "seconds": round(time.perf_counter() - began, 1), "rows": rows, "left_out": left_out}


def _in_a_process(
    options: argparse.Namespace, preset: str, device: str, data: Path, *, seconds: float
) -> tuple[list[dict[str, Any]], str]:
    """The rows that a process of its own printed, and why it ended early, if it did."""
    command = [sys.executable, "-m", "tests.benchmarks.presets", "--out", str(options.out), "--data", str(data)]
    command += ["--steps", str(options.steps), "--budget", str(seconds), "--one", preset, device]
    command += [part for setting in options.set for part in ("--set", setting)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        printed, said = process.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, said = process.communicate()
        said += "\nout of time"
    rows = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return rows, (said.strip().splitlines() or ["it ended"])[-1] if process.returncode else ""


def measure_one(options: argparse.Namespace, preset: str, device_name: str) -> None:
    """Print a row for each way to train the preset."""
    began = time.perf_counter()
    device = torch.device(device_name)
    for way, settings in WAYS.items():
        if (device.type == "cpu" and way not in ON_CPU) or (way == "compiled" and preset in NOT_COMPILED):
            continue
        if time.perf_counter() - began > options.budget:
            return
        recipe = load_recipe(preset, ["folds=1", *_without_hub(preset), *settings, *options.set])
        warm_up = WARM_UP if device.type == "cuda" else CPU_WARM_UP
        steps = options.steps if device.type == "cuda" else max(1, options.steps // 10)
        for stage in (1, 2, 3) if recipe.decoder == "glnet" else (None,):
            few = 2 if stage in (2, 3) else steps  # a step of the later stages is 36 times as many patches
            row = measure(recipe, options.data, device, warm_up=min(warm_up, few), steps=few, stage=stage)
            print(json.dumps({"preset": preset, "way": way, **row}), flush=True)


def _without_hub(preset: str) -> list[str]:
    """There is no network where a GPU is lent, and speed does not depend on the weights."""
    return ["weights=none"] if load_recipe(preset).weights == "hub" else []


def measure(
    recipe: Recipe, data: Path, device: torch.device, *, warm_up: int, steps: int, stage: int | None
) -> dict[str, Any]:
    """Median seconds a step, with and without the making of its patches, and the most memory that was held."""
    gathered = gather(data, None, recipe)
    tiles = load_working_tiles(gathered.training, folder=Path(tempfile.gettempdir()), progress=SilentProgress())
    said: list[str] = []
    network = make_network(recipe, tiles, seed=0)
    sampler = make_sampler(recipe, tiles, seed=0)
    learner = make_learner(network, recipe, shares=sampler.seen_shares(), device=device, tell=said.append)
    learner.begin_epoch(0)
    if stage is not None:
        learner.network.enter(stage)
        learner.network.train()
    learner.set_rate(0.5)
    maker = make_patches(recipe, tiles, network)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.cuda.reset_peak_memory_stats()
    draws = sampler.epoch((warm_up + steps) * recipe.batch_size)
    whole, alone = [], []
    with _watched(device) as most_of_device:
        last = time.perf_counter()
        for index, batch in enumerate(batches(maker, draws, size=recipe.batch_size, device=device)):
            _settle(device)
            made = time.perf_counter()
            learner.step(batch)  # waits for the device: it reads the loss
            _settle(device)
            now = time.perf_counter()
            if index >= warm_up:
                whole.append(now - last)
                alone.append(now - made)
            last = now
    # A loop that prefetches is as fast as its total, not as the median of its parts.
    seconds = sum(whole) / len(whole)
    return {
        "device": device.type,
        "stage": stage,
        "steps": len(whole),
        "patch": recipe.patch,
        "batch_size": recipe.batch_size,
        "at_once": learner.micro_batch,
        "seconds_per_step": seconds,
        "seconds_network": statistics.median(alone),
        "images_per_second": recipe.batch_size / seconds,
        "peak_rss": round(peak_mb() * 2**20),
        "peak_allocator": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "peak_device": most_of_device[0] if device.type == "cuda" else None,
        "said": said,
    }


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


@contextmanager
def _watched(device: torch.device) -> Iterator[list[int]]:
    """The most bytes of the device that were taken, by all on it, looked at twenty times a second."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.is_set():
            free, total = torch.cuda.mem_get_info()
            most[0] = max(most[0], total - free)
            over.wait(0.05)

    watcher = threading.Thread(target=look, daemon=True) if device.type == "cuda" else None
    if watcher:
        watcher.start()
    try:
        yield most
    finally:
        over.set()
        if watcher:
            watcher.join()


def as_table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    rows = result["rows"]
    on_cpu = {row["preset"]: row["images_per_second"] for row in rows if row["device"] == "cpu"}
    machine = result["machine"]
    lines = [
        f"{machine['gpu']}, {machine['cores']} cores, torch {machine['torch']}; {result['seconds']:g} s in all.",
        "",
        "| preset | way | device | patches | s a step | of it network | images/s | against CPU | peak RSS "
        "| allocator | device |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        preset = row["preset"] + (f", stage {row['stage']}" if row["stage"] else "")
        base = on_cpu.get(row["preset"])
        faster = f"{row['images_per_second'] / base:.1f} x" if base and row["device"] == "cuda" else ""
        memory = " | ".join(_gib(row[key]) for key in ("peak_rss", "peak_allocator", "peak_device"))
        lines.append(
            f"| {preset} | {row['way']} | {row['device']} | {row['batch_size']} x {row['patch']}² | "
            f"{row['seconds_per_step']:.3f} | {row['seconds_network']:.3f} | {row['images_per_second']:.1f} "
            f"| {faster} | {memory} |"
        )
    lines += [f"\nLeft out: {what}." for what in result["left_out"]]
    lines += [f"\n{row['preset']}, {row['way']}: {sentence}." for row in rows for sentence in row["said"]]
    return "\n".join(lines) + "\n"


def _gib(amount: int | None) -> str:
    return "" if amount is None else f"{amount / 2**30:.2f} GiB"


if __name__ == "__main__":
    main()
