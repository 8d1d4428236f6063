"""The desk of Compare: tile, both sides with their switches, panels and figures of one tile, in one component.

It lies in ``assets/components/compare`` and speaks to ``core/evaluation/compare_routes.py`` by itself, so that neither
a switch nor the next tile waits for the page. The page is told what is looked at once it stands still.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import streamlit as st

from core.inference.crf import CrfParameters
from core.inference.guided_filter import GuidedParameters
from core.tables import Collection
from pages.components.class_palette import screen_palette
from pages.components.module_loader import MODULE_LOADER
from pages.components.switches import REFINEMENT_WORDS, TTA_WORDS

HEIGHT = 400
"""Of a panel, in CSS pixels, at most: with it the switches and the panels fit on a screen of 768."""

_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components" / "compare"

# Fetched all at once, and not one after another as each names the next.
_AHEAD = "".join(
    f'<link rel="modulepreload" href="/assets/components/{module}">'
    for module in [
        *(f"compare/{path.name}" for path in sorted(_ASSETS.glob("*.js")) if path.name != "main.js"),
        *(f"paint/{name}.js" for name in ("image_adjustment", "palettes", "pyramid", "view")),
    ]
)

_mount = st.components.v2.component(
    "tilewright_compare_desk",
    html=_AHEAD + '<div class="tw-compare" aria-label="Compare"></div>',
    css=(_ASSETS / "compare.css").read_text(),
    js=MODULE_LOADER,
)


def compare_desk(collection: Collection, *, start: dict[str, Any], key: str) -> dict[str, Any] | None:
    """Show the desk on a collection; gives back what is looked at, as ``compare_view.parse_view`` reads it.

    ``start`` is what to begin with where the page's address does not say; None comes back until the desk stands.
    """
    shown = _mount(
        key=key,
        data={
            "module": "/assets/components/compare/desk.js",
            "collection": collection.id,
            "height": HEIGHT,
            "start": start,
            "palette": screen_palette(),
            "words": {
                "tta": TTA_WORDS,
                "refinement": REFINEMENT_WORDS,
                "parameters": {"crf": asdict(CrfParameters()), "guided": asdict(GuidedParameters())},
            },
        },
        default={"view": None},
        on_view_change=lambda: None,  # to be told is to run anew
    )
    view: dict[str, Any] | None = shown["view"]
    return view
