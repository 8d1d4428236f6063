"""What lies over the images of the geographic map: nothing, given masks, labels made here, or a run's predictions."""

from collections.abc import Mapping

import streamlit as st

from core.catalog.geography.display import SPECK
from core.catalog.maps.mask_map import place_version
from core.catalog.routes import map_version
from core.inference.prediction_routes import geo_map_url
from pages.components.browse_address import show
from pages.components.browsing import Browsing
from pages.components.class_palette import in_palette
from pages.components.map_layers import GIVEN, LABELS, NOTHING, OPACITY, layer_names, prediction_told, predictions
from pages.components.tile_map import MapLayer


def choose_geo_layer(browsing: Browsing) -> tuple[MapLayer | None, str]:
    """The widgets, and a sentence on how many tiles the layer tells something of; empty without a layer."""
    workspace, shown, table = browsing.workspace, browsing.collection, browsing.table
    kept = predictions(browsing)
    names = layer_names(browsing, kept)
    name = _choose(names)
    opacity = st.slider("Opacity", 0.1, 1.0, OPACITY, 0.05, key="geo_opacity", width=110, disabled=name == NOTHING)
    if name == NOTHING:
        return None, ""
    if name == GIVEN:
        address = f"/geo/{shown.id}/mask/{{z}}/{{x}}/{{y}}.png?v={map_version(shown)}"
        told = f"{int(table.tiles.has_mask.sum()):,} of {len(table.rows):,} tiles came with a mask."
    elif name == LABELS:
        version = place_version(workspace.labels(shown.id))
        address = f"/geo/{shown.id}/labels/{{z}}/{{x}}/{{y}}.png?v={version}"
        told = f"{int(table.labels.labelled.sum()):,} of {len(table.rows):,} tiles were labelled here."
    else:
        address = geo_map_url(workspace, kept[name].run, kept[name].key, shown.id)
        told = prediction_told(browsing, kept[name])
    told += f" Drawn where a tile is larger than {SPECK} pixels on the screen."
    return MapLayer(names[name], in_palette(address), opacity), told


def _choose(names: Mapping[str, str]) -> str:
    """The choice lives in the address under ``over``, as that of the map does: it goes from one to the other."""
    asked = st.query_params.get("over", NOTHING)
    st.session_state["geo_over"] = asked if asked in names else NOTHING
    return str(
        st.selectbox(
            "Over the images",
            list(names),
            format_func=lambda one: names.get(one, one),
            key="geo_over",
            on_change=lambda: show(over=st.session_state["geo_over"] or None),
            width=190,
        )
    )
