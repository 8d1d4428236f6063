"""Browse > Map: every tile of the collection in its place on one map."""

from collections.abc import Mapping

import streamlit as st

from core.catalog.alike.layouts import CLASS_SHARE, LIKENESS
from core.catalog.alike.looks import KIND, look_arguments
from core.catalog.maps.map_layouts import BY_NAME, MapLayout, NoLayoutError, map_layout
from pages.components.browse_address import show
from pages.components.browsing import Browsing, open_tile
from pages.components.map_colours import chosen_colouring, colourings
from pages.components.map_layers import NOTHING, layer_names, map_layer, predictions
from pages.components.map_message import message
from pages.components.measuring_job import Measurement, measure_button
from pages.components.tile_map import tile_map

HEIGHT = 520
_LAYOUTS = {BY_NAME: "By name", LIKENESS: "By likeness", CLASS_SHARE: "By class share"}


def view(browsing: Browsing) -> None:
    """The map, what is chosen for it, and what its colours mean."""
    workspace, table = browsing.workspace, browsing.table
    colours, kept = colourings(workspace, table), predictions(browsing)
    layers = layer_names(browsing, kept)
    places = st.columns([11, 14, 16], gap="small")
    with places[0]:
        kind = _choose("Layout", "layout", _LAYOUTS, BY_NAME)
    with places[1]:
        colour = _choose(
            "Colours", "colour", {name: f"Colours: {said}" for name, (said, _) in colours.items()}, "split"
        )
    with places[2]:
        over = _choose("Over the images", "over", {name: f"Over it: {said}" for name, said in layers.items()}, NOTHING)
    kind, layout = _layout(browsing, kind)
    colouring = chosen_colouring(colours, colour)
    layer, told = map_layer(browsing, kept, over, kind, layout)
    state = message(browsing, kind, layout, colouring, layer)
    tile_map(state, key="browse_map", height=HEIGHT, on_open=open_tile)
    notes = [colouring.told, told, "Click a tile to open it; zoom in to its full resolution."]
    st.caption(" ".join(note for note in notes if note))


def _choose(label: str, name: str, options: Mapping[str, str], usual: str) -> str:
    """A choice that lives in the address under ``name``; one that makes no sense there is the usual one."""
    key = f"map_{name}"
    asked = st.query_params.get(name, usual)
    st.session_state[key] = asked if asked in options else usual

    def write() -> None:
        chosen = st.session_state[key]
        show(**{name: None if chosen == usual else chosen})

    return str(
        st.selectbox(
            label,
            list(options),
            format_func=lambda one: options.get(one, one),
            key=key,
            on_change=write,
            label_visibility="collapsed",
        )
    )


def _layout(browsing: Browsing, kind: str) -> tuple[str, MapLayout]:
    """The layout that is asked for; where there is none (yet), by name, and why, and what mends it."""
    workspace, collection, table = browsing.workspace, browsing.collection, browsing.table
    try:
        return kind, map_layout(workspace, collection, table, kind)
    except NoLayoutError as error:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f"{error} They lie by name.")
            if kind == LIKENESS:
                job = Measurement(KIND, f"Look at {collection.name}", look_arguments(collection.id))
                measure_button(
                    workspace,
                    job,
                    label="Look at the tiles",
                    key="map_look",
                    primary=True,
                    icon=":material/visibility:",
                )
    return BY_NAME, map_layout(workspace, collection, table, BY_NAME)
