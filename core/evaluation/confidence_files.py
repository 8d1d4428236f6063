"""What the job ``confidence-run`` keeps: one file of figures and findings, and two pictures a tile.

``evaluations/<run>/confidence/<switches>/<collection id>/figures.npz`` with the pictures ``<tile>_confidence.png`` and
``<tile>_entropy.png`` beside it. The file of figures comes last and whole, and says from what it was made, so that a
page knows when it is out of date.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.atomic import atomic_file
from core.classes import CLASS_COUNT
from core.evaluation.calibration import FINE_BINS, Counts
from core.evaluation.label_noise import Finding
from core.inference.predict import Probabilities
from core.inference.switches import Switches
from core.labels.strokes import Box
from core.workspace import Workspace

Layer = Literal["confidence", "entropy"]
LAYERS: tuple[Layer, ...] = ("confidence", "entropy")

COLOUR_MAP = "viridis"
"""Of both pictures, dark violet for the least, yellow for the most: evenly stepped to the eye, and safe for the
colour-blind (van der Walt & Smith 2015)."""

Way = Literal["validation", "left out", "none"]
"""How temperatures were found: on the run's validation tiles; each judged tile's on the others; or not at all."""

_FIGURES = "figures.npz"
_LONGEST = 1224  # pixels of a picture: what a head says changes over 16 pixels of a tile


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The counts of the tiles that confidence is judged on, before and after the temperature.

    ``tiles`` are their names; ``temperatures`` theirs, in the same order, and ``way`` how they were found, on
    ``fitted_on``. ``top`` and ``each`` (see ``ConfidenceCounts``) are ``(2, tiles, 6, FINE_BINS, 3)``: as they are,
    then with the temperature; without a temperature both are the same.
    """

    tiles: tuple[str, ...]
    way: Way
    fitted_on: tuple[str, ...]
    temperatures: tuple[float, ...]
    top: Counts
    each: Counts


@dataclass(frozen=True, slots=True)
class ConfidenceResult:
    """Everything that is kept of a run's confidence on a collection.

    ``calibrated`` is None for an imported run, which has no probabilities. ``limits`` are the thresholds of confident
    learning, by class, None likewise. ``doubts`` and ``alarms`` (false positives) go by tile name.
    """

    measured_on: Mapping[str, Any]
    calibrated: Calibrated | None
    limits: tuple[float, ...] | None
    doubts: Mapping[str, Sequence[Finding]]
    alarms: Mapping[str, Sequence[Finding]]


def place(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> Path:
    """The folder of what is kept."""
    return workspace.evaluations / run / "confidence" / switches.key / str(collection_id)


def layer_path(folder: Path, tile_name: str, layer: Layer) -> Path:
    """The picture of a tile."""
    return folder / f"{tile_name}_{layer}.png"


def write_layers(folder: Path, tile_name: str, probabilities: Probabilities) -> None:
    """Write both pictures of ``(6, height, width)`` probabilities, reduced to at most 1224 pixels."""
    scale = min(1.0, _LONGEST / max(probabilities.shape[1:]))
    size = (max(1, round(probabilities.shape[2] * scale)), max(1, round(probabilities.shape[1] * scale)))
    small = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in probabilities])
    entropy = -(small * np.log(np.maximum(small, 1e-12))).sum(axis=0) / np.log(CLASS_COUNT)
    for layer, values in zip(LAYERS, (small.max(axis=0), entropy), strict=True):
        picture = Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
        picture.putpalette(colours().tobytes())
        with atomic_file(layer_path(folder, tile_name, layer)) as stream:
            picture.save(stream, "PNG", compress_level=1)


def colours() -> NDArray[np.uint8]:
    """The colour map: (256, 3) uint8 RGB, for 0 to 1."""
    ramp = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)
    return np.ascontiguousarray(ramp[:, 0, ::-1])


def write_result(folder: Path, result: ConfidenceResult) -> None:
    """Write the figures atomically. Raises ``InputError`` when that cannot be done."""
    arrays: dict[str, NDArray[Any]] = {}
    note: dict[str, Any] = {"measured_on": dict(result.measured_on), "limits": result.limits}
    if result.calibrated is not None:
        found = result.calibrated
        note["calibrated"] = {name: getattr(found, name) for name in ("tiles", "way", "fitted_on", "temperatures")}
        arrays |= {"top": found.top, "each": found.each}
    masks = []
    for kind, by_tile in (("doubts", result.doubts), ("alarms", result.alarms)):
        note[kind] = {tile: [_facts(one) for one in found] for tile, found in by_tile.items()}
        masks += [np.packbits(one.mask) for found in by_tile.values() for one in found]
    arrays["masks"] = np.concatenate(masks) if masks else np.zeros(0, np.uint8)
    arrays["note"] = np.array(json.dumps(note))
    with atomic_file(folder / _FIGURES) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def read_result(folder: Path) -> ConfidenceResult | None:
    """What ``write_result`` wrote there, or None."""
    path = folder / _FIGURES
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=2)  # 17 MB for 100 tiles
def _read(path: Path, _modified_ns: int) -> ConfidenceResult:
    with np.load(path, allow_pickle=False) as arrays:
        note = json.loads(str(arrays["note"]))
        masks = arrays["masks"]
        calibrated = None
        if "calibrated" in note:
            facts = note["calibrated"]
            lists = {name: tuple(facts[name]) for name in ("tiles", "fitted_on", "temperatures")}
            calibrated = Calibrated(way=facts["way"], top=arrays["top"], each=arrays["each"], **lists)
    found: dict[str, dict[str, list[Finding]]] = {"doubts": {}, "alarms": {}}
    at = 0
    for kind, by_tile in found.items():
        for tile, entries in note[kind].items():
            by_tile[tile] = []
            for entry in entries:
                box = Box(**entry.pop("box"))
                end = at + -(-box.height * box.width // 8)
                mask = np.unpackbits(masks[at:end], count=box.height * box.width).astype(bool)
                by_tile[tile].append(Finding(box=box, mask=mask.reshape(box.height, box.width), **entry))
                at = end
    limits = None if note["limits"] is None else tuple(note["limits"])
    return ConfidenceResult(note["measured_on"], calibrated, limits, **found)


def empty_counts(tiles: int) -> Counts:
    """Zeros for ``Calibrated``: (2, tiles, 6, FINE_BINS, 3)."""
    return np.zeros((2, tiles, CLASS_COUNT, FINE_BINS, 3))


def _facts(finding: Finding) -> dict[str, Any]:
    return {
        "box": asdict(finding.box),
        "pixels": finding.pixels,
        "true_class": finding.true_class,
        "predicted": finding.predicted,
        "confidence": finding.confidence,
    }
