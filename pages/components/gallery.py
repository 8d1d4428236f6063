"""A grid of tile cards: picture, name, split, class shares. Cards are links, reachable by keyboard."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.tables import Tile
from pages.components.class_palette import in_palette, screen_colours

PAGE_SIZE = 60
_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components"

_mount = st.components.v2.component(
    "tilewright_gallery",
    html='<div class="gallery"></div>',
    css=(_ASSETS / "gallery.css").read_text(),
    js=(_ASSETS / "gallery.js").read_text(),
)


def gallery(
    tiles: Sequence[Tile], *, labelled: set[int], masks: bool, selected: int | None, synthetic: bool, key: str
) -> int | None:
    """Show the cards of ``tiles``; returns the id of the tile that was clicked in this run, else None."""
    cards = [card(tile, labelled=tile.id in labelled, synthetic=synthetic) for tile in tiles]
    data = {"cards": cards, "masks": masks, "selected": selected, "colours": screen_colours()}
    result = _mount(key=key, data=data, on_open_change=lambda: None)
    return int(result.open) if result.open is not None else None


def card(tile: Tile, *, labelled: bool, synthetic: bool) -> dict[str, Any]:
    """What the browser needs to draw one card."""
    given = f"/tiles/{tile.id}/mask.png?size=512&v={tile.mask_fingerprint}"
    return {
        "id": tile.id,
        "name": tile.name,
        "href": f"/browse?tile={tile.id}",
        "image": f"/tiles/{tile.id}/thumbnail.jpg?size=256&v={tile.fingerprint}",
        "mask": in_palette(given) if tile.mask_path else None,
        "split": tile.split,
        "status": status(tile, labelled=labelled),
        "shares": tile.class_shares,
        "badge": "synthetic sample" if synthetic else None,
    }


def status(tile: Tile, *, labelled: bool) -> str:
    """A tile's label status in words."""
    if labelled:
        return "labelled here"
    return "mask given" if tile.mask_path else "no labels yet"
