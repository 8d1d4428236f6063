"""All that the Compare page has to know before anybody chooses: tiles, runs, and what each run may be judged on."""

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.catalog.catalogue import collection, tiles
from core.catalog.pyramid import max_zoom
from core.classes import CLASSES
from core.errors import InputError
from core.inference import imported, store
from core.inference.refine import REFINEMENTS
from core.inference.run_offsets import read_offsets
from core.inference.store_space import kept_groups
from core.inference.tta import TTA_NAMES
from core.screen_colours import SAFE
from core.tables import Tile
from core.training.runs import Run, list_runs
from core.workspace import Workspace

CHOICES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "tta": TTA_NAMES,
        "refinement": REFINEMENTS,
        "min_region": (0, 50, 200, 1000, 5000),
        "abstain": (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        "gate": (0.0, 0.005, 0.01, 0.02, 0.05),
    }
)
"""What can be chosen for each switch with one click; smallest regions in pixels, the others as shares of one."""


def desk(workspace: Workspace, collection_id: int) -> dict[str, Any]:
    """The tiles and runs of a collection for the browser, JSON-able.

    ``runs``, newest first, each with the ids of the tiles it ``trained_on``, of those it has nothing of (``missing``),
    its fitted ``offsets`` (six, or empty) and other settings that are ``kept`` of it. A run that cannot be read (an
    ensemble that lost a member, say) is left out. Raises ``UnknownIdError`` for a collection that is not there.
    """
    opened = collection(workspace, collection_id)
    rows = tiles(workspace, collection_id)
    kept: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for group in kept_groups(workspace):
        if group.collection_id == collection_id:
            kept[group.run].append({"key": group.key, "facts": group.switches, "tiles": len(group.tiles)})
    runs = [_run(run, rows, kept[run.name]) for run in list_runs(workspace.runs)]
    return {
        "collection": {"id": opened.id, "name": opened.name, "synthetic": opened.synthetic},
        "classes": class_colours(),
        "tiles": [_tile(row) for row in rows],
        "runs": [run for run in runs if run is not None],
        "choices": {name: list(values) for name, values in CHOICES.items()},
    }


def class_colours() -> list[dict[str, Any]]:
    """The classes with their colour in DeepGlobe's palette and in the one that is safe for colour-blind eyes."""
    return [
        {"index": c.index, "name": c.name, "colour": list(c.colour), "safe": list(safe)}
        for c, safe in zip(CLASSES, SAFE, strict=True)
    ]


def truth_address(tile: Tile) -> str | None:
    """Where the browser finds the mask that came with a tile, at full size, or None."""
    if tile.mask_path is None:
        return None
    return f"/tiles/{tile.id}/mask.png?size={max(tile.width, tile.height)}&v={tile.mask_fingerprint}"


def shown_tile(tile: Tile) -> dict[str, Any]:
    """What the browser needs of a tile to show its image at any zoom, JSON-able."""
    return {
        "id": tile.id,
        "version": tile.fingerprint,
        "width": tile.width,
        "height": tile.height,
        "max_zoom": max_zoom(tile.width, tile.height),
        "metres_per_pixel_x": tile.metres_per_pixel_x,
    }


def _tile(tile: Tile) -> dict[str, Any]:
    return {
        **shown_tile(tile),
        "name": tile.name,
        "split": tile.split,
        "truth": f"{tile.id}/codes.bin?v={tile.mask_fingerprint}" if tile.mask_path else None,
    }


def _run(run: Run, rows: list[Tile], kept: list[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        known, fitted = store.training_images(run.folder), read_offsets(run.folder)
        missing = [row.id for row in rows if store.extent(run.folder, row) is None]
    except InputError:
        return None
    return {
        "name": run.name,
        "imported": imported.is_imported(run.folder),
        "trained_on": [row.id for row in rows if row.fingerprint in known],
        "missing": missing,
        "offsets": list(fitted.offsets) if fitted else [],
        "kept": kept,
    }
