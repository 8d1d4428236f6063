"""A collection as a Leaflet map in plain pixel coordinates (CRS Simple), through folium.

The map itself never changes while the collection does not, so that panning, zooming, choosing and filtering never
reload it: what changes (the layer over the images, outlines, the selection) is a feature group that streamlit-folium
swaps in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import folium
import streamlit as st
from streamlit_folium import st_folium

from core.catalog.mosaic import GROUND, ZOOM_OFFSET, Mosaic, Place
from core.catalog.routes import map_version
from core.tables import Collection, Tile

SPLIT_COLOURS = {"train": "#2fae84", "val": "#e8912d", "test": "#a873e0"}
SELECTED_COLOUR = "#ffffff"
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


def tile_map(
    collection: Collection,
    mosaic: Mosaic,
    *,
    shown: set[int],
    selected: int | None,
    overlay: MapLayer | None = None,
    key: str,
    height: int = 620,
) -> None:
    """Draw the map, with ``overlay`` over the images. Tiles not in ``shown`` are dimmed.

    A click is read with ``clicked_tile``.
    """
    local = leaflet_sources()
    st_folium(
        base_map(collection, mosaic),
        key=key,
        height=height,
        use_container_width=True,
        returned_objects=["last_clicked"],
        feature_group_to_add=_over_images(mosaic, shown=shown, selected=selected, overlay=overlay),
    )
    if not local:
        st.caption(
            "Leaflet is loaded from folium's usual address, since npm did not install it: the map needs a network."
        )


def clicked_tile(state: Mapping[str, Any] | None, mosaic: Mosaic) -> Tile | None:
    """The tile under the last click, from what streamlit-folium keeps under the map's key."""
    click = (state or {}).get("last_clicked")
    return mosaic.at(click["lng"], -click["lat"]) if click else None


def base_map(collection: Collection, mosaic: Mosaic) -> folium.Map:
    """The map with its images and nothing over them; ``leaflet_sources`` comes before."""
    bounds = [[-mosaic.height, 0], [0, mosaic.width]]
    view = folium.Map(
        tiles=None,
        crs="Simple",
        location=[-mosaic.height / 2, mosaic.width / 2],
        zoom_start=mosaic.min_zoom,
        minZoom=mosaic.min_zoom,
        maxZoom=MAX_MAGNIFICATION,
        zoomSnap=0.25,
        zoomDelta=0.5,
        wheelPxPerZoomLevel=120,
        attributionControl=False,
        prefer_canvas=True,
    )
    images = f"/map/{collection.id}/{{z}}/{{x}}/{{y}}.jpg?v={map_version(collection)}"
    tile_layer(MapLayer("Images", images, 1.0), mosaic).add_to(view)
    view.fit_bounds(bounds, padding=(6, 6))
    ground = "rgb({}, {}, {})".format(*GROUND)
    style = f".leaflet-container {{ background: {ground}; border-radius: 10px; }} body {{ margin: 0; }} {_NO_SEAMS}"
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


def _over_images(
    mosaic: Mosaic, *, shown: set[int], selected: int | None, overlay: MapLayer | None
) -> folium.FeatureGroup:
    """The overlay and the tiles' outlines."""
    features = [_outline(place, shown=place.tile.id in shown, selected=selected) for place in mosaic.places]
    group = folium.FeatureGroup(name="Tiles", control=False)
    if overlay is not None:
        tile_layer(overlay, mosaic).add_to(group)
    if features:
        folium.GeoJson(
            {"type": "FeatureCollection", "features": features},
            style_function=lambda feature: feature["properties"]["style"],
            tooltip=folium.GeoJsonTooltip(["name", "split", "size"], aliases=["Tile", "Split", "Size"]),
        ).add_to(group)
    return group


def _outline(place: Place, *, shown: bool, selected: int | None) -> dict[str, Any]:
    tile = place.tile
    left, right, top, bottom = place.left, place.left + tile.width, -place.top, -place.top - tile.height
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    chosen = tile.id == selected
    style = {
        "color": SELECTED_COLOUR if chosen else SPLIT_COLOURS[tile.split],
        "weight": 4 if chosen else 2,
        "opacity": 1 if shown or chosen else 0.15,
        "fillColor": "rgb({}, {}, {})".format(*GROUND),
        "fillOpacity": 0 if shown else 0.8,
    }
    size = f"{tile.width} x {tile.height} px"
    return {
        "type": "Feature",
        "id": tile.id,
        "properties": {"name": escape(tile.name), "split": tile.split, "size": size, "style": style},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
