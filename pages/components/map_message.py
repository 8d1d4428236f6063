"""What Browse tells its map in the browser: one small message, of one character a tile."""

from typing import Any

import numpy as np

from core.catalog.maps.map_layouts import MapLayout
from core.catalog.maps.routes import tiles_version
from core.classes import CLASS_NAMES
from pages.components.browsing import Browsing
from pages.components.class_palette import screen_colours
from pages.components.map_colours import Colouring
from pages.components.map_layers import MapLayer

_FIRST_MARK = 48  # assets/components/map/grid.js
_FIRST_PERCENT, _NO_PERCENT = 160, "~"  # assets/components/map/hover.js


def message(browsing: Browsing, kind: str, layout: MapLayout, colouring: Colouring, layer: MapLayer | None) -> Any:
    """What ``assets/components/map/main.js`` shows: addresses with their versions, and a mark for every tile."""
    shown = np.zeros(len(browsing.table.rows), np.uint8)
    shown[browsing.order] = 1
    marks = (_FIRST_MARK + 2 * colouring.codes.astype(np.uint8) + shown).astype(np.uint8)
    base = f"/map/{browsing.collection.id}"
    asked = f"layout={kind}&v={layout.version}"
    return {
        "tiles": f"{base}/tiles.json?v={tiles_version(browsing.collection)}",
        "layout": f"{base}/layout.json?{asked}",
        "images": f"{base}/{{z}}/{{x}}/{{y}}.jpg?{asked}",
        "overlay": None if layer is None else {"name": layer.name, "address": layer.address},
        "classes": [*zip(CLASS_NAMES, screen_colours(), strict=True)],
        "marks": marks.tobytes().decode("ascii"),
        "title": colouring.title,
        "labels": list(colouring.labels),
        "colours": list(colouring.colours),
        "values": _percents(colouring),
        "ranges": colouring.ranges,
        "selected": None if browsing.opened is None else browsing.opened.id,
    }


def _percents(colouring: Colouring) -> str | None:
    if colouring.percents is None:
        return None
    known = ~np.isnan(colouring.percents)
    whole = np.rint(np.nan_to_num(colouring.percents)).astype(int).tolist()
    return "".join(
        chr(_FIRST_PERCENT + percent) if there else _NO_PERCENT for percent, there in zip(whole, known, strict=True)
    )
