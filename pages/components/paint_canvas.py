"""The paint canvas: one tile at full resolution, and the tools to label it.

The component lives in ``assets/components/paint``: plain JavaScript modules, which the browser fetches from our own
server. Painting never goes through Streamlit: the canvas sends each stroke straight to ``core/labels/routes.py``, so
that a brush does not wait for a page to rerun.
"""

from pathlib import Path

import streamlit as st

from core.catalog.pyramid import max_zoom
from core.classes import CLASSES
from core.labels.instances import MARKS
from core.tables import Tile
from pages.components.module_loader import MODULE_LOADER

_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components" / "paint"
_MODULE = "/assets/components/paint/main.js"

_mount = st.components.v2.component(
    "tilewright_paint",
    html='<div class="tw-paint" aria-label="Paint canvas"></div>',
    css=(_ASSETS / "paint.css").read_text(),
    js=MODULE_LOADER,
)


def paint_canvas(tile: Tile, *, base_url: str = "", height: int = 700, key: str) -> None:
    """Show the canvas on a tile.

    With the same ``key`` the canvas stays when the tile changes, and keeps tool, class and brush.

    Args:
        tile: the tile to label.
        base_url: what comes before our routes, where the app is served below a path (``/tilewright``, say).
        height: of the whole canvas, in CSS pixels.
        key: of the component.
    """
    _mount(
        key=key,
        data={
            "module": base_url + _MODULE,
            "base_url": base_url,
            "height": height,
            "marks": list(MARKS),
            "classes": [
                {"index": c.index, "name": c.name, "colour": list(c.colour), "meaning": c.meaning} for c in CLASSES
            ],
            "tile": {
                "id": tile.id,
                "name": tile.name,
                "width": tile.width,
                "height": tile.height,
                "metres_per_pixel_x": tile.metres_per_pixel_x,
                "max_zoom": max_zoom(tile.width, tile.height),
                "version": tile.fingerprint,
                "given_mask": tile.mask_path is not None,
            },
        },
    )
