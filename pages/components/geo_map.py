"""A collection in its true place: a folium map in Web Mercator whose layers our own script keeps.

The map itself stays the same on every rerun. What changes (layers, outlines, the open tile) is a state that the script
in ``assets/components/geo`` compares with the one before, so that panning, zooming, choosing and filtering never
reload it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import folium
from folium.elements import MacroElement
from folium.template import Template

from core.catalog.geography.drawing import MAX_ZOOM
from core.catalog.geography.footprints import to_degrees
from core.catalog.geography.places import Places
from core.tables import Collection
from pages.components.tile_map import MapLayer, still_map

_SCRIPTS = ("graticule", "readout", "geo_map")
_MAGNIFIED = 3  # zooms beyond the finest tile's own pixels: one of them as 8 x 8 on screen


@dataclass(frozen=True, slots=True)
class BaseMap:
    """A map of the world from somebody else's server: asked only when it was switched on."""

    name: str
    address: str
    attribution: str
    max_zoom: int


BASE_MAPS = (
    BaseMap(
        "OpenStreetMap",
        "https://tile.openstreetmap.org/{z}/{x}/{y}.png",
        '&copy; <a href="https://www.openstreetmap.org/copyright" target="_blank">OpenStreetMap</a> contributors',
        19,
    ),
    BaseMap(
        "Esri World Imagery",
        "https://server.arcgisonline.com/ArcGIS/rest/services/World_Imagery/MapServer/tile/{z}/{y}/{x}",
        "Powered by Esri. Sources: Esri, Maxar, Earthstar Geographics, and the GIS User Community",
        19,
    ),
)


@dataclass(frozen=True, slots=True)
class GeoLayers:
    """What the map shows: addresses of map tiles with Leaflet's {z}, {x}, {y}.

    ``opened`` is the open tile alone, where others lie over it.
    """

    images: str
    outlines: str
    opened: str | None = None
    overlay: MapLayer | None = None
    base: BaseMap | None = None


class _State(MacroElement):  # type: ignore[misc]
    """Hands the state to the script. It lies in a feature group, the one thing that streamlit-folium runs anew."""

    _template = Template(
        "{% macro script(this, kwargs) %}window.tilewrightGeo.apply({{ this.state|tojson }});{% endmacro %}"
    )

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__()
        self._name = "State"
        self.state = state


def geo_map(
    collection: Collection,
    places: Places,
    layers: GeoLayers,
    *,
    selected: int | None,
    key: str,
    on_open: Callable[[int], None],
    height: int = 500,
) -> None:
    """Draw the map; ``on_open`` as ``still_map``."""
    message = _State(state(collection, places, layers, selected))
    still_map(lambda: base_map(places), message, key=key, height=height, on_open=on_open)


def base_map(places: Places) -> folium.Map:
    """The map without layers, around all places; ``leaflet_sources`` comes before."""
    (south, west), (north, east) = bounds = _bounds(places)
    view = folium.Map(
        tiles=None,
        location=[(south + north) / 2, (west + east) / 2],
        zoom_start=2,
        minZoom=1,
        maxZoom=min(MAX_ZOOM, places.native_zoom() + _MAGNIFIED),
        zoomSnap=0.25,
        zoomDelta=0.5,
        wheelPxPerZoomLevel=120,
        worldCopyJump=False,
        prefer_canvas=False,
    )
    view.default_js = [*view.default_js, *((f"tw_{name}", f"/assets/components/geo/{name}.js") for name in _SCRIPTS)]
    view.default_css = [*view.default_css, ("tw_geo", "/assets/components/geo/geo_map.css")]
    view.fit_bounds(bounds, padding=(24, 24))
    return view


def state(collection: Collection, places: Places, layers: GeoLayers, selected: int | None) -> dict[str, Any]:
    """What the script is told, as JSON."""
    native = min(MAX_ZOOM, places.native_zoom())
    ours = {"maxNativeZoom": native, "maxZoom": MAX_ZOOM}
    base, overlay = layers.base, layers.overlay
    return {
        "bounds": _bounds(places),
        "at": f"/geo/{collection.id}/at.json",
        "images": {"address": layers.images, "opacity": 1.0, **ours},
        "opened": layers.opened and {"address": layers.opened, "opacity": 1.0, **ours},
        # Lines are drawn at every zoom: magnified, they would be as thick as roads.
        "outlines": {"address": layers.outlines, "opacity": 1.0, "maxZoom": MAX_ZOOM},
        "overlay": overlay and {"address": overlay.address, "opacity": overlay.opacity, **ours},
        "base": base
        and {
            "address": base.address,
            "attribution": base.attribution,
            "maxNativeZoom": base.max_zoom,
            "maxZoom": MAX_ZOOM,
            "opacity": 1.0,
        },
        "selected": _ring(places, selected),
    }


def _bounds(places: Places) -> list[list[float]]:
    """South west and north east of all tiles as Leaflet has them, latitude first; the world without any."""
    west, south, east, north = places.bounds() or (-180.0, -60.0, 180.0, 75.0)
    return [[south, west], [north, east]]


def _ring(places: Places, selected: int | None) -> list[list[float]] | None:
    """The outline of a tile as Leaflet has it, latitude first; None for one that has no place."""
    for number in (places.ids == selected).nonzero()[0]:
        return [[latitude, longitude] for longitude, latitude in to_degrees(places.outlines[number]).tolist()]
    return None
