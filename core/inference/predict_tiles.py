"""Predict tiles of a collection into the workspace, where every page finds them: the job ``predict-tiles``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.catalog.catalogue import collection, tiles
from core.classes import CLASS_NAMES
from core.cluster.connection import ClusterUse
from core.errors import InputError
from core.inference import store
from core.inference.many_tiles import Delivery, NamedImage, Order, failure, predict_many
from core.inference.switches import Switches
from core.progress import PartProgress, Progress
from core.tables import Tile
from core.workspace import Workspace

KIND = "predict"
"""Of the jobs that predict."""


def predict_tiles(
    workspace: Workspace,
    *,
    run: str,
    rows: Sequence[Tile],
    switches: Switches,
    progress: Progress,
    cluster: ClusterUse | None = None,
) -> dict[str, Any]:
    """Predict tiles that are not kept yet and keep them; those that are kept and not stale are not done again.

    A tile that fails is listed under ``left_out`` and the others go on; a cancel keeps the tiles that are done. On a
    cluster each tile is a task; what only needs refining anew is done here. Raises ``InputError`` for a run that is not
    there, without tiles, when nothing could be predicted, and when nothing more can be written.
    """
    if not rows:
        raise InputError("No tile is chosen; choose a split that has tiles, or name some.")
    predictor = store.Predictor(workspace, run)
    missing = [tile for tile in rows if store.kept(workspace, run, tile, switches) is None]
    here = missing if cluster is None else [tile for tile in missing if predictor.knows(tile, switches)]
    away = [tile for tile in missing if tile not in here]
    left_out = _predict_here(predictor, here, len(missing), switches, progress)
    if away and cluster is not None:
        left_out += _predict_away(workspace, run, away, switches, progress=progress, cluster=cluster)
    made = len(missing) - len(left_out)
    if missing and not made:
        raise InputError(f"No tile could be predicted: {' '.join(left_out[:3])}")
    progress.update(len(missing), len(missing), f"Predicted {made} tiles")
    return {
        "run": run,
        "switches": switches.facts,
        "tiles": made,
        "made_before": len(rows) - len(missing),
        "left_out": left_out,
    }


def chosen_tiles(workspace: Workspace, collection_id: int, *, split: str | None, names: Sequence[str]) -> list[Tile]:
    """The tiles of a collection: of one split, of these names, or all. Raises ``InputError`` for a name it lacks."""
    rows = tiles(workspace, collection(workspace, collection_id).id, split=split)
    lacking = set(names) - {tile.name for tile in rows}
    if lacking:
        where = f"split {split} of this collection" if split else "this collection"
        raise InputError(f"There is no tile {', '.join(sorted(lacking)[:5])} in {where}; mend the name.")
    return [tile for tile in rows if tile.name in names] if names else rows


def predict_arguments(
    run: str, collection_id: int, switches: Switches, *, split: str | None = None, names: Sequence[str] = ()
) -> list[str]:
    """The command line of the job that predicts these tiles."""
    arguments = ["predict-tiles", "--run", run, "--collection", str(collection_id)]
    arguments += ["--split", split] if split else []
    for name in names:
        arguments += ["--tile", name]
    return [*arguments, *switch_arguments(switches)]


def switch_arguments(switches: Switches) -> list[str]:
    """The switches that are on as options of the command line; read back by ``core.switch_options``."""
    facts = switches.facts
    arguments = []
    for option, name in (("--tta", "tta"), ("--refine", "refinement"), ("--min-region", "min_region")):
        arguments += [option, str(facts[name])] if name in facts else []
    for option, name in (("--gate", "gate"), ("--abstain", "abstain")):
        arguments += [option, f"{facts[name]:g}"] if name in facts else []
    for name in ("crf", "guided"):
        for parameter, value in facts.get(name, {}).items():
            arguments += [f"--{name}", f"{parameter}={value:g}"]
    for option, name in (("--offset", "offsets"), ("--min-region-of", "class_regions")):
        for land_class, value in zip(CLASS_NAMES, facts.get(name, ()), strict=False):
            arguments += [option, f"{land_class}={value:g}"]
    return arguments


def _predict_here(
    predictor: store.Predictor, rows: Sequence[Tile], total: int, switches: Switches, progress: Progress
) -> list[str]:
    left_out = []
    for index, tile in enumerate(rows):
        progress.update(index, total, f"Predicting tile {tile.name}")
        part = PartProgress(progress, index, total, f"Predicting tile {tile.name}")
        try:
            predictor.compute(tile, switches, part)
        except (InputError, RuntimeError, MemoryError) as error:
            left_out.append(failure(tile.name, error))
    return left_out


def _predict_away(
    workspace: Workspace, run: str, rows: Sequence[Tile], switches: Switches, *, progress: Progress, cluster: ClusterUse
) -> list[str]:
    def keep(number: int, made: Delivery) -> None:
        store.put(workspace, run, rows[number], switches, store.Made(made.raster, made.looks, made.seconds))

    order = Order((store.run_folder(workspace, run),), switches, features=workspace.features)
    images = [NamedImage(tile.name, Path(tile.image_path)) for tile in rows]
    return predict_many(images, order, keep, progress, cluster=cluster)
