"""The colours that classes have on the pages: chosen in the sidebar, kept for the session and in the workspace."""

import streamlit as st

from core.screen_colours import Palette, hex_colours, keep_palette, kept_palette
from core.workspace import Workspace

_KEY = "screen_palette"
_NAMES = {Palette.DEEPGLOBE: "DeepGlobe", Palette.SAFE: "Safe"}


def palette_choice(workspace: Workspace) -> None:
    """The widget in the sidebar."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = kept_palette(workspace)
    st.segmented_control(
        "Class colours",
        list(Palette),
        format_func=lambda palette: _NAMES[palette],
        required=True,
        key=_KEY,
        on_change=lambda: keep_palette(workspace, st.session_state[_KEY]),
        help="Safe: told apart by colour-blind eyes too. On the screen only: masks on disk keep DeepGlobe's colours. "
        "On Label's canvas, K changes them too.",
    )


def screen_palette() -> Palette:
    """The palette that this session shows classes in."""
    return Palette(st.session_state.get(_KEY, Palette.DEEPGLOBE))


def screen_colours() -> list[str]:
    """``#rrggbb`` by class index, in that palette."""
    return hex_colours(screen_palette())


def in_palette(address: str) -> str:
    """The address of a mask or of its map tiles, asked for in that palette."""
    palette = screen_palette()
    if palette is Palette.DEEPGLOBE:
        return address
    return f"{address}{'&' if '?' in address else '?'}palette={palette}"
