"""One tile, large, with its given mask over it at an opacity that changes in the browser."""

from pathlib import Path

import streamlit as st

from core.tables import Tile
from pages.components.class_palette import in_palette

_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components"
_HTML = """<div class="view"><div class="frame"><img><img alt=""></div>
<div class="controls"><label><input type="checkbox" checked> Mask</label>
<input type="range" min="0" max="100" value="45" aria-label="Mask opacity"><output></output></div></div>"""

_mount = st.components.v2.component(
    "tilewright_tile_view",
    html=_HTML,
    css=(_ASSETS / "tile_view.css").read_text(),
    js=(_ASSETS / "tile_view.js").read_text(),
)


def tile_view(tile: Tile, *, overlay: str | None = None, key: str) -> None:
    """Show a tile at up to 1024 pixels, under its given mask or the picture at the address ``overlay``."""
    given = f"/tiles/{tile.id}/mask.png?size=1024&v={tile.mask_fingerprint}" if tile.mask_path else None
    mask = overlay or given
    mask = in_palette(mask) if mask else None
    data = {
        "image": f"/tiles/{tile.id}/thumbnail.jpg?size=1024&v={tile.fingerprint}",
        "mask": mask,
        "alt": f"Tile {tile.name}",
        "aspect": f"{tile.width} / {tile.height}",
    }
    _mount(key=key, data=data)
