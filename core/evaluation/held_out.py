"""Judge a run on the tiles of a collection that it never trained on, and keep the result in the workspace."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.atomic import write_json
from core.catalog.catalogue import collection, tiles
from core.errors import InputError
from core.evaluation.evaluate import MaskPair, count_pair, summarise
from core.inference import store
from core.inference.predict_tiles import switch_arguments
from core.inference.switches import Switches
from core.progress import PartProgress, Progress
from core.tables import Tile, now
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
        raise InputError(
            f"Run '{run}' trained on every tile of this collection that has a mask, so nothing is left to judge it on; "
            "train it on fewer tiles, or open another collection."
        )
    predictor = store.Predictor(workspace, run)
    folder = store.run_folder(workspace, run)
    matrices = []
    for index, tile in enumerate(judged.tiles):
        progress.update(index, len(judged.tiles), f"Predicting tile {tile.name}")
        kept = predictor.compute(tile, switches, PartProgress(progress, index, len(judged.tiles), f"Tile {tile.name}"))
        matrices.append(
            count_pair(MaskPair(tile.name, Path(str(tile.mask_path)), kept.path, store.extent(folder, tile)))
        )
    if not any(matrix.sum() for matrix in matrices):
        raise InputError("No pixel of the held-out masks is labelled, so nothing can be scored; label some first.")
    progress.update(len(judged.tiles), len(judged.tiles), f"Scored {len(judged.tiles)} tiles")
    result = {
        **summarise([tile.name for tile in judged.tiles], matrices),
        "measured_on": {
            "run": run,
            "collection": collection(workspace, collection_id).name,
            "tiles": [tile.name for tile in judged.tiles],
            "truth": "the masks that came with the tiles",
            "switches": switches.facts,
            "in_part": list(judged.in_part),
            "day": now().isoformat(timespec="minutes"),
        },
    }
    write_json(_path(workspace, run, collection_id, switches), result)
    return result


def kept_evaluation(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> dict[str, Any] | None:
    """The kept result of ``evaluate_run``, or None where it was never computed, or tiles came or went since."""
    path = _path(workspace, run, collection_id, switches)
    if not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text())
    judged = held_out(workspace, run, collection_id).tiles
    if result["measured_on"]["tiles"] != [tile.name for tile in judged]:
        return None
    stale = any(store.kept(workspace, run, tile, switches) is None for tile in judged)
    return None if stale else result


def evaluation_arguments(run: str, collection_id: int, switches: Switches) -> Sequence[str]:
    """The command line of the job that computes an evaluation."""
    return ["evaluate-run", "--run", run, "--collection", str(collection_id), *switch_arguments(switches)]


def _path(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> Path:
    return workspace.evaluations / run / f"{collection_id}_{switches.key}.json"
