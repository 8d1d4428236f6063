"""The job ``confidence-run``: how honest a run's confidence is on held-out tiles, and where truth and run disagree.

Tiles are looked at one after the other, twice: first for what is found over all of them (the temperature, the
thresholds of confident learning), then for the counts. What a network says of a tile is kept by the first look, so the
second asks none. The pages only read what is kept (``confidence_files``).

The temperature is fitted on the run's validation tiles of the collection, and confidence is judged on the others. Where
there are none, or no others, each judged tile takes the temperature that fits the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.catalog.catalogue import collection
from core.classes import CLASS_COUNT
from core.errors import InputError
from core.evaluation import calibration, label_noise
from core.evaluation.calibration import best_temperature, count_tile, left_out_temperatures
from core.evaluation.confidence_files import (
    Calibrated,
    ConfidenceResult,
    Way,
    empty_counts,
    place,
    read_result,
    write_layers,
    write_result,
)
from core.evaluation.error_regions import JudgedTile, false_alarms, judged_tile
from core.evaluation.held_out import held_out
from core.evaluation.label_noise import Finding
from core.inference import imported, store
from core.inference.predict import Probabilities
from core.inference.predict_tiles import switch_arguments
from core.inference.switches import Switches
from core.progress import PartProgress, Progress
from core.tables import Tile, now
from core.training.runs import read_run
from core.workspace import Workspace

VERSION = 1
"""Raised by whoever changes what the job keeps, so that what was kept before is known as out of date."""


@dataclass(frozen=True, slots=True)
class Split:
    """All held-out ``tiles``; which of them confidence is judged on, which fit the temperature, and in which way."""

    tiles: tuple[Tile, ...]
    judged: tuple[Tile, ...]
    fitted_on: tuple[Tile, ...]
    way: Way


def has_probabilities(workspace: Workspace, run: str) -> bool:
    """Whether a run says how sure it is: not one that was imported as masks, nor an ensemble of such alone."""
    return not all(imported.is_imported(voice) for voice, _ in store.voices(store.run_folder(workspace, run)))


def split_tiles(workspace: Workspace, run: str, collection_id: int) -> Split:
    """How the held-out tiles of a collection are used. Raises ``InputError`` when there are none."""
    tiles = held_out(workspace, run, collection_id).tiles
    if not tiles:
        raise InputError(
            f"Run '{run}' trained on every tile of this collection that has a mask, so nothing is left to judge its "
            "confidence on; train it on fewer tiles, or open another collection."
        )
    card = read_run(store.run_folder(workspace, run)).card
    validation = set(card.validation_tiles.values())
    fit = tuple(tile for tile in tiles if tile.fingerprint in validation)
    others = tuple(tile for tile in tiles if tile.fingerprint not in validation)
    if fit and others:
        return Split(tiles, others, fit, "validation")
    return Split(tiles, tiles, tiles, "left out") if len(tiles) > 1 else Split(tiles, tiles, (), "none")


def confidence_run(
    workspace: Workspace, *, run: str, collection_id: int, switches: Switches, progress: Progress
) -> dict[str, Any]:
    """Count confidence against the truth on the held-out tiles and keep it, with layers, doubts and false positives.

    An imported run has no confidence; of it only the false positives are kept. Returns a summary that is JSON-able.
    A cancel keeps the predictions that were made. Raises ``InputError`` when no tile is held out, or one cannot be
    read.
    """
    split = split_tiles(workspace, run, collection_id)
    total = 2 * len(split.tiles) if has_probabilities(workspace, run) else len(split.tiles)
    pass_ = _Pass(workspace, run, switches, store.Predictor(workspace, run), total, progress)
    measured_on = _made_from(workspace, run, collection_id, switches, split.tiles) | {
        "collection": collection(workspace, collection_id).name,
        "day": now().isoformat(timespec="minutes"),
    }
    if has_probabilities(workspace, run):
        temperatures, limits = _over_all(pass_, split)
        result = _judge(pass_, split, temperatures, limits, measured_on)
    else:
        alarms = {tile.name: _alarms(pass_.judged(tile, "Judging"), None, tile) for tile in split.tiles}
        result = ConfidenceResult(measured_on, None, None, {}, alarms)
    write_result(place(workspace, run, collection_id, switches), result)
    progress.update(total, total, f"Judged {len(split.tiles)} tiles")
    return _summary(run, result)


def kept_confidence(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> ConfidenceResult | None:
    """The kept result, or None where it was never computed or the run, its switches or the tiles changed since."""
    found = read_result(place(workspace, run, collection_id, switches))
    if found is None:
        return None
    made_from = _made_from(workspace, run, collection_id, switches, held_out(workspace, run, collection_id).tiles)
    return found if all(found.measured_on.get(name) == value for name, value in made_from.items()) else None


def confidence_arguments(run: str, collection_id: int, switches: Switches) -> list[str]:
    """The command line of the job."""
    return ["confidence-run", "--run", run, "--collection", str(collection_id), *switch_arguments(switches)]


@dataclass
class _Pass:
    """Looks at tiles one by one and tells the progress of it."""

    workspace: Workspace
    run: str
    switches: Switches
    predictor: store.Predictor
    total: int
    progress: Progress
    done: int = field(default=0)

    def judged(self, tile: Tile, verb: str) -> JudgedTile:
        """The tile's truth and prediction; made first if need be, which keeps what the networks say of it."""
        message = f"{verb} tile {tile.name}"
        self.progress.update(self.done, self.total, message)
        part = PartProgress(self.progress, self.done, self.total, message)
        kept = self.predictor.compute(tile, self.switches, part)
        self.done += 1
        return judged_tile(self.workspace, self.run, tile, kept.path)

    def probabilities(self, tile: Tile) -> Probabilities:
        """What the prediction was taken from."""
        part = PartProgress(self.progress, self.done, self.total, f"Tile {tile.name}")
        return self.predictor.probabilities(tile, self.switches, part)


def _over_all(pass_: _Pass, split: Split) -> tuple[tuple[float, ...], NDArray[np.float64]]:
    """The temperature of each judged tile, and the thresholds of confident learning."""
    losses = []
    sums = np.zeros((CLASS_COUNT, 2))
    for tile in split.tiles:
        truth = pass_.judged(tile, "Looking at").truth
        probabilities = pass_.probabilities(tile)
        sums += label_noise.confidence_sums(probabilities, truth)
        if tile in split.fitted_on:
            losses.append(calibration.losses(probabilities, truth))
    if split.way == "left out":
        return tuple(left_out_temperatures(losses)), label_noise.thresholds(sums)
    fitted = best_temperature(np.sum(losses, axis=0)) if losses else 1.0
    return (fitted,) * len(split.judged), label_noise.thresholds(sums)


def _judge(
    pass_: _Pass,
    split: Split,
    temperatures: tuple[float, ...],
    limits: NDArray[np.float64],
    measured_on: dict[str, Any],
) -> ConfidenceResult:
    """The counts, layers and findings of every tile of a run with probabilities."""
    folder = place(pass_.workspace, pass_.run, split.tiles[0].collection_id, pass_.switches)
    top, each = empty_counts(len(split.judged)), empty_counts(len(split.judged))
    doubts, alarms = {}, {}
    for tile in split.tiles:
        judged = pass_.judged(tile, "Judging")
        probabilities = pass_.probabilities(tile)
        write_layers(folder, tile.name, probabilities)
        doubts[tile.name] = label_noise.doubts(probabilities, judged.truth, limits, metres_per_pixel=_metres(tile))
        alarms[tile.name] = _alarms(judged, probabilities, tile)
        if tile in split.judged:
            at = split.judged.index(tile)
            for which, temperature in enumerate((1.0, temperatures[at])):
                counted = count_tile(probabilities, judged.truth, temperature)
                top[which, at], each[which, at] = counted.top, counted.each
    names, fitted = (tuple(tile.name for tile in some) for some in (split.judged, split.fitted_on))
    calibrated = Calibrated(names, split.way, fitted, temperatures, top, each)
    return ConfidenceResult(measured_on, calibrated, tuple(map(float, limits)), doubts, alarms)


def _alarms(judged: JudgedTile, probabilities: Probabilities | None, tile: Tile) -> list[Finding]:
    masks = [false_alarms(judged, index) for index in range(CLASS_COUNT)]
    return label_noise.false_positives(masks, probabilities, judged.truth, metres_per_pixel=_metres(tile))


def _metres(tile: Tile) -> float:
    """A pixel's side on the ground, where its two sides differ their geometric mean."""
    return float(np.sqrt(tile.metres_per_pixel_x * tile.metres_per_pixel_y))


def _made_from(
    workspace: Workspace, run: str, collection_id: int, switches: Switches, tiles: Sequence[Tile]
) -> dict[str, Any]:
    """What the result depends on: where any of it is another now, the result is out of date."""
    return {
        "version": VERSION,
        "run": run,
        "collection_id": collection_id,
        "weights": store.weights_stamp(workspace, run),
        "switches": switches.facts,
        "versions": switches.versions,
        "tiles": [[tile.name, tile.fingerprint, tile.mask_fingerprint] for tile in tiles],
    }


def _summary(run: str, result: ConfidenceResult) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "run": run,
        "tiles": [name for name, _, _ in result.measured_on["tiles"]],
        "doubts": sum(map(len, result.doubts.values())),
        "false_positives": sum(map(len, result.alarms.values())),
    }
    if result.calibrated is None:
        return summary | {"confidence": None}
    found = result.calibrated
    errors = calibration.calibration_errors(calibration.coarse(found.top.sum(axis=(1, 2))))
    return summary | {
        "confidence": {
            "judged": list(found.tiles),
            "temperature": sorted(set(found.temperatures)),
            "fitted": found.way,
            "fitted_on": list(found.fitted_on),
            "calibration_error": {"before": float(errors[0]), "after": float(errors[1])},
        }
    }
