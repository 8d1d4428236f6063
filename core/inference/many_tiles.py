"""Many tiles, one after the other here or all at once on a cluster; one that fails is told and the others go on."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassRaster
from core.cluster.connection import ClusterUse
from core.cluster.fan_out import Asked, Outcome, fan_out
from core.errors import InputError, NotSavedError
from core.inference.compact import CompactProbabilities, pack, unpack
from core.inference.predict import AnySegmenter, load_segmenter
from core.inference.switches import Switches
from core.inference.tile_prediction import predict_tile
from core.progress import PartProgress, Progress
from core.training.feature_cache import FeatureCache
from core.training.onnx_encoder import memory_held


@dataclass(frozen=True, slots=True)
class NamedImage:
    """A tile to predict: its name for people, and its file."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Order:
    """By what the tiles are predicted. Features come from ``features``, by default the user's own cache."""

    runs: tuple[Path, ...]
    switches: Switches = field(default_factory=Switches)
    with_probabilities: bool = False
    features: Path | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One predicted tile: its class raster, what each run said, and the probabilities where they were ordered."""

    raster: ClassRaster
    looks: tuple[CompactProbabilities, ...]
    probabilities: CompactProbabilities | None
    seconds: float


OnTile = Callable[[int, Delivery], None]
"""Is given the number of a tile, from 0, and its prediction; keeps it."""


@memory_held()
def predict_many(
    images: Sequence[NamedImage], order: Order, on_tile: OnTile, progress: Progress, *, cluster: ClusterUse | None
) -> list[str]:
    """Predict the tiles, here or on a cluster; gives back a sentence for each that could not be predicted.

    Raises ``InputError`` where a run cannot be loaded or nothing more can be written, and ``CancelledError``; what
    was given to ``on_tile`` by then is finished.
    """
    if not images:
        return []
    if cluster is not None:
        return _on_cluster(images, order, on_tile, progress, cluster)
    segmenters = _load(order.runs, order.features, order.device)
    failures = []
    for index, image in enumerate(images):
        progress.update(index, len(images), f"Predicting tile {image.name}")
        part = PartProgress(progress, index, len(images), f"Predicting tile {image.name}")
        try:
            delivery = _deliver(segmenters, image.path, order, part)
        except (InputError, RuntimeError, MemoryError) as error:
            failures.append(failure(image.name, error))
            continue
        on_tile(index, delivery)
    progress.update(len(images), len(images), f"Predicted {len(images) - len(failures)} tiles")
    return failures


def failure(name: str, error: Exception) -> str:
    """Why a tile was not predicted, in a sentence. Raises ``error`` itself where going on would fail as well."""
    if isinstance(error, NotSavedError):
        raise error
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return f"Tile {name} took more memory than there is; predict it with fewer switches, or as a raster, in strips."
    first = str(error).strip().partition("\n")[0]
    return f"Tile {name} could not be predicted ({type(error).__name__}: {first}); the others went on."


def _deliver(segmenters: Sequence[AnySegmenter], path: Path, order: Order, progress: Progress) -> Delivery:
    made = predict_tile(segmenters, path, switches=order.switches, progress=progress)
    probabilities = CompactProbabilities.by_pixel(made.probabilities) if order.with_probabilities else None
    return Delivery(made.raster, made.looks, probabilities, made.seconds)


def _load(runs: Sequence[Path], features: Path | None, device: str) -> list[AnySegmenter]:
    cache = None if features is None else FeatureCache(features)
    return [load_segmenter(run, device, cache) for run in runs]


def _on_cluster(
    images: Sequence[NamedImage], order: Order, on_tile: OnTile, progress: Progress, cluster: ClusterUse
) -> list[str]:
    """A tile a call. Images, runs and cached features lie on a disk that the nodes see under the same paths."""
    shared = {
        "runs": [str(run.resolve()) for run in order.runs],
        "switches": order.switches.facts,
        "with_probabilities": order.with_probabilities,
        "features": None if order.features is None else str(order.features.resolve()),
    }
    asked = [Asked({**shared, "image": str(image.path.resolve())}, f"Tile {image.name}") for image in images]
    failures: list[str] = []

    def take(number: int, outcome: Outcome) -> None:
        if outcome.result is None:
            failures.append(outcome.failure or f"Tile {images[number].name} could not be predicted.")
            return
        on_tile(number, _unpack_delivery(outcome.result))

    fan_out(predict_call, asked, cluster=cluster, device=order.device, progress=progress, on_outcome=take)
    return failures


def predict_call(request: dict[str, Any], device: str, progress: Progress) -> dict[str, Any]:
    """Predict one tile on a node; a ``fan_out.Call``. Raises ``InputError`` with the sentence of why it cannot."""
    image = Path(request["image"])
    features = None if request["features"] is None else Path(request["features"])
    order = Order(
        runs=tuple(map(Path, request["runs"])),
        switches=Switches.from_facts(request["switches"]),
        with_probabilities=request["with_probabilities"],
        features=features,
        device=device,
    )
    segmenters = _loaded_on_node(order.runs, features, device)
    try:
        made = _deliver(segmenters, image, order, progress)
    except (RuntimeError, MemoryError) as error:
        raise InputError(failure(image.stem, error)) from error
    return {
        "shape": list(made.raster.shape),
        "raster": zlib.compress(made.raster.tobytes(), 1),
        "looks": [pack(one) for one in made.looks],
        "probabilities": None if made.probabilities is None else pack(made.probabilities),
        "seconds": made.seconds,
    }


@lru_cache(maxsize=1)
def _loaded_on_node(runs: tuple[Path, ...], features: Path | None, device: str) -> list[AnySegmenter]:
    """A worker's process predicts one tile after the other with the same runs."""
    return _load(runs, features, device)


def _unpack_delivery(parcel: dict[str, Any]) -> Delivery:
    raster = np.frombuffer(zlib.decompress(parcel["raster"]), np.uint8).reshape(parcel["shape"])
    probabilities = None if parcel["probabilities"] is None else unpack(parcel["probabilities"])
    return Delivery(raster, tuple(map(unpack, parcel["looks"])), probabilities, parcel["seconds"])
