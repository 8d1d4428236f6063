"""Judge a run on the tiles of a collection that it never trained on, and keep the result in the workspace."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from core.atomic import write_json
from core.catalog.catalogue import collection, tiles
from core.classes import CLASS_NAMES
from core.code_version import code_version
from core.errors import InputError
from core.evaluation.evaluate import MaskPair, TileCounts, by_rule, count_tile, summarise_counts
from core.inference import store
from core.inference.predict_tiles import switch_arguments
from core.inference.switches import Switches
from core.progress import PartProgress, Progress
from core.tables import Tile, now
from core.training.runs import list_runs, read_run
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The tiles that a run may be judged on, those it may not because it trained on them, and two more sorts.

    An imported run says nothing of the tiles in ``missing``, and covers those in ``in_part`` in part: it is judged on
    that part alone.
    """

    tiles: tuple[Tile, ...]
    trained_on: tuple[str, ...]
    missing: tuple[str, ...] = ()
    in_part: tuple[str, ...] = ()


def held_out(workspace: Workspace, run: str, collection_id: int) -> HeldOut:
    """Every tile of the collection that has a mask and that the run never trained on.

    Raises ``InputError`` for a run or collection that is not there.
    """
    folder = store.run_folder(workspace, run)
    known = store.training_images(folder)
    masked = [tile for tile in tiles(workspace, collection(workspace, collection_id).id) if tile.mask_path]
    # By content, so that a renamed copy does not slip through.
    trained = [tile.name for tile in masked if tile.fingerprint in known]
    extents = {tile.name: store.extent(folder, tile) for tile in masked}
    return HeldOut(
        tiles=tuple(tile for tile in masked if tile.name not in trained and extents[tile.name] is not None),
        trained_on=tuple(trained),
        missing=tuple(name for name, extent in extents.items() if extent is None),
        in_part=tuple(t.name for t in masked if (covered := extents[t.name]) and not covered.is_whole(t)),
    )


def evaluate_run(
    workspace: Workspace, *, run: str, collection_id: int, switches: Switches, progress: Progress
) -> dict[str, Any]:
    """Predict the held-out tiles (those not kept already), score them, and keep the result for the pages.

    Returns what ``summarise`` gives, with ``measured_on``: the run, collection, tiles, switches and day.
    A cancel keeps the predictions that are done. Raises ``InputError`` when no tile is held out.
    """
    judged = held_out(workspace, run, collection_id)
    if not judged.tiles:
        raise InputError(_why_nothing(judged, run))
    predictor = store.Predictor(workspace, run)
    folder = store.run_folder(workspace, run)
    counts: list[TileCounts] = []
    seconds: list[float] = []
    for index, tile in enumerate(judged.tiles):
        progress.update(index, len(judged.tiles), f"Predicting tile {tile.name}")
        kept = predictor.compute(tile, switches, PartProgress(progress, index, len(judged.tiles), f"Tile {tile.name}"))
        seconds.append(kept.seconds)
        counts.append(count_tile(MaskPair(tile.name, Path(str(tile.mask_path)), kept.path, store.extent(folder, tile))))
    if not any(one.confusion.sum() for one in counts):
        raise InputError("No pixel of the held-out masks is labelled, so nothing can be scored; label some first.")
    progress.update(len(judged.tiles), len(judged.tiles), f"Scored {len(judged.tiles)} tiles")
    result = summarise_counts([tile.name for tile in judged.tiles], counts)
    measured_on = {
        "run": run,
        "collection": collection(workspace, collection_id).name,
        "tiles": [tile.name for tile in judged.tiles],
        "truth": "the masks that came with the tiles",
        "truth_versions": {tile.name: tile.mask_fingerprint for tile in judged.tiles},
        "switches": switches.facts,
        "seconds_per_tile": median(seconds),
        "trained_on": _trained_on(folder),
        "in_part": list(judged.in_part),
        "code_version": code_version(),
        "day": now().isoformat(timespec="minutes"),
    }
    result = {**result, "by_rule": by_rule(result), "measured_on": measured_on}
    write_json(_path(workspace, run, collection_id, switches), result)
    return result


def _why_nothing(judged: HeldOut, run: str) -> str:
    """Why a run cannot be judged on a collection, and what to do."""
    if judged.trained_on:
        return (
            f"Run '{run}' trained on every tile of this collection that has a mask, so nothing is left to judge it on; "
            "train it on fewer tiles, or open another collection."
        )
    if judged.missing:
        return f"Run '{run}' has no imported prediction of a tile with a mask; import masks of these tiles."
    return "No tile of this collection came with a mask, so there is no truth to judge by; index a folder with masks."


def _trained_on(folder: Path) -> dict[str, Any]:
    """The labels that a run learned from: of an ensemble and of an imported run as far as its own card tells."""
    card = read_run(folder).card
    return {
        "tiles": len(card.training_tiles),
        "labels": card.label_source,
        "label_version": card.label_fingerprint,
        "instances": sum(one.get("instances", 0) for one in card.classes.values()),
        "classes": [name for name in CLASS_NAMES if name in card.classes and name not in card.missing_classes],
    }


def kept_evaluation(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> dict[str, Any] | None:
    """The kept result of ``evaluate_run``, or None where there is none, or tiles or their masks are others since."""
    result = _read(_path(workspace, run, collection_id, switches))
    if result is None:
        return None
    measured, judged = result["measured_on"], held_out(workspace, run, collection_id).tiles
    if measured["tiles"] != [tile.name for tile in judged]:
        return None
    # Results from before the masks' versions were kept have none: they are shown as they are.
    versions = measured.get("truth_versions")
    if versions is not None and versions != {tile.name: tile.mask_fingerprint for tile in judged}:
        return None
    stale = any(store.kept(workspace, run, tile, switches) is None for tile in judged)
    return None if stale else result


def kept_evaluations(workspace: Workspace, collection_id: int) -> Iterator[tuple[str, Switches, dict[str, Any]]]:
    """Every kept result of a collection that still holds, with its run and switches: runs newest first."""
    for run in list_runs(workspace.runs):
        for path in sorted((workspace.evaluations / run.name).glob(f"{collection_id}_*.json")):
            kept = _read(path)
            if kept is None:
                continue
            try:
                switches = Switches.from_facts(kept["measured_on"]["switches"])
            except InputError:  # of a switch that this version does not know
                continue
            result = kept_evaluation(workspace, run.name, collection_id, switches)
            if result is not None:
                yield run.name, switches, result


def evaluation_arguments(run: str, collection_id: int, switches: Switches) -> Sequence[str]:
    """The command line of the job that computes an evaluation."""
    return ["evaluate-run", "--run", run, "--collection", str(collection_id), *switch_arguments(switches)]


def _path(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> Path:
    return workspace.evaluations / run / f"{collection_id}_{switches.key}.json"


def _read(path: Path) -> dict[str, Any] | None:
    """A kept result; None where there is none, or it was cut off by something that is not us."""
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return result if "measured_on" in result else None
