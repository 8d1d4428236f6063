"""What a trained network loses and gains by pruning: mIoU, size and time against sparsity, on its validation tiles."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.atomic import write_json
from core.catalog.images import read_image, read_info
from core.errors import InputError
from core.evaluation.evaluate import summarise
from core.inference.network import NetworkSegmenter
from core.inference.validation_tiles import ValidationTile, find_validation_tiles, judge_tiles
from core.progress import Progress
from core.training.features import choose_device
from core.training.runs import Run, read_head, read_recipe, read_run
from models.checkpoint import TrainedNetwork
from models.errors import ModelError
from models.pruning import Pruned, prune_channels, prune_weights

PruningKind = Literal["magnitude", "structured"]

_WAYS = {
    "none": "The network as it was trained.",
    "weights": "Single weights are zero; the network is as large as before, and as slow wherever zeros are multiplied.",
    "removed": "Channels are gone from the convolutions that allow it: the network is smaller.",
    "masked": "No channel of this network can be removed, so channels are set to zero; it is as slow as before.",
}
_PASSES = 3  # over one tile, of which the median counts


@dataclass(frozen=True, slots=True)
class PruningRequest:
    """Which run to prune by how much (shares from 0 to 1), and where its validation tiles lie."""

    run: Path
    out: Path
    kind: PruningKind
    sparsities: tuple[float, ...]
    data: Path
    labels: Path | None = None
    device: str = "auto"


def prune_run(request: PruningRequest, progress: Progress) -> dict[str, Any]:
    """Prune copies of a run's network, judge each, and write ``out``; returns what was written.

    ``rows`` begin with the network as it is (sparsity 0). Each has ``sparsity``, ``way`` and a sentence, the share of
    ``zero_weights``, ``parameters``, ``miou`` with its 95 % ``interval``, ``seconds`` of a tile (median of 3, by torch)
    and ``time_ratio`` to the whole network. Nothing is trained after pruning.

    Raises ``InputError`` for a run without a network or validation tiles, and shares that are none; ``CancelledError``,
    with nothing written.
    """
    if not request.sparsities or not all(0 < share < 1 for share in request.sparsities):
        raise InputError("Sparsities are shares between 0 and 1, joined by commas, for example 0.3,0.5,0.7.")
    run = read_run(request.run)
    network = read_head(request.run)
    if not isinstance(network, TrainedNetwork):
        raise InputError(
            f"The run {request.run} has a head on cached features, with next to nothing to prune; prune the run of "
            "a network (train is decoder, finetune or whole)."
        )
    if not run.card.validation_tiles:
        raise InputError(f"The run {request.run} has no validation tiles to judge it on; train one that has.")
    tiles = find_validation_tiles(run.card.validation_tiles, request.data, request.labels)
    rows: list[dict[str, Any]] = []
    for number, sparsity in enumerate((0.0, *sorted(set(request.sparsities)))):
        progress.update(number, len(request.sparsities) + 1, f"Judging the network at sparsity {sparsity:g}")
        rows.append(
            {
                "sparsity": sparsity,
                **_judged(run, _pruned(network, request.kind, sparsity), tiles, request.device, progress),
            }
        )
        rows[-1]["time_ratio"] = round(rows[-1]["seconds"] / rows[0]["seconds"], 3)
    result = {
        "run": str(request.run),
        "kind": request.kind,
        "tiles": [tile.name for tile in tiles],
        "device": request.device,
        "rows": rows,
    }
    write_json(request.out, result)
    return {**result, "out": str(request.out)}


def _pruned(network: TrainedNetwork, kind: PruningKind, sparsity: float) -> Pruned:
    if sparsity == 0:
        return Pruned.whole(network)
    try:
        return (prune_weights if kind == "magnitude" else prune_channels)(network, sparsity)
    except ModelError as error:
        raise InputError(str(error)) from error


def _judged(
    run: Run, pruned: Pruned, tiles: Sequence[ValidationTile], device: str, progress: Progress
) -> dict[str, Any]:
    where = choose_device(device)
    # Without a graph of onnxruntime: what is compared are networks, and each graph would have to be made first.
    segmenter = NetworkSegmenter(run.card, read_recipe(run.folder), pruned.network.to(where), where)
    matrices = judge_tiles(segmenter, tiles, progress)
    scores = summarise(list(matrices), list(matrices.values()))
    return {
        "way": pruned.way,
        "sentence": _WAYS[pruned.way],
        "zero_weights": round(pruned.zero_share, 4),
        "parameters": pruned.parameters,
        "miou": scores["miou"],
        "interval": scores["interval"]["miou"],
        "seconds": _seconds(segmenter, tiles[0]),
    }


def _seconds(segmenter: NetworkSegmenter, tile: ValidationTile) -> float:
    """The median time of a tile in memory, from pixels to probabilities; the judging before has warmed up."""
    image, info = read_image(tile.image_path), read_info(tile.image_path)
    metres = (info.metres_per_pixel_y, info.metres_per_pixel_x)
    taken = []
    for _ in range(_PASSES):
        start = time.perf_counter()
        segmenter.probabilities(image, metres_per_pixel=metres)
        taken.append(time.perf_counter() - start)
    return round(float(np.median(taken)), 4)
