"""A collection as a Leaflet map in plain pixel coordinates (CRS Simple), through folium.

Browse's map is made once and never changes while the page lives: folium makes an empty Leaflet map, and what is to be
seen on it goes to our own script (``assets/components/map``) as a small message, which it brings about in place. So
panning, zooming, filtering, colouring or another layout never reload it. The message travels in a feature group, which
streamlit-folium runs anew whenever its text changed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import folium
import streamlit as st
from branca.element import MacroElement
from folium.elements import JSCSSMixin
from folium.template import Template
from streamlit_folium import st_folium

from core.catalog.maps.mosaic import GROUND, ZOOM_OFFSET, Mosaic
from core.catalog.routes import map_version
from core.tables import Collection

SPLIT_COLOURS = {"train": "#2fae84", "val": "#e8912d", "test": "#a873e0"}
_NO_SEAMS = (
    ".leaflet-container img.leaflet-tile { width: 257px !important; height: 257px !important; mix-blend-mode: normal; }"
)
"""Map tiles of 256 overlap by a pixel: between two zoom levels they are scaled, and the ground would show through."""
MAX_MAGNIFICATION = 2  # Leaflet zooms above 0: one pixel of a tile as 4 x 4 on screen


@dataclass(frozen=True, slots=True)
class MapLayer:
    """Pictures over the map: their name, their address with Leaflet's {z}, {x}, {y}, and their opacity, 0 to 1."""

    name: str
    address: str
    opacity: float


_VENDOR = Path(__file__).resolve().parents[2] / "assets" / "vendor" / "node_modules"
_PACKAGE = "leaflet/dist"
_USUAL = {"leaflet.js": folium.Map.default_js[0][1], "leaflet.css": folium.Map.default_css[0][1]}


def leaflet_sources() -> bool:
    """Point folium at Leaflet alone, without the jQuery, Bootstrap and icon fonts that it loads by default.

    Returns whether Leaflet is served by ourselves; where it was not installed, folium's usual address is left.
    """
    local = (_VENDOR / _PACKAGE / "leaflet.js").is_file()
    address = {name: f"/vendor/{_PACKAGE}/{name}" if local else usual for name, usual in _USUAL.items()}
    folium.Map.default_js = [("leaflet", address["leaflet.js"])]
    folium.Map.default_css = [("leaflet_css", address["leaflet.css"])]
    return local


class _Scripts(JSCSSMixin, MacroElement):
    """Our own script and style, which Leaflet's come before."""

    _template = Template("{% macro script(this, kwargs) %}{% endmacro %}")
    default_js = (("tilewright_map", "/assets/components/map/load.js"),)
    default_css = (("tilewright_map_style", "/assets/components/map/map.css"),)


class _Message(MacroElement):
    """What our script is to show, as JSON in a string."""

    _template = Template(
        "{% macro script(this, kwargs) %}window.tilewrightMap.show(map_div, JSON.parse({{ this.text }}));{% endmacro %}"
    )

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__()
        # Branca makes a template of what it renders: a run's name must not be able to open an expression in it.
        literal = json.dumps(json.dumps(state, ensure_ascii=False), ensure_ascii=False)
        self.text = literal.replace("{", "\\u007b").replace("</", "<\\/")


def tile_map(state: Mapping[str, Any], *, key: str, height: int, on_open: Callable[[int], None]) -> None:
    """Draw the map and show ``state`` on it (``pages/components/map_message.py``); ``on_open`` as ``still_map``."""
    still_map(_empty_map, _Message(state), key=key, height=height, on_open=on_open)


def still_map(
    make: Callable[[], folium.Map], message: MacroElement, *, key: str, height: int, on_open: Callable[[int], None]
) -> None:
    """Draw a map that stays as it is made, and hand our script on it a message, which may be another each time.

    ``on_open`` is called with the id of a tile when our script says that it was clicked, before the page runs again.
    """
    local = leaflet_sources()

    def opened() -> None:
        clicked = (st.session_state.get(key) or {}).get("tile")
        if isinstance(clicked, int):
            on_open(clicked)

    group = folium.FeatureGroup(name="Message", control=False)
    message.add_to(group)
    st_folium(
        make(),
        key=key,
        height=height,
        use_container_width=True,
        returned_objects=[],
        feature_group_to_add=group,
        on_change=opened,
    )
    if not local:
        st.caption(
            "Leaflet is loaded from folium's usual address, since npm did not install it: the map needs a network."
        )


def _empty_map() -> folium.Map:
    """The same text for every collection and every state of the page."""
    view = _simple_map([0, 0], -ZOOM_OFFSET)
    _Scripts().add_to(view)
    return view


def base_map(collection: Collection, mosaic: Mosaic) -> folium.Map:
    """The map with its images and nothing over them; ``leaflet_sources`` comes before."""
    bounds = [[-mosaic.height, 0], [0, mosaic.width]]
    view = _simple_map([-mosaic.height / 2, mosaic.width / 2], mosaic.min_zoom)
    images = f"/map/{collection.id}/{{z}}/{{x}}/{{y}}.jpg?v={map_version(collection)}"
    tile_layer(MapLayer("Images", images, 1.0), mosaic).add_to(view)
    view.fit_bounds(bounds, padding=(6, 6))
    view.get_root().header.add_child(folium.Element(f"<style>{_NO_SEAMS}</style>"), name="tilewright_seams")
    return view


def _simple_map(centre: list[float], min_zoom: int) -> folium.Map:
    """An empty map in pixels, on our ground."""
    view = folium.Map(
        tiles=None,
        crs="Simple",
        location=centre,
        zoom_start=min_zoom,
        minZoom=min_zoom,
        maxZoom=MAX_MAGNIFICATION,
        zoomSnap=0.25,
        zoomDelta=0.5,
        wheelPxPerZoomLevel=120,
        attributionControl=False,
        prefer_canvas=True,
    )
    ground = "rgb({}, {}, {})".format(*GROUND)
    style = f".leaflet-container {{ background: {ground}; border-radius: 10px; }} body {{ margin: 0; }}"
    view.get_root().header.add_child(folium.Element(f"<style>{style}</style>"), name="tilewright_ground")
    return view


def tile_layer(layer: MapLayer, mosaic: Mosaic) -> folium.TileLayer:
    """Map tiles of ours over a mosaic, at every zoom that its map has."""
    made = folium.TileLayer(layer.address, attr="Tilewright", name=layer.name, control=False, no_wrap=True)
    # Set afterwards: folium drops a maximum of 0 as if it were not given.
    made.options |= {
        "minZoom": mosaic.min_zoom,
        "maxZoom": MAX_MAGNIFICATION,
        "minNativeZoom": mosaic.min_zoom,
        "maxNativeZoom": 0,
        "zoomOffset": ZOOM_OFFSET,
        "bounds": [[-mosaic.height, 0], [0, mosaic.width]],
        "opacity": layer.opacity,
    }
    return made
