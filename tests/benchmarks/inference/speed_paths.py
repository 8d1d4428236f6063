"""Ways to run the same network faster, each with what it costs and how far its labels are those of torch in float32.

``python -m tests.benchmarks.inference.speed_paths`` prints the figures as JSON. The default head and a small network
(FPN on EfficientNet-Lite0, little trained) predict one real tile of 2448 x 2448 pixels (a drawn one where there are
none). Every way runs in a process of its own, so that its peak memory is its own: one pass that does not count, then
the median of three. Half resolution and grey are runs of their own, trained alike: what they see differs, so their
labels do as well, and are not the same network's.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.catalog.discover import discover
from core.catalog.images import read_image
from core.inference.predict import AnySegmenter, Segmenter, load_segmenter
from core.progress import SilentProgress
from core.training import features as features_module
from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from models.encoders import Encoder
from tests.benchmarks.memory import peak_mb
from tests.benchmarks.real_tiles import REAL_TILES
from tests.scenes import write_pairs

RUNS = 3
SIDE = 2448
COMPILE_SECONDS = 60  # a compilation that takes longer is given up
SMALL = ["encoder=efficientnet-lite0", "epochs=2", "steps=10", "patch=256"]
_TRAINED: dict[str, tuple[str, list[str]]] = {
    "head": ("head", []),
    "head, half resolution": ("head", ["resolution_m=1"]),
    "head, grey": ("head", ["grey=true"]),
    "network": ("decoder", SMALL),
    "network, half resolution": ("decoder", [*SMALL, "resolution_m=2"]),
    "network, grey": ("decoder", [*SMALL, "grey=true"]),
}
WAYS = ("eager", "channels_last", "onnxruntime", "bf16", "compiled")
_EAGER = "eager"


def main() -> None:
    """Measure and print; with ``--one`` a single way, as the processes that are measured do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--one", nargs=4, metavar=("RUN", "WAY", "TILE", "LABELS"))
    options = parser.parse_args()
    if options.one:
        run, way, tile, labels = options.one
        print(json.dumps(_one(Path(run), way, Path(tile), Path(labels), options.runs)))
    else:
        print(json.dumps(measure(runs=options.runs), indent=2))


def measure(*, runs: int = RUNS, side: int = SIDE, data: Path = REAL_TILES) -> dict[str, Any]:
    """Figures by kind and way; tiles are drawn where there are no real ones or others than theirs are asked for."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if not data.is_dir() or side < SIDE:
            data = folder / "drawn"
            write_pairs(data, 3, side)
        names = [tile.name for tile in discover(data).tiles][:3]
        trained = _train(data, names[1:], folder)
        tile = next(found.image_path for found in discover(data).tiles if found.name == names[0])
        told: dict[str, Any] = {"tile": tile.name, "side": side, "runs": runs, "threads": torch.get_num_threads()}
        for kind in ("head", "network"):
            told[kind] = _of_kind(kind, trained, tile, folder, runs)
        return told


def _train(data: Path, names: list[str], folder: Path) -> dict[str, Path]:
    trained = {}
    for name, (preset, settings) in _TRAINED.items():
        run = folder / name.replace(", ", "-").replace(" ", "-")
        recipe = load_recipe(preset, [*settings, f"train_tiles={','.join(names)}"])
        request = FitRequest(data=data, out=run, recipe=recipe, device="cpu", cache=FeatureCache(folder / "features"))
        fit(request, SilentProgress())
        trained[name] = run
    return trained


def _of_kind(kind: str, trained: dict[str, Path], tile: Path, folder: Path, runs: int) -> dict[str, Any]:
    """Every way of one kind against its eager pass in float32."""
    plan = [(way, trained[kind], way) for way in WAYS]
    plan += [(name, trained[f"{kind}, {name}"], "onnxruntime") for name in ("half resolution", "grey")]
    told: dict[str, Any] = {}
    wanted = None
    for name, run, way in plan:
        labels = folder / "labels.npy"
        figures = _in_process(run, way, tile, labels, runs)
        if "left out" not in figures:
            found = np.load(labels)
            wanted = found if wanted is None else wanted
            figures["equal_labels"] = round(float((found == wanted).mean()), 5)
            figures["times_faster"] = round(told[_EAGER]["seconds"] / figures["seconds"], 2) if told else 1.0
        told[name] = figures
    return told


def _in_process(run: Path, way: str, tile: Path, labels: Path, runs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name, "--runs", str(runs)]
    try:
        done = subprocess.run(
            [*command, "--one", str(run), way, str(tile), str(labels)],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMPILE_SECONDS * 4 if way == "compiled" else None,
        )
    except subprocess.TimeoutExpired:
        return {"left out": "it was not compiled in time"}
    if done.returncode:
        return {"left out": done.stderr.strip().splitlines()[-1][:200]}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _one(run: Path, way: str, tile: Path, labels: Path, runs: int) -> dict[str, Any]:
    if way == "bf16" and not torch.cpu._is_avx512_bf16_supported():  # torch has no public question for it
        return {"left out": "this processor has no bfloat16 arithmetic"}
    segmenter = load_segmenter(run, "cpu")
    image = read_image(tile)
    before = peak_mb()
    predict = _predictor(segmenter, way)
    start = time.perf_counter()
    found = predict(image)
    first = time.perf_counter() - start
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        found = predict(image)
        taken.append(time.perf_counter() - start)
    np.save(labels, found)
    seconds = statistics.median(taken)
    if way == "compiled" and first - seconds > COMPILE_SECONDS:
        return {"left out": f"compiling took {first - seconds:.0f} s"}
    peak = peak_mb()
    return {"seconds": round(seconds, 3), "peak_mb": round(peak), "over_loaded_mb": round(peak - before)}


def _predictor(segmenter: AnySegmenter, way: str) -> Callable[[np.ndarray], np.ndarray]:
    """From pixels to class raster in one of the ways; onnxruntime's is the product's own."""
    if isinstance(segmenter, Segmenter):
        if way != "onnxruntime":
            features_module.encode = _encode_by(way)
        return segmenter.predict
    network = segmenter.network
    if way == "onnxruntime":
        return segmenter.predict
    by_torch = type(segmenter)(segmenter.card, segmenter.recipe, network, segmenter.device)
    if way == _EAGER:
        network.to(memory_format=torch.contiguous_format)
        network._encode = lambda seen: network.encoder(seen.contiguous())
    if way == "compiled":
        network.encoder = torch.compile(network.encoder)
        network.decoder = torch.compile(network.decoder)

    def predict(image: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "bf16"):
            return by_torch.predict(image)

    return predict


def _encode_by(way: str) -> Callable[..., list[torch.Tensor]]:
    """What stands in for ``core.training.onnx_encoder.encode``: the same stages by torch."""
    compiled: dict[int, Any] = {}

    @torch.inference_mode()
    def encode(encoder: Encoder, images: torch.Tensor, deepest: int | None = None) -> list[torch.Tensor]:
        count = deepest or len(encoder.card.channels)
        if way == "channels_last":
            return encoder(images)[:count]
        backbone = encoder.backbone
        if way == _EAGER:
            backbone.to(memory_format=torch.contiguous_format)
        if way == "compiled":
            backbone = compiled.setdefault(id(encoder), torch.compile(backbone))
        scaled = (images.float() - encoder.mean) / encoder.std
        kind = torch.contiguous_format if way == _EAGER else torch.channels_last
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "bf16"):
            stages = backbone(scaled.contiguous(memory_format=kind))
        return [stage.float() for stage in stages[-len(encoder.card.channels) :][:count]]

    return encode


def chapter(told: dict[str, Any]) -> str:
    """The figures in Markdown."""
    rows = []
    for kind in ("head", "network"):
        for way, one in told[kind].items():
            cells = (
                f"{one['seconds']:.2f} | {one['times_faster']:.2f} times | {one['equal_labels']:.3%} "
                f"| {one['peak_mb']} | {one['over_loaded_mb']}"
                if "left out" not in one
                else f"left out: {one['left out']} | | | |"
            )
            rows.append(f"| {kind} | {way} | {cells} |")
    return (
        "## Ways to run the same network faster\n\n"
        f"Tile {told['tile']}, {told['side']} x {told['side']}, {told['threads']} threads, each way in a process of "
        f"its own, medians of {told['runs']} after one that does not count. Labels are compared with torch's in "
        "float32 (eager); half resolution and grey are runs of their own, whose labels differ because they see other "
        "things. The product's own way is onnxruntime.\n\n"
        "| | way | s | faster than eager | equal labels | peak MB | of it over the loaded run |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


if __name__ == "__main__":
    main()
