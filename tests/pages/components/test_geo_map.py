from pathlib import Path

import folium
import pytest

from core.tables import Collection, now
from core.workspace import open_workspace
from pages.components import geo_map, tile_map
from pages.components.geo_map import BASE_MAPS, GeoLayers, state
from pages.components.tile_map import MapLayer
from tests.core.catalog.geography.geo_pictures import placed_rows

COLLECTION = Collection(id=1, name="c", root="/c", indexed=now())
LAYERS = GeoLayers(images="/geo/1/{z}/{x}/{y}.png?v=1", outlines="/geo/1/outlines/{z}/{x}/{y}.png?v=1")


@pytest.fixture
def places(tmp_path: Path):
    return placed_rows(open_workspace(tmp_path / "ws"), [("EPSG:32633", 15.0, 50.0), ("EPSG:32632", 11.0, 50.0)])


@pytest.fixture(autouse=True)
def _leaflet_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folium.Map, "default_js", folium.Map.default_js)
    monkeypatch.setattr(folium.Map, "default_css", folium.Map.default_css)
    (tmp_path / "leaflet/dist").mkdir(parents=True)
    (tmp_path / "leaflet/dist/leaflet.js").touch()
    monkeypatch.setattr(tile_map, "_VENDOR", tmp_path)
    assert tile_map.leaflet_sources()


def test_no_address_leaves_this_server_before_a_base_map_is_switched_on(places) -> None:
    page = geo_map.base_map(places).get_root().render()
    assert "://" not in page.replace("http://www.w3.org", "")
    assert "/assets/components/geo/geo_map.js" in page
    assert "://" not in str(state(COLLECTION, places, LAYERS, None))


@pytest.mark.parametrize("base", BASE_MAPS, ids=lambda base: base.name)
def test_a_base_map_comes_with_its_attribution(places, base) -> None:
    told = state(COLLECTION, places, GeoLayers(LAYERS.images, LAYERS.outlines, base=base), None)["base"]
    assert told["address"].startswith("https://")
    assert "OpenStreetMap" in told["attribution"] or "Esri" in told["attribution"]


def test_the_map_is_the_same_text_on_every_rerun(places) -> None:
    first, second = (geo_map.base_map(places) for _ in range(2))
    texts = [view.get_root().render().replace(view.get_name(), "map") for view in (first, second)]
    assert texts[0].count("fit_bounds") == texts[1].count("fit_bounds")
    assert len(texts[0]) == len(texts[1])


def test_the_open_tile_is_outlined_latitude_first(places) -> None:
    ring = state(COLLECTION, places, LAYERS, int(places.ids[1]))["selected"]
    assert ring[0] == pytest.approx([50.0, 11.0])
    assert state(COLLECTION, places, LAYERS, None)["selected"] is None


def test_our_layers_stop_at_the_tiles_own_pixels_and_lines_do_not(places) -> None:
    overlay = MapLayer("given masks", "/geo/1/mask/{z}/{x}/{y}.png", 0.4)
    told = state(COLLECTION, places, GeoLayers(LAYERS.images, LAYERS.outlines, overlay=overlay), None)
    assert told["images"]["maxNativeZoom"] == told["overlay"]["maxNativeZoom"] == places.native_zoom()
    assert told["overlay"]["opacity"] == 0.4
    assert "maxNativeZoom" not in told["outlines"]
