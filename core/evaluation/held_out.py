"""Judge a run on the tiles of a collection that it never trained on, and keep the result in the workspace."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.atomic import write_json
from core.catalog.catalogue import collection, tiles
from core.errors import InputError
from core.evaluation.evaluate import MaskPair, count_pair, summarise
from core.inference import store
from core.inference.batch import Switches
from core.progress import Progress
from core.tables import Tile, now
from core.training.runs import RunCard, read_run
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The tiles that a run may be judged on, and those it may not because it trained on them."""

    tiles: tuple[Tile, ...]
    trained_on: tuple[str, ...]


def held_out(workspace: Workspace, run: str, collection_id: int) -> HeldOut:
    """Every tile of the collection that has a mask and that the run never trained on.

    Raises ``InputError`` for a run or collection that is not there.
    """
    card = read_run(store.run_folder(workspace, run)).card
    masked = [tile for tile in tiles(workspace, collection(workspace, collection_id).id) if tile.mask_path]
    trained = [tile.name for tile in masked if _trained_on(card, tile)]
    return HeldOut(tuple(tile for tile in masked if tile.name not in trained), tuple(trained))


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
    segmenter = store.open_segmenter(workspace, run)
    matrices = []
    for index, tile in enumerate(judged.tiles):
        progress.update(index, len(judged.tiles), f"Predicting tile {tile.name}")
        kept = store.compute(workspace, run, tile, switches, segmenter=segmenter, progress=progress)
        matrices.append(count_pair(MaskPair(tile.name, Path(str(tile.mask_path)), kept.path)))
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
            "switches": asdict(switches),
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
    return [
        *("evaluate-run", "--run", run, "--collection", str(collection_id)),
        *("--tta", switches.tta, "--refine", switches.refinement, "--min-region", str(switches.min_region)),
    ]


def _trained_on(card: RunCard, tile: Tile) -> bool:
    """By content where the image's fingerprint is known, so that a renamed copy does not slip through."""
    return tile.fingerprint in card.training_tiles.values()


def _path(workspace: Workspace, run: str, collection_id: int, switches: Switches) -> Path:
    return workspace.evaluations / run / f"{collection_id}_{switches.key}.json"
