"""What lies over the images of the map: nothing, the given masks, the labels painted here, or kept predictions.

How opaque it is, and whether it is filled or drawn as borders, is chosen on the map itself.
"""

from collections.abc import Mapping

from core.catalog.keeper import Keeper
from core.catalog.maps.drawing import full_version
from core.catalog.maps.map_layouts import MapLayout
from core.catalog.maps.mask_map import place_version
from core.catalog.maps.routes import labels_folder
from core.inference.prediction_routes import map_url
from core.inference.store import stale_tiles
from core.inference.store_space import KeptGroup, kept_groups
from core.tables import Collection
from pages.components.browsing import Browsing
from pages.components.class_palette import in_palette
from pages.components.predict_kept import words
from pages.components.tile_map import MapLayer

NOTHING, GIVEN, LABELS = "", "masks", "labels"
OPACITY = 0.6
_KEEPER = Keeper(16)
_SAID = {NOTHING: "nothing", GIVEN: "given masks", LABELS: "labels painted here"}


def predictions(browsing: Browsing) -> dict[str, KeptGroup]:
    """The kept predictions of the collection by their name in the address: ``run/switches``."""
    collection = browsing.collection
    return {
        f"{group.run}/{group.key}": group
        for group in kept_groups(browsing.workspace)
        if group.collection_id == collection.id
    }


def layer_names(browsing: Browsing, kept: Mapping[str, KeptGroup]) -> dict[str, str]:
    """What there is to choose from: by its name in the address, how it is called."""
    there = [NOTHING]
    there += [GIVEN] if browsing.table.tiles.has_mask.any() else []
    there += [LABELS] if browsing.table.labels.labelled.any() else []
    return {name: _SAID[name] for name in there} | {name: f"{g.run}, {words(g)}" for name, g in kept.items()}


def map_layer(
    browsing: Browsing, kept: Mapping[str, KeptGroup], name: str, kind: str, layout: MapLayout
) -> tuple[MapLayer | None, str]:
    """The layer of that name in a layout of the map, and a sentence on how many tiles it says something of."""
    collection, count = browsing.collection, len(browsing.table.rows)
    if name == GIVEN:
        there = int(browsing.table.tiles.has_mask.sum())
        address = _address(collection, "mask", kind, layout.version)
        return MapLayer(_SAID[GIVEN], address, OPACITY), f"{there:,} of {count:,} tiles came with a mask."
    if name == LABELS:
        there = int(browsing.table.labels.labelled.sum())
        version = full_version(place_version(labels_folder(browsing.workspace, collection)), layout.version)
        address = _address(collection, "labels", kind, version)
        return MapLayer(_SAID[LABELS], address, OPACITY), f"{there:,} of {count:,} tiles were labelled here."
    if name in kept:
        group = kept[name]
        address = map_url(browsing.workspace, group.run, group.key, collection.id, kind)
        return MapLayer(f"{group.run}, {words(group)}", in_palette(address), OPACITY), prediction_told(browsing, group)
    return None, ""


def _address(collection: Collection, what: str, kind: str, version: str) -> str:
    return in_palette(f"/map/{collection.id}/{what}/{{z}}/{{x}}/{{y}}.png?layout={kind}&v={version}")


def _stale(browsing: Browsing, group: KeptGroup) -> int:
    """How many of the predictions are stale, which every file is asked for once until something changes."""
    workspace = browsing.workspace
    place = workspace.predictions / group.run / group.key / str(group.collection_id)
    mark = (browsing.table.tiles, place_version(place), place_version(workspace.runs / group.run))
    return _KEEPER.get((place,), mark, lambda: stale_tiles(workspace, group))


def prediction_told(browsing: Browsing, group: KeptGroup) -> str:
    """A sentence on how many tiles have these predictions, and how many of them are stale."""
    rows = browsing.table.rows
    there = len(set(group.tiles) & {row.name for row in rows})
    stale = _stale(browsing, group)
    old = f" {stale:,} of them {'is' if stale == 1 else 'are'} stale: predict anew." if stale else ""
    return f"{there:,} of {len(rows):,} tiles have this prediction.{old}"
