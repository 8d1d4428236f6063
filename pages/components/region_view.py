"""Regions of a tile, outlined on its image at full resolution, with a list to go to each of them.

The component lies in ``assets/components/regions``. Going to a region happens in the browser: no rerun.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.evaluation.compare_desk import shown_tile
from core.evaluation.error_regions import BORDER, Mask, outlined_png
from core.labels.strokes import Box
from core.tables import Tile
from pages.components.module_loader import MODULE_LOADER

_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components" / "regions"
_MODULE = "/assets/components/regions/main.js"
_BORDERS_ACROSS = 200  # a region is so many borders of its outline wide

_mount = st.components.v2.component(
    "tilewright_regions",
    html='<div class="tw-regions" aria-label="Regions of a tile"></div>',
    css=(_ASSETS / "regions.css").read_text(),
    js=MODULE_LOADER,
)


@dataclass(frozen=True, slots=True)
class RegionPanel:
    """One panel: its title, a detail beside it, and the address of a picture of the whole tile to lay over it."""

    title: str
    detail: str = ""
    overlay: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """A picture of outlines, and the box of the tile that it covers."""

    address: str
    box: Box


def outline_of(mask: Mask, box: Box) -> Outline:
    """The outline of one region: ``mask`` (box.height, box.width) within its box."""
    border = max(BORDER, max(box.height, box.width) // _BORDERS_ACROSS)
    png = outlined_png(np.pad(mask, border), tinted=False, border=border)
    address = "data:image/png;base64," + base64.b64encode(png).decode()
    return Outline(address, Box(box.top - border, box.left - border, box.height + 2 * border, box.width + 2 * border))


def region_view(
    tile: Tile,
    panels: Sequence[RegionPanel],
    *,
    outline: Outline | None = None,
    listed: Sequence[tuple[Box, str]] = (),
    focus: Box | None = None,
    height: int = 430,
    key: str,
) -> None:
    """Show the panels under one zoom.

    Args:
        tile: the tile.
        panels: side by side, each ``height`` CSS pixels high.
        outline: drawn over each of them.
        listed: regions to go to, each with its words.
        focus: what is shown at first; the whole tile without it.
        height: of the pictures, in CSS pixels.
        key: of the component; with the same key the view stays as long as the tile does.
    """
    data: dict[str, Any] = {
        "module": _MODULE,
        "height": height,
        "panels": [asdict(panel) for panel in panels],
        "outline": None if outline is None else {"address": outline.address, **asdict(outline.box)},
        "regions": [{**asdict(box), "label": words} for box, words in listed],
        "focus": None if focus is None else asdict(focus),
        "tile": shown_tile(tile),
    }
    _mount(key=key, data=data)
