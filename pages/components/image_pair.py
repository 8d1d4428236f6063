"""Panels side by side on one tile (image, truth, predictions, errors, differences) with one zoom and one pointer.

The component lies in ``assets/components/compare``. It fetches map tiles and masks from our own routes and finds
errors and differences in the browser, so that switching a panel asks nothing of the server.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from core.evaluation.compare_desk import class_colours, shown_tile, truth_address
from core.tables import Tile
from pages.components.class_palette import screen_palette
from pages.components.module_loader import MODULE_LOADER

_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components" / "compare"
_MODULE = "/assets/components/compare/main.js"

__all__ = ["Panel", "image_panels", "panel_data", "truth_address"]

_mount = st.components.v2.component(
    "tilewright_compare",
    html='<div class="tw-compare" aria-label="Panels side by side"></div>',
    css=(_ASSETS / "compare.css").read_text(),
    js=MODULE_LOADER,
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its short name on the toggle, its title, and what is drawn over the image.

    ``raster`` and ``errors`` need ``address``, a mask in DeepGlobe's palette, whatever the screen's is; ``difference``
    needs ``a`` and ``b``.
    ``off`` leaves the panel out until somebody switches it on.
    """

    name: str
    title: str
    kind: Literal["image", "raster", "errors", "difference"]
    detail: str = ""
    address: str | None = None
    a: str | None = None
    b: str | None = None
    off: bool = False


def image_panels(tile: Tile, panels: Sequence[Panel], *, height: int = 420, key: str) -> None:
    """Show the panels, each ``height`` CSS pixels high; with the same ``key`` the view stays as long as the tile."""
    _mount(key=key, data=panel_data(tile, panels, height=height))


def panel_data(tile: Tile, panels: Sequence[Panel], *, height: int) -> dict[str, Any]:
    """What the browser needs to show the panels."""
    return {
        "module": _MODULE,
        "base_url": "",
        "height": height,
        "truth": truth_address(tile),
        "panels": [asdict(panel) for panel in panels],
        "palette": screen_palette(),
        "classes": class_colours(),
        "tile": shown_tile(tile),
    }
