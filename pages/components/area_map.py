"""A collection's map on which a polygon can be drawn: the area whose hectares are asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import folium
import streamlit as st
from folium.plugins import Draw
from streamlit_folium import st_folium

from core.catalog.maps.mosaic import Mosaic
from core.evaluation.mapped_areas import Ring
from core.tables import Collection
from pages.components.tile_map import MapLayer, base_map, leaflet_sources, tile_layer

_VENDOR = Path(__file__).resolve().parents[2] / "assets" / "vendor" / "node_modules"
_PACKAGE = "leaflet-draw/dist"
_FILES = {"js": "leaflet.draw.js", "css": "leaflet.draw.css"}
_LINE = {"color": "#ffffff", "weight": 3, "fillColor": "#1f9a70", "fillOpacity": 0.15}
_SHAPES = {
    "polygon": {"shapeOptions": _LINE, "showArea": False},
    "rectangle": {"shapeOptions": _LINE, "showArea": False},
}
_OTHERS = dict.fromkeys(("polyline", "circle", "marker", "circlemarker"), False)


def area_map(collection: Collection, mosaic: Mosaic, overlay: MapLayer, *, key: str, height: int = 430) -> Ring | None:
    """Show the map; gives the corners of what was drawn last, in pixels of the mosaic, or None."""
    if not (leaflet_sources() and _draw_sources()):
        st.warning(
            "The drawing tools were not installed (npm, see the README), so no area can be drawn here; choose a tile "
            "or a split instead.",
            icon=":material/warning:",
        )
        return None
    view = base_map(collection, mosaic)
    Draw(export=False, draw_options={**_SHAPES, **_OTHERS}, edit_options={"poly": {"allowIntersection": False}}).add_to(
        view
    )
    group = folium.FeatureGroup(name="Prediction", control=False)
    tile_layer(overlay, mosaic).add_to(group)
    said = st_folium(
        view,
        key=key,
        height=height,
        use_container_width=True,
        returned_objects=["all_drawings"],
        feature_group_to_add=group,
    )
    return last_ring(said)


def last_ring(said: Mapping[str, Any] | None) -> Ring | None:
    """The outer corners of the last polygon among the drawings; on the map x is the longitude, -y the latitude."""
    for feature in reversed((said or {}).get("all_drawings") or []):
        geometry = feature.get("geometry") or {}
        if geometry.get("type") == "Polygon" and geometry.get("coordinates"):
            corners = [(float(x), -float(y)) for x, y, *_ in geometry["coordinates"][0]]
            return corners[:-1] if corners[0] == corners[-1] else corners
    return None


def _draw_sources() -> bool:
    """Point folium's drawing tools at our own server; whether they were installed."""
    Draw.default_js = [("leaflet_draw_js", f"/vendor/{_PACKAGE}/{_FILES['js']}")]
    Draw.default_css = [("leaflet_draw_css", f"/vendor/{_PACKAGE}/{_FILES['css']}")]
    return all((_VENDOR / _PACKAGE / name).is_file() for name in _FILES.values())
