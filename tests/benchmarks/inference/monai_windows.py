"""Windows against MONAI's ``sliding_window_inference``: the same network, window, overlap and weighting on one tile.

Each side runs in a process of its own, so that its peak memory is its own, and the two take turns. Where other work has
the processor too, processor time tells more than the clock. MONAI is used as its
documentation has it: the tile as one float32 tensor, Gaussian weights. Both average
probabilities. Ours is ``NetworkSegmenter``'s way: ``plan_windows``, ``blend`` and the network by onnxruntime.

The overlap is 152 / 480, by which both place their windows alike on 2448 pixels (0, 328, .. 1968). With MONAI's usual
0.25 its last window is pushed back to the border where ours spread evenly: how far labels then agree stands beside it.

The network is an FPN on EfficientNet-Lite0 with the packaged weights and an untrained decoder, whose classes are
balanced so that each is predicted somewhere: many near ties, harder to agree on than a trained network's.
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
from numpy.typing import NDArray

from tests.benchmarks.memory import peak_mb

SIDE = 2448
WINDOW = 480
ALIKE = 152 / WINDOW - 1e-9  # MONAI rounds its stride down: not to 327
USUAL = 0.25
RUNS = 3
CLASSES = 6
REAL_TILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "deepglobe" / "land-train" / "6399_sat.jpg"
_PROBE = 256


def main() -> None:
    """Measure and print."""
    print(json.dumps(measure(), indent=2))


def measure(runs: int = RUNS, side: int = SIDE) -> dict[str, Any]:
    """Medians over ``runs`` alternating processes of either side, and how far the labels agree.

    Of the tile its upper left ``side`` pixels are taken.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found: dict[tuple[str, float], list[dict[str, float]]] = {}
        _in_process(
            "ours", ALIKE, side, Path(scratch)
        )  # writes the network's graph into the user's cache, as any run's
        for number in range(runs):
            for who in ("ours", "monai"):
                found.setdefault((who, ALIKE), []).append(_in_process(who, ALIKE, side, Path(scratch)))
                if number == 0:
                    found[who, USUAL] = [_in_process(who, USUAL, side, Path(scratch))]
        ours, monai = (_medians(found[who, ALIKE]) for who in ("ours", "monai"))
        return {
            "tile": REAL_TILE.name if REAL_TILE.is_file() else "synthetic",
            "side": side,
            "runs": runs,
            "ours": ours,
            "monai": monai,
            "times_faster": round(monai["seconds"] / ours["seconds"], 2),
            "times_less_processor_time": round(monai["cpu_seconds"] / ours["cpu_seconds"], 2),
            "share_of_memory": round(ours["peak_mb"] / monai["peak_mb"], 3),
            "share_of_memory_above_the_loaded_network": round(ours["above_mb"] / monai["above_mb"], 3),
            "labels_equal": _agreement(Path(scratch), ALIKE),
            "labels_equal_at_overlap_0.25": _agreement(Path(scratch), USUAL),
            "class_shares": _shares(Path(scratch)),
        }


def chapter(found: dict[str, Any]) -> str:
    """The figures in Markdown."""
    rows = [
        f"| {name} | {found[who]['seconds']:.2f} | {found[who]['cpu_seconds']:.2f} | {found[who]['peak_mb']:.0f} "
        f"| {found[who]['above_mb']:.0f} |"
        for who, name in (("ours", "ours"), ("monai", "MONAI"))
    ]
    return (
        "## Windows against MONAI's sliding_window_inference\n\n"
        f"Tile {found['tile']}, {found['side']} x {found['side']}, the same network (FPN on EfficientNet-Lite0), "
        f"windows of {WINDOW}, the same overlap and weights; each side in processes of its own, medians of "
        f"{found['runs']} in turns.\n\n"
        "| | s | processor s | peak MB | of it over the loaded network |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nOurs is {found['times_faster']:.2f} times faster (bar: 1.5), "
        f"{found['times_less_processor_time']:.2f} times by processor time. Peak memory is "
        f"{found['share_of_memory']:.0%} of MONAI's (bar: half), "
        f"{found['share_of_memory_above_the_loaded_network']:.0%} of what it takes over the loaded network. Labels are "
        f"equal on {found['labels_equal']:.3%} (bar: 99.9 %); at MONAI's usual overlap of {USUAL}, where it places its "
        f"last windows elsewhere, on {found['labels_equal_at_overlap_0.25']:.3%}."
    )


def _medians(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in figures) for name in figures[0]}


def _labels_path(folder: Path, who: str, overlap: float) -> Path:
    return folder / f"{who}-{overlap:.4f}.npy"


def _agreement(folder: Path, overlap: float) -> float:
    ours, monai = (np.load(_labels_path(folder, who, overlap)) for who in ("ours", "monai"))
    return round(float((ours == monai).mean()), 6)


def _shares(folder: Path) -> list[float]:
    labels = np.load(_labels_path(folder, "ours", ALIKE))
    return [round(float(share), 3) for share in np.bincount(labels.ravel(), minlength=CLASSES) / labels.size]


def _in_process(who: str, overlap: float, side: int, scratch: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.inference.monai_windows"]
    command += ["--one", who, str(overlap), str(side), str(scratch)]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def _one(who: str, overlap: float, side: int, scratch: Path) -> None:
    image, network = np.ascontiguousarray(_tile()[:side, :side]), _network()
    work = {"ours": _ours, "monai": _monai}[who](network, overlap)
    before = peak_mb()
    work(image[:_PROBE, :_PROBE])  # sets up
    start, spent = time.perf_counter(), time.process_time()
    labels = work(image)
    figures = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - spent}
    np.save(_labels_path(scratch, who, overlap), labels)
    print(json.dumps({**figures, "peak_mb": peak_mb(), "above_mb": peak_mb() - before}))


def _tile() -> NDArray[np.uint8]:
    from core.catalog.images import read_image
    from core.catalog.sample import draw_scene

    return read_image(REAL_TILE) if REAL_TILE.is_file() else draw_scene(0, SIDE).image


def _network() -> torch.nn.Module:
    """The network of both sides, from the same seed in every process."""
    from models.build import build_network

    network = build_network(encoder="efficientnet-lite0", decoder="fpn", seed=0).eval()
    images = torch.from_numpy(_tile()[:_PROBE, :_PROBE].copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        logits = network(images).logits[0].flatten(1)
    deviation, mean = torch.std_mean(logits, dim=1)
    with torch.no_grad():
        convolution = next(m for m in reversed(list(network.classifier.modules())) if isinstance(m, torch.nn.Conv2d))
        convolution.weight.div_(deviation.view(-1, 1, 1, 1))
        convolution.bias.sub_(mean).div_(deviation)
    return network


def _ours(network: torch.nn.Module, overlap: float) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    from core.inference.enlarging import most_probable
    from core.inference.network_graph import network_graph
    from core.inference.windows import BatchSize, blend, most_at_once, plan_windows
    from core.progress import SilentProgress

    graph = network_graph(network, torch.device("cpu"))
    if graph is None:
        raise RuntimeError("the network has no graph")

    def infer(windows: NDArray[np.uint8], _corners: object) -> NDArray[np.float32]:
        return torch.from_numpy(graph(windows)).softmax(dim=1).numpy()

    def work(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        window = (min(WINDOW, len(image)),) * 2
        plan = plan_windows(image.shape[:2], window, overlap=overlap, weighting="gaussian")
        labels = np.empty(image.shape[:2], np.uint8)

        def emit(top: int, rows: NDArray[np.float32]) -> None:
            labels[top : top + rows.shape[1]] = most_probable(rows)

        windows = (image[top : top + window[0], left : left + window[1]] for top, left in plan.corners)
        batch = BatchSize(most_at_once(window, torch.device("cpu")))
        blend(plan, windows, infer, emit, batch=batch, progress=SilentProgress(), message="")
        return labels

    return work


def _monai(network: torch.nn.Module, overlap: float) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    from monai.inferers import sliding_window_inference

    from core.inference.windows import weights

    @torch.inference_mode()
    def work(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = min(WINDOW, len(image))
        # MONAI holds its own Gaussian at 1e-3 after the product over both axes, ours is held along each axis.
        weight = torch.from_numpy(np.outer(weights(side, "gaussian"), weights(side, "gaussian"))).float()
        images = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
        probabilities = sliding_window_inference(
            images,
            roi_size=(side, side),
            sw_batch_size=1,
            predictor=lambda windows: network(windows).logits.softmax(dim=1),
            overlap=overlap,
            roi_weight_map=weight,
        )
        return probabilities[0].argmax(dim=0).to(torch.uint8).numpy()

    return work


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=4, metavar=("WHO", "OVERLAP", "SIDE", "FOLDER"), help="one side in this process")
    chosen = parser.parse_args()
    if chosen.one:
        _one(chosen.one[0], float(chosen.one[1]), int(chosen.one[2]), Path(chosen.one[3]))
    else:
        main()
