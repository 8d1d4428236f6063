"""The class legend: one chip a class in its mask colour, with its share where that is known."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.classes import CLASSES
from pages.components.class_palette import screen_colours

_STYLE = """<style>
.tw-legend { display: flex; flex-wrap: wrap; gap: .35rem .9rem; font-size: .86rem; line-height: 1.5; }
.tw-legend > span { display: inline-flex; align-items: center; gap: .4rem; }
.tw-legend i { width: .85em; height: .85em; border-radius: .2em; outline: 1px solid rgba(128, 128, 128, .75); }
.tw-legend b { font-weight: 600; font-variant-numeric: tabular-nums; }
</style>"""
_UNLABELLED_PAINT = "repeating-linear-gradient(45deg, transparent 0 3px, rgba(128,128,128,.6) 3px 4px)"


def class_legend(shares: Sequence[float] | None = None, *, unlabelled: bool = True) -> None:
    """Show the six classes, and unlabelled unless told not to.

    Args:
        shares: the classes' shares of all pixels, 0..1, in class order; what they leave is unlabelled. Classes are
            then listed with the largest first, and those that do not occur are left out.
        unlabelled: whether the chip for unlabelled pixels is shown.
    """
    st.html(_STYLE + legend_html(shares, unlabelled=unlabelled))


def legend_html(shares: Sequence[float] | None = None, *, unlabelled: bool = True) -> str:
    """The legend as HTML, without its style."""
    chips = [
        (c.name, colour, c.meaning, None if shares is None else shares[c.index])
        for c, colour in zip(CLASSES, screen_colours(), strict=True)
    ]
    if unlabelled:
        rest = None if shares is None else max(0.0, 1 - sum(shares))
        chips.append(
            ("unlabelled", _UNLABELLED_PAINT, "unknown, or not labelled yet: never trains and never scores", rest)
        )
    if shares is not None:
        chips = sorted((chip for chip in chips if chip[3] and chip[3] >= 5e-5), key=lambda chip: -(chip[3] or 0))
    return f'<div class="tw-legend" role="list">{"".join(_chip(*chip) for chip in chips)}</div>'


def _chip(name: str, paint: str, meaning: str, share: float | None) -> str:
    figure = "" if share is None else f" <b>{share:.1%}</b>"
    return (
        f'<span role="listitem" title="{escape(meaning)}"><i style="background:{paint}"></i>'
        f"<span>{escape(name)}{figure}</span></span>"
    )
