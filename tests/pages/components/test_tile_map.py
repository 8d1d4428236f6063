import json
from pathlib import Path

import folium
import pytest
import streamlit_folium

from core.catalog.maps.mosaic import lay_out
from core.tables import Collection, Tile, now
from pages.components import tile_map
from pages.components.tile_map import leaflet_sources


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


def _shown_on(monkeypatch: pytest.MonkeyPatch, state: dict[str, object]) -> dict[str, object]:
    """What streamlit-folium is given."""
    given: dict[str, object] = {}
    monkeypatch.setattr(streamlit_folium, "_component_func", lambda **arguments: given.update(arguments))
    tile_map.tile_map(state, key="map", height=500, on_open=lambda _: None)
    return given


def test_whatever_is_to_be_seen_the_map_itself_is_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    first = _shown_on(monkeypatch, {"images": "/map/3/{z}/{x}/{y}.jpg?v=1", "marks": "1101"})
    second = _shown_on(monkeypatch, {"images": "/map/4/{z}/{x}/{y}.jpg?v=9", "marks": "0"})
    for part in ("script", "header", "html", "key", "js_links", "css_links"):
        assert first[part] == second[part]
    assert "/map/" not in str(first["script"])
    assert first["feature_group"] != second["feature_group"]
    assert first["js_links"][-1] == "/assets/components/map/load.js"


def test_a_message_reaches_the_script_as_it_was_whatever_a_name_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        "{{'map_div'}}",
        "</script><img src=x onerror=alert(1)>",
        "_0 feature_group_0",
        'é "quoted" \\',
        "%{{{",
        "{% raw %}{# #}",
    ]
    text = str(_shown_on(monkeypatch, {"labels": names})["feature_group"])
    call = text[text.index("JSON.parse(") + len("JSON.parse(") :]
    literal, _ = json.JSONDecoder().raw_decode(call)
    assert json.loads(literal) == {"labels": names}
    assert "</script" not in text


def test_the_map_of_areas_is_the_same_text_on_every_rerun() -> None:
    collection = Collection(id=3, name="c", root="/c", indexed=now())
    mosaic = lay_out(_tiles())
    first, second = (tile_map.base_map(collection, mosaic) for _ in range(2))
    texts = [view.get_root().render().replace(view.get_name(), "map") for view in (first, second)]
    assert "/map/3/{z}/{x}/{y}.jpg" in texts[0]
    assert texts[0].count('"maxNativeZoom": 0') == texts[1].count('"maxNativeZoom": 0') == 1
