"""What of Browse lives in the address: the filter, the page of the gallery, the view and the open tile.

The address is the truth. Widgets show what it says and change nothing but it, so a link typed, a widget touched and
the browser's own back and forward all lead the same way. One change is one step back.
"""

import streamlit as st

from core.catalog.tile_filter import FILTER_KEYS, TileFilter, from_query

_PAGE = "page"


def filter_now() -> TileFilter:
    """The filter that the address asks for; parts that make no sense are left out."""
    return from_query(st.query_params)[0]


def show_filter(wanted: TileFilter, **others: str | None) -> None:
    """Ask for another filter, from its first page on; ``others`` are set beside it, None takes one out."""
    kept = {key: value for key, value in st.query_params.items() if key not in (*FILTER_KEYS, _PAGE)}
    _write({**kept, **wanted.to_query(), **others})


def show_page(number: int) -> None:
    """Turn to a page of the gallery, from 1."""
    _write({**st.query_params.to_dict(), _PAGE: str(number) if number > 1 else None})


def show(**others: str | None) -> None:
    """Set parts of the address that are no filter; None takes one out."""
    _write({**st.query_params.to_dict(), **others})


def page_now(pages: int) -> int:
    """The page that the address asks for, from 1, at most ``pages``."""
    text = st.query_params.get(_PAGE, "")
    number = int(text) if text.isdecimal() and len(text) < 8 else 1
    return min(max(number, 1), max(pages, 1))


def _write(query: dict[str, str | None]) -> None:
    """All at once: the browser keeps one step of its history."""
    wanted = {key: value for key, value in query.items() if value}
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
