"""Frames a second of a network on a CUDA GPU at the size of a tile, from memory and from JPEG, and its peak memory.

GLNet's published 27.7 frames/s and 1 865 MB are at 2448 x 2448. A frame goes as bytes to the GPU, is brought to the
network's resolution there, and comes back as a class raster at its own size.

    python -m tests.benchmarks.inference.cuda_paths
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from core.catalog.discover import discover
from core.catalog.images import read_image, read_info
from core.inference.network import NetworkSegmenter
from core.inference.predict import load_segmenter
from core.progress import SilentProgress
from core.training.fit import FitRequest, fit
from core.training.recipe import load_recipe
from tests.benchmarks.inference.speed_paths import SIDE, SMALL
from tests.benchmarks.real_tiles import REAL_TILES
from tests.scenes import write_pairs

WAYS = ("float32", "channels_last", "bf16", "bf16, graph", "bf16, compiled")
FRAMES = 50
_READERS = 8
_AHEAD = 16

PUBLISHED_FRAMES, PUBLISHED_MB = 27.7, 1865
TITLE = "## On a CUDA GPU: frames a second at 2448 x 2448"

Predict = Callable[[Tensor], Tensor]
"""``(H, W, 3)`` uint8 on the CPU, pinned, to ``(H, W)`` uint8 on the GPU."""


def cuda_figures(run: Path, tile: Path, runs: int) -> dict[str, Any]:
    """By way: frames a second from memory and from JPEG (medians), peak memory in MB, and the share of equal labels."""
    image = torch.from_numpy(read_image(tile)).pin_memory()
    info = read_info(tile)
    told: dict[str, Any] = {"device": torch.cuda.get_device_name(), "size": list(image.shape[:2])}
    wanted = None
    for way in WAYS:
        segmenter = load_segmenter(run, "cuda")
        if not isinstance(segmenter, NetworkSegmenter):
            raise TypeError("frames are counted of a network")
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        predict = _predictor(segmenter, way, image, info.metres_per_pixel_y)
        found = predict(image).cpu()
        wanted = found if wanted is None else wanted
        from_memory = [_frames_a_second(predict, lambda: (image for _ in range(FRAMES))) for _ in range(runs)]
        from_jpeg = [_frames_a_second(predict, lambda: _decoded(tile)) for _ in range(runs)]
        told[way] = {
            "frames_a_second": round(statistics.median(from_memory), 1),
            "frames_a_second_from_jpeg": round(statistics.median(from_jpeg), 1),
            "peak_mb": torch.cuda.max_memory_allocated() // 2**20,
            "equal_labels": round(float((found == wanted).float().mean()), 5),
        }
    return told


def _frames_a_second(predict: Predict, frames: Callable[[], Iterator[Tensor]]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    for frame in frames():
        predict(frame).cpu()
    return FRAMES / (time.perf_counter() - start)


def _decoded(tile: Path) -> Iterator[Tensor]:
    """The tile, decoded again for every frame, a few ahead."""
    with ThreadPoolExecutor(_READERS) as pool:

        def read() -> Tensor:
            return torch.from_numpy(read_image(tile)).pin_memory()

        waiting = [pool.submit(read) for _ in range(min(_AHEAD, FRAMES))]
        for number in range(FRAMES):
            if number + _AHEAD < FRAMES:
                waiting.append(pool.submit(read))
            yield waiting.pop(0).result()


def _predictor(segmenter: NetworkSegmenter, way: str, image: Tensor, metres: float) -> Predict:
    network = segmenter.network
    share = min(1.0, metres / segmenter.recipe.resolution_m)
    step = network.alignment
    size = tuple(round(side * share) for side in image.shape[:2])
    aligned = [-(-side // step) * step for side in size]
    if way == "float32":
        network.to(memory_format=torch.contiguous_format)
        network._encode = lambda seen: network.encoder(seen.contiguous())
    ask = torch.compile(network) if way.endswith("compiled") else network

    @torch.inference_mode()
    def of_pixels(pixels: Tensor) -> Tensor:
        seen = F.interpolate(pixels.permute(2, 0, 1)[None].float(), size=size, mode="area")
        seen = F.pad(seen, (0, aligned[1] - size[1], 0, aligned[0] - size[0]), mode="reflect")
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=way.startswith("bf16")):
            logits = ask(seen).logits[:, :, : size[0], : size[1]]
        whole = F.interpolate(logits.float(), size=image.shape[:2], mode="bilinear", align_corners=False)
        return whole.argmax(dim=1)[0].to(torch.uint8)

    if not way.endswith("graph"):
        return lambda pixels: of_pixels(pixels.to("cuda", non_blocking=True))
    return _graphed(of_pixels, image)


def _graphed(of_pixels: Predict, image: Tensor) -> Predict:
    """The same as a CUDA graph, which launches all its kernels at once."""
    kept = image.to("cuda")
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # a capture wants everything chosen and allocated before
        for _ in range(3):
            of_pixels(kept)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = of_pixels(kept)

    def predict(pixels: Tensor) -> Tensor:
        kept.copy_(pixels, non_blocking=True)
        graph.replay()
        return found

    return predict


def measure(*, runs: int) -> dict[str, Any] | None:
    """Train a small network on two tiles and measure it on a third; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = REAL_TILES
        if not data.is_dir():
            data = folder / "drawn"
            write_pairs(data, 3, SIDE)
        tiles = discover(data).tiles[:3]
        recipe = load_recipe("decoder", [*SMALL, f"train_tiles={','.join(tile.name for tile in tiles[1:])}"])
        fit(FitRequest(data=data, out=folder / "run", recipe=recipe, device="cuda"), SilentProgress())
        return {
            "tile": tiles[0].image_path.name,
            "runs": runs,
            **cuda_figures(folder / "run", tiles[0].image_path, runs),
        }


def chapter(told: dict[str, Any] | None) -> str:
    """The figures in Markdown."""
    if told is None:
        return f"{TITLE}\n\nThere is no GPU on this machine; nothing was measured."
    rows = [
        f"| {way} | {told[way]['frames_a_second']:.1f} | {told[way]['frames_a_second_from_jpeg']:.1f} "
        f"| {told[way]['peak_mb']} | {told[way]['equal_labels']:.3%} |"
        for way in WAYS
    ]
    return (
        f"{TITLE}\n\n{told['device']}, tile {told['tile']}, {told['size'][0]} x {told['size'][1]}, an FPN on "
        f"EfficientNet-Lite0; medians of {told['runs']} times {FRAMES} frames. Published best: {PUBLISHED_FRAMES} "
        f"frames/s, {PUBLISHED_MB} MB.\n\n"
        "| way | frames/s from memory | from JPEG | peak MB (allocator) | labels as float32 |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )


if __name__ == "__main__":
    print(chapter(measure(runs=3)))
