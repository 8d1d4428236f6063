"""Our CRF against pydensecrf2: the same tile, probabilities and parameters, in one run.

Three things are told: the time of one whole tile, the memory that it takes on top of what it is given, and how many
labels agree. Where the two differ, which is nearer the truth is asked of the exact CRF, summed over all pairs of
pixels, on small crops.

    python -m tests.benchmarks.inference.dense_crf --data DIR --kept DIR [--tile NAME] [--size 2448] [--runs 3]
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from core.catalog.images import read_image
from core.inference.compact import read_compact
from core.inference.crf import CrfParameters, dense_crf
from core.training.feature_cache import FeatureCache, default_cache
from tests.benchmarks.inference.switches_table import keep_held_out
from tests.benchmarks.memory import peak_mb

METRES = 0.5
FLOOR = 1e-5
CROP = 80  # pixels of a side: the exact kernels of 6400 pixels take 160 MB
CROPS = 6
PARAMETERS = {
    "ours by default": CrfParameters(),
    "as in pydensecrf's readme": CrfParameters(bilateral_weight=10, smooth_metres=1.5, smooth_weight=3),
}
"""The readme's: sxy=3, compat=3 and sxy=80, srgb=13, compat=10, in pixels of 0.5 m; its five iterations."""

Probabilities = NDArray[np.float32]
Image = NDArray[np.uint8]
Crf = Callable[[Probabilities, Image, CrfParameters], Probabilities]


def ours(probabilities: Probabilities, image: Image, chosen: CrfParameters) -> Probabilities:
    """As the switch does it."""
    return dense_crf(probabilities, image, metres_per_pixel=(METRES, METRES), parameters=chosen)


def peer(probabilities: Probabilities, image: Image, chosen: CrfParameters) -> Probabilities:
    """pydensecrf2 with the same kernels and weights; its normalisation is symmetric by default, as ours."""
    from pydensecrf.densecrf import DenseCRF2D

    classes, height, width = probabilities.shape
    crf = DenseCRF2D(width, height, classes)
    crf.setUnaryEnergy(-np.log(np.maximum(probabilities, FLOOR)).reshape(classes, -1))
    crf.addPairwiseGaussian(sxy=chosen.smooth_metres / METRES, compat=chosen.smooth_weight)
    crf.addPairwiseBilateral(
        sxy=chosen.bilateral_metres / METRES,
        srgb=chosen.bilateral_grey_levels,
        rgbim=np.ascontiguousarray(image),
        compat=chosen.bilateral_weight,
    )
    return np.asarray(crf.inference(int(chosen.iterations)), np.float32).reshape(probabilities.shape)


def exact(probabilities: Probabilities, image: Image, chosen: CrfParameters) -> Probabilities:
    """Mean field as in Kraehenbuehl & Koltun (2011), summed over all pairs: O(pixels squared)."""
    classes, height, width = probabilities.shape
    place = np.stack(np.mgrid[:height, :width], axis=-1).reshape(-1, 2).astype(np.float32) * np.float32(METRES)
    colour = image.reshape(-1, 3).astype(np.float32) / np.float32(chosen.bilateral_grey_levels)
    kernel = _normalised(np.hstack([place / np.float32(chosen.bilateral_metres), colour]))
    kernel *= np.float32(chosen.bilateral_weight)
    kernel += np.float32(chosen.smooth_weight) * _normalised(place / np.float32(chosen.smooth_metres))
    unary = np.maximum(probabilities.reshape(classes, -1).T, FLOOR)
    marginals = unary / unary.sum(axis=1, keepdims=True)
    for _ in range(int(chosen.iterations)):
        marginals = unary * np.exp(kernel @ marginals)
        marginals /= marginals.sum(axis=1, keepdims=True)
    return np.asarray(marginals.T.reshape(probabilities.shape), np.float32)


def _normalised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The symmetrically normalised Gaussian kernel between all pairs, (n, n)."""
    square = np.square(features).sum(axis=1)
    kernel = features @ features.T
    kernel *= 2
    kernel -= square[:, None]
    kernel -= square[None]
    kernel *= np.float32(0.5)
    np.exp(kernel, out=kernel)
    root = 1 / np.sqrt(kernel.sum(axis=1))
    kernel *= root[:, None]
    kernel *= root[None]
    return kernel


def measure(probabilities: Probabilities, image: Image, *, runs: int) -> dict[str, Any]:
    """Seconds (medians of ``runs`` in turns), extra bytes at the peak, and agreement, by parameters."""
    found: dict[str, Any] = {"size": list(image.shape[:2]), "runs": runs, "parameters": {}}
    before = probabilities.argmax(axis=0)
    ours(probabilities[:, :64, :64], image[:64, :64], CrfParameters())  # loads what was compiled
    for name, chosen in PARAMETERS.items():
        seconds: dict[str, list[float]] = {"ours": [], "peer": []}
        labels = {}
        for _ in range(runs):
            for who, crf in (("ours", ours), ("peer", peer)):
                begun = time.perf_counter()
                refined = crf(probabilities, image, chosen)
                seconds[who].append(time.perf_counter() - begun)
                labels[who] = refined.argmax(axis=0)
                del refined
        changed = labels["peer"] != before
        same = labels["ours"] == labels["peer"]
        medians = {who: statistics.median(one) for who, one in seconds.items()}
        found["parameters"][name] = {
            "seconds": medians,
            "faster": medians["peer"] / medians["ours"],
            "agreement": float(same.mean()),
            "changed_by_peer": float(changed.mean()),
            "agreement_where_changed": float(same[changed].mean()),
            "exact": against_exact(probabilities, image, chosen),
        }
    found["extra_bytes"] = {
        who: _extra_bytes(crf, probabilities, image) for who, crf in (("ours", ours), ("peer", peer))
    }
    return found


def ours_at_full_size(probabilities: Probabilities, image: Image, chosen: CrfParameters) -> Probabilities:
    """Ours with its messages passed at the tile's own resolution."""
    return ours(probabilities, image, replace(chosen, working_metres=METRES))


ALL: Mapping[str, Crf] = {"ours": ours, "ours at 0.5 m": ours_at_full_size, "peer": peer}


def against_exact(
    probabilities: Probabilities, image: Image, chosen: CrfParameters, *, crfs: Mapping[str, Crf] = ALL
) -> dict[str, float]:
    """The share of labels that agree with the exact CRF on the crops where it changes most, and how far marginals lie.

    A crop's CRF knows nothing of the rest, for all three alike.
    """
    places = _busiest(probabilities, CROPS)
    sums: dict[str, list[float]] = {}
    for top, left in places:
        where = np.s_[top : top + CROP, left : left + CROP]
        crop, pixels = np.ascontiguousarray(probabilities[:, *where]), np.ascontiguousarray(image[where])
        truth = exact(crop, pixels, chosen)
        changed = truth.argmax(axis=0) != crop.argmax(axis=0)
        sums.setdefault("changed", []).append(float(changed.mean()))
        for who, crf in crfs.items():
            refined = crf(crop, pixels, chosen)
            sums.setdefault(who, []).append(float((refined.argmax(axis=0) == truth.argmax(axis=0)).mean()))
            sums.setdefault(f"{who}, marginals", []).append(float(np.abs(refined - truth).mean()))
    return {name: statistics.mean(values) for name, values in sums.items()}


def _busiest(probabilities: Probabilities, count: int) -> list[tuple[int, int]]:
    """Crops with the least sure labels, where a CRF has most to say: corners (top, left), none twice."""
    rows, columns = (side // CROP for side in probabilities.shape[1:])
    sure = probabilities[:, : rows * CROP, : columns * CROP].max(axis=0)
    by_crop = sure.reshape(rows, CROP, columns, CROP).mean(axis=(1, 3))
    order = np.argsort(by_crop, axis=None)[:count]
    return [(int(index // columns) * CROP, int(index % columns) * CROP) for index in order]


def _extra_bytes(crf: Crf, probabilities: Probabilities, image: Image) -> int:
    """What a process of its own takes at its peak beyond what it holds with everything loaded."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return int(pool.apply(partial(_peak, crf), (probabilities, image)))


def _peak(crf: Crf, probabilities: Probabilities, image: Image) -> int:
    crf(probabilities[:, :64, :64], image[:64, :64], CrfParameters())  # libraries are no part of it
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now (proc(5))
    held = psutil.Process().memory_info().rss
    crf(probabilities, image, CrfParameters())
    return round(peak_mb() * 2**20) - held


def figures(
    data: Path, kept: Path, *, tile: str = "104113", size: int = 2448, runs: int = 3, cache: FeatureCache | None = None
) -> dict[str, Any]:
    """Measure on a real tile (its upper left ``size`` pixels) with what a head says that never saw it."""
    found = keep_held_out(data, kept, cache=cache or default_cache(), only=(tile,))
    compact = read_compact(kept / "none" / f"{tile}.zip")
    if not found or compact is None:
        raise FileNotFoundError(f"there is no tile {tile} with a mask in {data}")
    probabilities = np.ascontiguousarray(compact.expand()[:, :size, :size])
    image = np.ascontiguousarray(read_image(found[0].image_path)[:size, :size])
    return {"tile": tile, **measure(probabilities, image, runs=runs)}


def chapter(found: dict[str, Any]) -> str:
    """The figures in Markdown."""
    rows = [
        f"| {name} | {one['seconds']['ours']:.2f} | {one['seconds']['peer']:.1f} | {one['faster']:.1f} times "
        f"| {one['agreement']:.2%} | {one['changed_by_peer']:.1%} | {one['agreement_where_changed']:.1%} "
        f"| {one['exact']['ours']:.2%} ({one['exact']['ours, marginals']:.4f}) "
        f"| {one['exact']['peer']:.2%} ({one['exact']['peer, marginals']:.4f}) |"
        for name, one in found["parameters"].items()
    ]
    extra = {who: size / 2**20 for who, size in found["extra_bytes"].items()}
    height, width = found["size"]
    return (
        "## Dense CRF against pydensecrf2\n\n"
        f"Tile {found['tile']}, {height} x {width} x 6, medians of {found['runs']}, in turns. Extra memory at the "
        f"peak: ours {extra['ours']:.0f} MB, pydensecrf2 {extra['peer']:.0f} MB. The last two columns: labels "
        f"that agree with the exact CRF on the {CROPS} least sure crops of {CROP} x {CROP}, and the mean distance of a "
        "marginal from it.\n\n"
        "| parameters | ours, s | pydensecrf2, s | ours is faster by | labels agree | it changes | agree where it does "
        "| ours: as exact | pydensecrf2: as exact |\n|---|---|---|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def main() -> None:
    """Print the chapter, or the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True, help="a folder for what the heads say")
    parser.add_argument("--tile", default="104113")
    parser.add_argument("--size", type=int, default=2448)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cache", type=Path, help="a feature cache to keep; the user's when left out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cache = FeatureCache(options.cache) if options.cache else None
    found = figures(options.data, options.kept, tile=options.tile, size=options.size, runs=options.runs, cache=cache)
    print(json.dumps(found) if options.json else chapter(found))


if __name__ == "__main__":
    main()
