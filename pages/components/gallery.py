"""A grid of tile cards: picture, name, split, class shares. Cards are links, reachable by keyboard, and can be chosen.

The component lies in ``assets/components/gallery``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core.tables import Tile
from pages.components.class_palette import screen_colours

PAGE_SIZE = 60
_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "components" / "gallery"
_SIZES = (256, 512)  # pixels: for plain screens and for dense ones

_mount = st.components.v2.component(
    "tilewright_gallery",
    html='<div class="gallery"></div>',
    css=(_ASSETS / "gallery.css").read_text(),
    js=(_ASSETS / "gallery.js").read_text(),
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of the gallery: its number of so many, the open tile, which of its tiles are selected, as of ``turn``.

    ``title`` is what a screen reader is told of it; ``opacity``, 0 to 1, is of what lies over the pictures;
    ``likeness`` says whether cards offer to find what looks like them.
    """

    number: int
    pages: int
    title: str
    opened: int | None
    marked: Sequence[int]
    turn: int
    opacity: float
    likeness: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """What to call: with the tile that was opened, or is to be compared with; the page; what is selected now."""

    opened: Callable[[int], None]
    like: Callable[[int], None]
    leaf: Callable[[int], None]
    marked: Callable[[dict[str, Any]], None]


def gallery(cards: Sequence[dict[str, Any]], leaf: Leaf, answers: Answers, *, key: str) -> None:
    """Show the cards of one page."""
    data = {
        "cards": list(cards),
        "figured": any(card["figures"] for card in cards),
        "page": leaf.number,
        "pages": leaf.pages,
        "title": leaf.title,
        "selected": leaf.opened,
        "marked": list(leaf.marked),
        "turn": leaf.turn,
        "opacity": leaf.opacity,
        "likeness": leaf.likeness,
        "colours": screen_colours(),
    }

    def told(name: str, take: Callable[[Any], None]) -> Callable[[], None]:
        return lambda: take(getattr(st.session_state[key], name))

    _mount(
        key=key,
        data=data,
        on_open_change=told("open", answers.opened),
        on_like_change=told("like", answers.like),
        on_leaf_change=told("leaf", answers.leaf),
        on_marked_change=told("marked", answers.marked),
    )


def card(
    tile: Tile,
    *,
    labelled: bool,
    shares: Sequence[float] | None,
    badge: str | None,
    overlay: str | None,
    figures: Sequence[str],
) -> dict[str, Any]:
    """What the browser needs to draw one card: ``overlay`` is the address of what lies over the picture."""
    picture = f"/tiles/{tile.id}/thumbnail.jpg?size={{}}&v={tile.fingerprint}"
    return {
        "id": tile.id,
        "name": tile.name,
        "href": f"/browse?tile={tile.id}",
        "images": [(picture.format(size), size) for size in _SIZES],
        "mask": overlay,
        "split": tile.split,
        "status": status(tile, labelled=labelled),
        "shares": shares,
        "badge": badge,
        "figures": list(figures),
    }


def status(tile: Tile, *, labelled: bool) -> str:
    """A tile's label status in words."""
    if labelled:
        return "labelled here"
    return "mask given" if tile.mask_path else "no labels yet"
