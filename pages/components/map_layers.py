"""What lies over the images of the map: nothing, the given masks, or the kept predictions of a run."""

from collections.abc import Sequence

import streamlit as st

from core.catalog.routes import map_version
from core.inference.prediction_routes import map_url
from core.inference.store import stale_tiles
from core.inference.store_space import KeptGroup, kept_groups
from core.tables import Collection, Tile
from core.workspace import Workspace
from pages.components.class_palette import in_palette
from pages.components.predict_kept import words
from pages.components.tile_map import MapLayer

NOTHING, GIVEN = "nothing", "given masks"
_OPACITY = 0.6


def choose_map_layer(workspace: Workspace, collection: Collection, rows: Sequence[Tile]) -> MapLayer | None:
    """The widgets over the map, and a caption that says of how many tiles the layer tells something."""
    groups = {
        f"{group.run}, {words(group)}": group
        for group in kept_groups(workspace)
        if group.collection_id == collection.id
    }
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = str(
            st.selectbox("Over the images", [NOTHING, GIVEN, *groups], key=f"map_layer_{collection.id}", width=340)
        )
        opacity = st.slider(
            "Opacity", 0.1, 1.0, _OPACITY, 0.05, key="map_opacity", width=180, disabled=chosen == NOTHING
        )
    if chosen == GIVEN:
        masks = sum(row.mask_path is not None for row in rows)
        st.caption(f"{masks} of {len(rows)} tiles came with a mask; the others stay plain.")
        address = f"/map/{collection.id}/mask/{{z}}/{{x}}/{{y}}.png?v={map_version(collection)}"
        return MapLayer(chosen, in_palette(address), opacity)
    if chosen in groups:
        group = groups[chosen]
        st.caption(_told(workspace, group, rows))
        address = map_url(workspace, group.run, group.key, collection.id)
        return MapLayer(chosen, in_palette(address), opacity)
    if not groups:
        st.caption("Predictions can be laid over the map once there are some: [predict these tiles](#predictions).")
    return None


def _told(workspace: Workspace, group: KeptGroup, rows: Sequence[Tile]) -> str:
    there = len(set(group.tiles) & {row.name for row in rows})
    rest = "" if there == len(rows) else "; the others stay plain"
    stale = stale_tiles(workspace, group)
    old = f" {stale} of them {'is' if stale == 1 else 'are'} stale: predict anew." if stale else ""
    return f"{there} of {len(rows)} tiles have this prediction{rest}.{old}"
