"""How well a run does on single tiles, from its kept evaluations: for finding the tiles where it fails."""

from core.catalog.catalogue import collections
from core.evaluation.held_out import kept_evaluations
from core.workspace import Workspace


def scored_runs(workspace: Workspace, collection_id: int) -> dict[str, dict[str, float]]:
    """Of each run with a kept evaluation: the mean IoU, 0 to 1, of each held-out tile by its name; runs newest first.

    Where a run was judged under several switches, those without any count, else the first.
    """
    if collection_id not in {one.id for one in collections(workspace)}:
        return {}
    found: dict[str, dict[str, float]] = {}
    for run, switches, result in kept_evaluations(workspace, collection_id):
        if run not in found or not switches.facts:
            rows = result["per_tile"]
            found[run] = {row["tile"]: float(row["miou"]) for row in rows if row["miou"] is not None}
    return found
