"""The paint canvas: one tile at full resolution, and the tools to label it.

The component lives in ``assets/components/paint``: plain JavaScript modules, which the browser fetches from our own
server. Painting never goes through Streamlit: the canvas sends each stroke straight to ``core/labels/routes.py``, so
that a brush does not wait for a page to rerun.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.catalog.pyramid import max_zoom
from core.classes import CLASSES
from core.labels.instances import MARKS
from core.screen_colours import SAFE
from core.tables import Tile
from pages.components.class_palette import screen_palette
from pages.components.module_loader import MODULE_LOADER

_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components" / "paint"
_MODULE = "/assets/components/paint/main.js"

_mount = st.components.v2.component(
    "tilewright_paint",
    html='<div class="tw-paint" aria-label="Paint canvas"></div>',
    css=(_ASSETS / "paint.css").read_text(),
    js=MODULE_LOADER,
)


def paint_canvas(
    tile: Tile,
    *,
    base_url: str = "",
    height: int = 700,
    revision: int = 0,
    ahead: Sequence[int] = (),
    opinion: bool = False,
    work: str = "",
    places: Mapping[str, Any] | None = None,
    on_opinion: Callable[[bool], None] | None = None,
    on_annotator: Callable[[str], None] | None = None,
    key: str,
) -> None:
    """Show the canvas on a tile.

    With the same ``key`` the canvas stays when the tile changes, and keeps tool, class and brush.

    Args:
        tile: the tile to label.
        base_url: what comes before our routes, where the app is served below a path (``/tilewright``, say).
        height: of the whole canvas, in CSS pixels, at most; it shrinks to a smaller window.
        revision: the sequence of the tile's labels, where the page has changed them: the canvas fetches them anew when
            it shows older ones.
        ahead: the tiles that will be labelled next; the server makes what the tools need on them meanwhile.
        opinion: show the annotator's own second opinion instead of the tile's labels.
        work: how far the tile is, in the words that the page shows; the canvas runs the page anew when the server says
            otherwise, so that the page need not look again by itself.
        places: what was sent to be mended on the tile: ``boxes`` to frame, the one to ``look`` at, and a ``turn`` that
            is another one whenever it shall be looked at (again).
        on_opinion: called where the user changes from one to the other in the canvas, with what ``opinion`` is then.
        on_annotator: called with the name where the user gives another one in the canvas.
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
                {"index": c.index, "name": c.name, "colour": list(c.colour), "safe": list(safe), "meaning": c.meaning}
                for c, safe in zip(CLASSES, SAFE, strict=True)
            ],
            "revision": revision,
            "ahead": list(ahead),
            "opinion": opinion,
            "work": work,
            "places": places,
            "palette": screen_palette(),
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
        on_opinion_change=lambda: _tell(on_opinion, key, "opinion"),
        on_annotator_change=lambda: _tell(on_annotator, key, "annotator"),
        on_work_change=lambda: None,  # to be told is to run anew
    )


def _tell(listener: Callable[[Any], None] | None, key: str, trigger: str) -> None:
    """Hand what the canvas said in a trigger on to the page, if it wants to hear it."""
    said = st.session_state[key][trigger]
    if listener is not None and said is not None:
        listener(said)
