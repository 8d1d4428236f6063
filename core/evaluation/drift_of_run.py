"""Compare a collection with the training tiles of a run, and keep the result in the workspace."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from core.atomic import write_json
from core.catalog.catalogue import collection, tiles
from core.errors import InputError
from core.evaluation.drift import compare_profiles, distance_sentence, verdict_sentence
from core.evaluation.tile_profiles import TileProfile, profile
from core.inference import imported, store
from core.inference.tile_observer import TileObserver
from core.progress import Progress
from core.tables import Tile, now
from core.training.provenance import digest
from core.workspace import Workspace

KIND = "drift"
MOST_TILES = 200
"""As many tiles of either side are looked at, drawn at random; more would tell hardly more, and take longer."""


def compute_drift(workspace: Workspace, *, run: str, collection_id: int, progress: Progress) -> dict[str, Any]:
    """Look at the tiles of a collection and at the run's training tiles, compare them, and keep the result.

    Returns ``Drift.as_dict`` with ``sentence`` (the verdict in words), ``distance`` (how far, in words), the tiles by
    id and name in its order (``new``, ``training``), ``left_out`` (a sentence a tile that could not be read) and
    ``measured_on``. Raises ``InputError`` for an unknown run or collection, an imported run, a run whose training tiles
    are not in this workspace, and a collection that holds nothing but them; ``CancelledError``.
    """
    new, training = tiles_to_compare(workspace, run, collection_id)
    sampled = [_draw(new), _draw(training)]
    observer = TileObserver.open(workspace, run)
    profiles: dict[int, TileProfile] = {}
    left_out = []
    wanted = [*sampled[0], *sampled[1]]
    for index, tile in enumerate(wanted):
        progress.update(index, len(wanted), f"Looking at tile {tile.name}")
        try:
            profiles[tile.id] = profile(observer.observe(tile, progress))
        except InputError as error:
            left_out.append(str(error))
    progress.update(len(wanted), len(wanted), "Comparing")
    new, training = ([tile for tile in side if tile.id in profiles] for side in sampled)
    if not new or len(training) < 2:
        raise InputError(f"Too few images can be read to compare them. {left_out[0]}")
    drift = compare_profiles([profiles[tile.id] for tile in new], [profiles[tile.id] for tile in training])
    name = collection(workspace, collection_id).name
    result = {
        **drift.as_dict(),
        "sentence": verdict_sentence(drift, collection=name, run=run),
        "distance": distance_sentence(drift),
        "new": [{"id": tile.id, "name": tile.name} for tile in new],
        "training": [{"id": tile.id, "name": tile.name} for tile in training],
        "left_out": left_out,
        "measured_on": {
            "run": run,
            "collection": name,
            "inputs": inputs_of(workspace, run, collection_id),
            "day": now().isoformat(timespec="minutes"),
        },
    }
    write_json(kept_path(workspace, run, collection_id), result)
    return result


def tiles_to_compare(workspace: Workspace, run: str, collection_id: int) -> tuple[list[Tile], list[Tile]]:
    """The collection's tiles that the run never trained on, and its training tiles wherever the workspace has them.

    Raises ``InputError`` where there is nothing to compare, with a sentence that says why.
    """
    folder = store.run_folder(workspace, run)
    if imported.is_imported(folder):
        raise InputError(
            f"Run '{run}' was imported as masks, so nobody knows what it was trained on; choose one of your own."
        )
    known = store.training_images(folder)
    with workspace.database.read() as session:
        rows = session.scalars(select(Tile).where(Tile.fingerprint.in_(known)).order_by(Tile.id)).all()
    training = list({tile.fingerprint: tile for tile in rows}.values())  # a copy in a second folder is the same tile
    if len(training) < 2:
        raise InputError(
            f"Of the {len(known)} tiles that run '{run}' was trained on, this workspace has {len(training)}, and two "
            "are needed to compare with; open the folder that they are in."
        )
    new = [tile for tile in tiles(workspace, collection(workspace, collection_id).id) if tile.fingerprint not in known]
    if not new:
        raise InputError(f"Run '{run}' was trained on every tile of this collection; choose another collection.")
    return new, training


def kept_drift(workspace: Workspace, run: str, collection_id: int) -> dict[str, Any] | None:
    """The kept result, or None where there is none, or the run, its tiles or the collection are others now."""
    try:
        result: dict[str, Any] = json.loads(kept_path(workspace, run, collection_id).read_text())
        inputs = result["measured_on"]["inputs"]
    except (OSError, ValueError, KeyError):
        return None
    return result if inputs == inputs_of(workspace, run, collection_id) else None


def inputs_of(workspace: Workspace, run: str, collection_id: int) -> str:
    """Digest of all that a comparison depends on."""
    new, training = tiles_to_compare(workspace, run, collection_id)
    sides = [sorted(tile.fingerprint for tile in side) for side in (new, training)]
    return digest({"run": store.weights_stamp(workspace, run), "new": sides[0], "training": sides[1]})


def drift_arguments(run: str, collection_id: int) -> list[str]:
    """The command line of the job, after ``python -m core``."""
    return ["drift", "--run", run, "--collection", str(collection_id)]


def kept_path(workspace: Workspace, run: str, collection_id: int) -> Path:
    """Where the comparison of a run with a collection is kept."""
    return workspace.evaluations / run / "drift" / f"{collection_id}.json"


def _draw(side: Sequence[Tile]) -> list[Tile]:
    if len(side) <= MOST_TILES:
        return list(side)
    chosen = np.random.default_rng(0).choice(len(side), MOST_TILES, replace=False)
    return [side[index] for index in sorted(chosen.tolist())]
