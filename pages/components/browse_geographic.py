"""Browse > Geographic: the tiles that have coordinates, in their true place."""

from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from core.catalog.geography.display import OWN_DISPLAY_FROM, Display
from core.catalog.geography.outlines import shown_text
from core.catalog.geography.places import Places, places_of
from core.catalog.geography.routes import outlines_version
from core.catalog.images import count_bands
from core.catalog.routes import map_version
from core.errors import InputError
from core.tables import Tile
from pages.components.browsing import Browsing, open_tile, opened_id
from pages.components.geo_layers import choose_geo_layer
from pages.components.geo_map import BASE_MAPS, BaseMap, GeoLayers, geo_map
from pages.components.legend import class_legend
from pages.components.problems import plain
from pages.components.tile_map import SPLIT_COLOURS

_NAMED = 12
"""Tiles without a place that are named, of how ever many."""
_NO_SPLIT = "#9aa3ad"
_MEND = """# It has a transform, but no CRS:
gdal_edit.py -a_srs EPSG:32633 tile.tif
# It has neither; the corners in that CRS:
gdal_edit.py -a_srs EPSG:32633 -a_ullr LEFT TOP RIGHT BOTTOM tile.tif
# It is a JPEG or PNG:
gdal_translate -a_srs EPSG:32633 -a_ullr LEFT TOP RIGHT BOTTOM a.jpg a.tif"""
_AS_ELSEWHERE = "as elsewhere"
_STRETCHES: dict[str, tuple[float, float] | None] = {
    _AS_ELSEWHERE: None,
    "2 to 98 %": (2.0, 98.0),
    "0.5 to 99.5 %": (0.5, 99.5),
    "whole range": (0.0, 100.0),
}


def view(browsing: Browsing) -> None:
    """The map of the tiles that have a place, what may lie over and under it, and how to mend the others."""
    places = places_of(browsing.workspace, browsing.collection)
    if not len(places.ids):
        _nothing_placed(places)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        overlay, told = choose_geo_layer(browsing)
        display = _choose_display(browsing, places)
        base = _choose_base()
    outlines = _outlines(browsing, places)
    query = {**display.to_query(), "v": map_version(browsing.collection)}
    start, selected = f"/geo/{browsing.collection.id}", opened_id()
    hidden = selected is not None and places.is_hidden(selected)
    layers = GeoLayers(
        images=_address(start, query),
        outlines=outlines,
        opened=_address(start, {**query, "only": str(selected)}) if hidden else None,
        overlay=overlay,
        base=base,
    )
    geo_map(
        browsing.collection,
        places,
        layers,
        selected=selected,
        key=f"geo-{browsing.collection.id}",
        on_open=open_tile,
    )
    _legend(browsing, places, display)
    if overlay is not None:
        st.caption(told)
        class_legend(unlabelled=False)
    if places.without:
        _say_without(browsing, places)


def _choose_display(browsing: Browsing, places: Places) -> Display:
    """Which bands are shown and how they are stretched, in a popover; both are part of the address."""
    with st.popover("Bands", icon=":material/tune:", width="content"):
        shown = _shown_tile(browsing, places)
        count = _band_count(shown.image_path, shown.fingerprint)
        st.caption(
            f"Tile {plain(shown.name)} has {count} band{'s' if count != 1 else ''}. Only this map shows them so."
        )
        bands: tuple[int, int, int] | None = None
        if count >= 2:
            named = [_AS_ELSEWHERE, *_presets(count)]
            chosen = st.selectbox("Red, green, blue", [*named, "choose"], key="geo_bands", bind="query-params")
            if chosen == "choose":
                columns = st.columns(3)
                picked = [
                    column.number_input(colour, 1, count, min(number, count), key=f"geo_band_{number}")
                    for number, (column, colour) in enumerate(zip(columns, ("Red", "Green", "Blue"), strict=True), 1)
                ]
                bands = (int(picked[0]), int(picked[1]), int(picked[2]))
            elif chosen != _AS_ELSEWHERE:
                bands = _presets(count)[str(chosen)]
        stretch = st.selectbox(
            "Stretch, percentiles of each tile's band",
            list(_STRETCHES),
            key="geo_stretch",
            bind="query-params",
            help="As elsewhere: 8-bit bands as they are, others from their 2nd to 98th percentile.",
        )
    return Display(bands, _STRETCHES[str(stretch)])


def _presets(count: int) -> dict[str, tuple[int, int, int]]:
    presets = {"2, 1, 1": (2, 1, 1)} if count == 2 else {"3, 2, 1": (3, 2, 1)}
    return presets | ({"4, 1, 2: near infrared as red": (4, 1, 2)} if count >= 4 else {})


def _shown_tile(browsing: Browsing, places: Places) -> Tile:
    """The open tile where it has a place, else the first that has."""
    if browsing.opened is not None and browsing.opened.id in places.ids:
        return browsing.opened
    return browsing.table.rows[int(np.argmax(np.isin(browsing.table.tiles.ids, places.ids)))]


@st.cache_data(show_spinner=False, max_entries=1000)
def _band_count(image_path: str, fingerprint: str) -> int:  # noqa: ARG001  # known anew when the image is another
    try:
        return count_bands(Path(image_path))
    except InputError:
        return 3


def _choose_base() -> BaseMap | None:
    names = {base.name: base for base in BASE_MAPS}
    icon = ":material/wifi:" if st.session_state.get("geo_online") else ":material/public:"
    with st.popover("Base map", icon=icon, width="content"):
        on = st.toggle(
            "Online base map",
            key="geo_online",
            help="Off, this page asks nothing outside its own server.",
        )
        name = st.radio("From", list(names), key="geo_base", disabled=not on)
        if on:
            st.caption(
                f":material/wifi: The network is asked: {name}'s server learns which part of the map you look at."
            )
        else:
            st.caption(":material/wifi_off: Offline: only the graticule lies under the tiles.")
    return names[str(name)] if on else None


def _outlines(browsing: Browsing, places: Places) -> str:
    query = {"colours": ",".join(colour[1:] for colour in (*SPLIT_COLOURS.values(), _NO_SPLIT))}
    if len(browsing.order) < len(browsing.table.rows):
        passing = browsing.table.tiles.ids[browsing.order]
        text = shown_text(np.isin(places.ids, passing))
        if text is None:
            st.caption("This filter is too long for the map's address: tiles that do not pass are not dimmed here.")
        else:
            query["shown"] = text
    return _address(f"/geo/{browsing.collection.id}/outlines", {**query, "v": outlines_version(browsing.collection)})


def _address(start: str, query: dict[str, str]) -> str:
    return f"{start}/{{z}}/{{x}}/{{y}}.png?{urlencode(query, safe=',')}"


def _legend(browsing: Browsing, places: Places, display: Display) -> None:
    colours = SPLIT_COLOURS | ({"no split": _NO_SPLIT} if (browsing.table.tiles.splits < 0).any() else {})
    chips = "".join(
        f'<span style="margin-right:1rem"><i style="display:inline-block;width:.9em;height:.9em;border:3px solid '
        f'{colour};border-radius:3px;vertical-align:-.12em"></i> {split}</span>'
        for split, colour in colours.items()
    )
    systems = len(places.crs_names)
    told = f"{len(places.ids)} tiles of {systems} CRS, warped to Web Mercator."
    if not display.is_usual:
        told += f" Bands of your choice show where a tile has them and is larger than {OWN_DISPLAY_FROM} pixels."
    st.html(f'<div style="font-size:.86rem">{chips}{told} Click a tile to open it.</div>')


def _nothing_placed(places: Places) -> None:
    if not places.without:
        st.info("This collection has no tiles.", icon=":material/public_off:")
        return
    none = "The only tile of this collection has no" if places.without == 1 else f"None of {places.without} tiles has"
    st.info(
        f"{none} coordinates: there is nothing to show on a map of the Earth. Browse > Map shows tiles side by side.",
        icon=":material/public_off:",
    )
    _how_to_mend()


def _say_without(browsing: Browsing, places: Places) -> None:
    subject = "tile has" if places.without == 1 else "tiles have"
    with st.expander(f"{places.without} {subject} no place on this map", icon=":material/wrong_location:"):
        missing = np.flatnonzero(~np.isin(browsing.table.tiles.ids, places.ids))
        names = ", ".join(plain(browsing.table.rows[number].name) for number in missing[:_NAMED])
        rest = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        st.markdown(f"{names}{rest}")
        st.caption(
            "Their files name no CRS and transform, or ones that contradict each other; the list of things to know "
            "about these files says which."
        )
        _how_to_mend()


def _how_to_mend() -> None:
    st.markdown("If you know where they lie, write it into the files with GDAL, then index the folder again on Start:")
    st.code(_MEND, language="bash")
