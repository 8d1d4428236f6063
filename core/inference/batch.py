"""Predict every tile of a folder into another one: what ``python -m core predict`` does.

Which tiles are finished, by which runs and switches, is written down beside them in ``.predictions.json``, so that the
same command once more does what is missing and nothing else.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.atomic import write_json
from core.catalog.discover import discover
from core.catalog.images import fingerprint
from core.cluster.connection import ClusterUse
from core.errors import InputError
from core.inference.many_tiles import Delivery, NamedImage, Order, predict_many
from core.inference.predict import load_segmenter
from core.inference.prediction_files import write_prediction
from core.inference.raster import predict_raster
from core.inference.switches import Switches
from core.progress import Progress
from core.training.runs import weights_file

MANIFEST = ".predictions.json"


def predict_folder(
    *,
    runs: Sequence[Path],
    data: Path,
    out: Path,
    switches: Switches,
    keep_probabilities: bool,
    progress: Progress,
    device: str = "auto",
    cluster: ClusterUse | None = None,
) -> dict[str, object]:
    """Predict every tile of ``data`` into ``out``; a tile that is finished there already is not done again.

    Writes ``<id>_mask.png`` in the DeepGlobe palette, ``<id>_mask.tif`` beside it where the tile has a CRS, and
    ``<id>_probabilities.tif`` (six uint8 bands, 255 is certain) when asked. A cancel keeps the tiles that are finished.
    Tiles that fail are left out and listed under ``left_out``. Raises ``InputError`` for an empty folder, when no tile
    could be predicted, and at once when nothing more can be written.
    """
    found = discover(data)
    order = Order(tuple(runs), switches, with_probabilities=keep_probabilities, device=device)
    manifest = _Manifest(out, order)
    images = [NamedImage(tile.name, tile.image_path) for tile in found.tiles]
    missing = [image for image in images if not manifest.has(image)]

    def keep(number: int, made: Delivery) -> None:
        image = missing[number]
        probabilities = None if made.probabilities is None else made.probabilities.expand()
        write_prediction(out, image.name, image.path, made.raster, probabilities)
        manifest.add(image, made.seconds)

    left_out = [f.sentence for f in found.findings if f.severity == "error"]
    left_out += predict_many(missing, order, keep, progress, cluster=cluster)
    done = [image for image in images if manifest.has(image)]
    if not done:
        raise InputError(f"No tile of {data} could be predicted: {' '.join(left_out[:3])}")
    return {
        "tiles": len(done),
        "made_before": len(images) - len(missing),
        "out": str(out),
        "switches": _told(switches),
        "runs": [str(run) for run in runs],
        "seconds_per_tile": round(float(np.median([manifest.seconds(image) for image in done])), 3),
        "left_out": left_out,
    }


def predict_one_raster(
    *,
    runs: Sequence[Path],
    data: Path,
    out: Path,
    switches: Switches,
    keep_probabilities: bool,
    progress: Progress,
    device: str = "auto",
) -> dict[str, object]:
    """Predict one raster of any size, strip by strip, into the folder ``out`` as ``<name>_mask.tif``.

    Raises ``InputError`` for several runs, and as ``predict_raster`` does.
    """
    if len(runs) > 1:
        raise InputError("A raster is predicted by one run; make an ensemble of the runs first, and give that.")
    target = out / f"{data.stem}_mask.tif"
    told = predict_raster(
        load_segmenter(runs[0], device),
        data,
        target,
        progress=progress,
        switches=switches,
        probabilities=keep_probabilities,
    )
    return {**told, "tiles": 1, "switches": _told(switches), "runs": [str(runs[0])], "left_out": []}


def _told(switches: Switches) -> dict[str, Any]:
    """The switches as the command line has always told them, and the newer ones where they are on."""
    first = {"tta": switches.tta, "refinement": switches.refinement, "min_region": switches.min_region}
    return {**first, **switches.facts}


class _Manifest:
    """Which tiles of a folder of predictions are finished, of which image each, and how long each took."""

    def __init__(self, out: Path, order: Order) -> None:
        self._out = out
        self._key = _order_key(order)
        self._with_probabilities = order.with_probabilities
        self._about = {"runs": [str(run) for run in order.runs], "switches": order.switches.facts}
        self._tiles: dict[str, dict[str, Any]] = self._read()

    def has(self, image: NamedImage) -> bool:
        """Whether the tile is finished, of this image, with its files in their place."""
        entry = self._tiles.get(image.name)
        files = [f"{image.name}_mask.png"]
        files += [f"{image.name}_probabilities.tif"] if self._with_probabilities else []
        if entry is None or not all((self._out / name).is_file() for name in files):
            return False
        return bool(entry["image"] == fingerprint(image.path))

    def seconds(self, image: NamedImage) -> float:
        """How long the tile took, from the decoded image to the class raster."""
        return float(self._tiles[image.name]["seconds"])

    def add(self, image: NamedImage, seconds: float) -> None:
        """Write down that a tile is finished."""
        self._tiles[image.name] = {"image": fingerprint(image.path), "seconds": round(seconds, 3)}
        write_json(self._out / MANIFEST, {"key": self._key, **self._about, "tiles": self._tiles})

    def _read(self) -> dict[str, dict[str, Any]]:
        """Those of an earlier call with the same runs and switches; what others left is written over."""
        try:
            kept = json.loads((self._out / MANIFEST).read_text())
            return dict(kept["tiles"]) if kept["key"] == self._key else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _order_key(order: Order) -> str:
    """Tells what predicts: the content of each run's weights, and the switches with their code versions."""
    weights = [fingerprint(weights_file(run)) for run in order.runs if weights_file(run).is_file()]
    told = json.dumps([weights, order.switches.facts, order.switches.versions])
    return hashlib.sha256(told.encode()).hexdigest()[:16]
