from pathlib import Path

import folium
import pytest

from core.catalog.mosaic import lay_out
from core.tables import Collection, Tile, now
from pages.components import tile_map
from pages.components.tile_map import clicked_tile, leaflet_sources


@pytest.fixture(autouse=True)
def _folium_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folium.Map, "default_js", folium.Map.default_js)
    monkeypatch.setattr(folium.Map, "default_css", folium.Map.default_css)


def _tiles(count: int = 4, name: str = "tile") -> list[Tile]:
    return [Tile(id=i, name=f"{name}{i}", width=100, height=100, split="train") for i in range(count)]


def _install(folder: Path) -> None:
    (folder / "leaflet/dist").mkdir(parents=True)
    (folder / "leaflet/dist/leaflet.js").touch()


def test_with_leaflet_installed_nothing_is_asked_of_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path)
    monkeypatch.setattr(tile_map, "_VENDOR", tmp_path)
    assert leaflet_sources()
    collection = Collection(id=3, name="c", root="/c", indexed=now())
    page = tile_map.base_map(collection, lay_out(_tiles())).get_root().render()
    assert "://" not in page.replace("http://www.w3.org", "")
    assert "/vendor/leaflet/dist/leaflet.js" in page


def test_without_it_only_leaflet_is_loaded_from_its_usual_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_map, "_VENDOR", tmp_path)
    assert not leaflet_sources()
    assert [name for name, _ in folium.Map.default_js] == ["leaflet"]
    assert folium.Map.default_js[0][1].startswith("https://")


def test_the_map_is_the_same_text_on_every_rerun_whatever_is_selected() -> None:
    collection = Collection(id=3, name="c", root="/c", indexed=now())
    mosaic = lay_out(_tiles())
    first, second = (tile_map.base_map(collection, mosaic) for _ in range(2))
    texts = [view.get_root().render().replace(view.get_name(), "map") for view in (first, second)]
    assert "/map/3/{z}/{x}/{y}.jpg" in texts[0]
    assert texts[0].count('"maxNativeZoom": 0') == texts[1].count('"maxNativeZoom": 0') == 1


def test_a_click_finds_the_tile_under_it() -> None:
    mosaic = lay_out(_tiles())
    place = mosaic.places[3]
    state = {"last_clicked": {"lat": -(place.top + 5), "lng": place.left + 5}}
    assert clicked_tile(state, mosaic) is place.tile
    assert clicked_tile({"last_clicked": {"lat": 50, "lng": 5}}, mosaic) is None
    assert clicked_tile(None, mosaic) is None


def test_outlines_tell_splits_selection_and_filter_apart() -> None:
    train, val, chosen, hidden = _tiles()
    val.split = "val"
    group = tile_map._over_images(lay_out([train, val, chosen, hidden]), shown={0, 1, 2}, selected=2, overlay=None)
    (layer,) = group._children.values()
    styles = [feature["properties"]["style"] for feature in layer.data["features"]]
    assert [style["color"] for style in styles[:3]] == [
        tile_map.SPLIT_COLOURS["train"],
        tile_map.SPLIT_COLOURS["val"],
        tile_map.SELECTED_COLOUR,
    ]
    assert [style["fillOpacity"] > 0 for style in styles] == [False, False, False, True]


def test_a_name_with_markup_is_shown_as_text() -> None:
    tiles = _tiles(1, name="<img src=x onerror=alert(1)>")
    group = tile_map._over_images(lay_out(tiles), shown={0}, selected=None, overlay=None)
    (layer,) = group._children.values()
    assert "<" not in layer.data["features"][0]["properties"]["name"]


def test_a_layer_lies_under_the_outlines_with_its_opacity() -> None:
    layer = tile_map.MapLayer("first", "/predictions/first/plain/map/3/{z}/{x}/{y}.png?v=1", 0.4)
    group = tile_map._over_images(lay_out(_tiles()), shown={0}, selected=None, overlay=layer)
    pictures, outlines = group._children.values()
    assert isinstance(pictures, folium.TileLayer)
    assert isinstance(outlines, folium.GeoJson)
    assert pictures.options["opacity"] == 0.4
