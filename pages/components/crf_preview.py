"""Try the refinements' parameters on a piece of a tile: sliders, and the piece before and after, at once.

The preview is a fragment: a slider draws it anew and leaves the rest of the page alone. What is found good is taken
over with a button; ``with_chosen`` then puts it into the page's switches.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import streamlit as st

from core.classes import CLASSES
from core.errors import InputError
from core.inference.crf import CRF_LIMITS, CrfParameters
from core.inference.guided_filter import GUIDED_LIMITS, GuidedParameters
from core.inference.limits import Limit
from core.inference.preview import Piece, cut, least_sure_places, picture, try_switches
from core.inference.switches import Switches
from core.inference.tile_prediction import MeanLook, open_tile
from core.tables import Tile
from pages.components.class_palette import screen_palette
from pages.components.legend import class_legend
from pages.components.problems import plain

PLACES = 8
AREAS = (0, 50, 100, 200, 400, 900, 1600, 2500, 5000, 10_000, 25_000)
"""Smallest regions to choose from, in square metres."""

_CRF_WORDS = {
    "bilateral_metres": ("Reach among like colours (m)", 150),
    "bilateral_grey_levels": ("Like colours, grey levels", 60),
    "bilateral_weight": ("Pull among like colours", 20),
    "smooth_metres": ("Reach among neighbours (m)", 20),
    "smooth_weight": ("Pull among neighbours", 20),
    "iterations": ("Iterations", 20),
}
_GUIDED_WORDS = {"radius_metres": ("Radius (m)", 50), "edge_grey_levels": ("Edges that stay, grey levels", 40)}
"""What a slider is called and where it ends, short of what is allowed: what lies beyond is of use to few."""


def with_chosen(switches: Switches, *, key: str) -> Switches:
    """The switches with the parameters that were taken over from the preview of the same ``key``, where any were."""
    chosen: Switches | None = st.session_state.get(_chosen_key(key))
    if chosen is None:
        return switches
    return replace(switches, crf=chosen.crf, guided=chosen.guided, class_regions=chosen.class_regions)


@st.fragment
def crf_preview(tile: Tile, said: Callable[[], MeanLook], *, version: str, switches: Switches, key: str) -> None:
    """A piece of ``tile`` before and after ``switches`` (as ``with_chosen`` gives them), with sliders for what they do.

    ``said`` gives what the networks say of the tile; it is asked once for each ``version``, which tells that from what
    other networks, or the same on other views, would say.
    """
    left, right = st.columns([1, 2.6], gap="large")
    try:
        with left:
            tried = _sliders(switches, key=key)
        with right:
            _before_and_after(_piece_to_show(tile, said, version, key=key), tried, key=key)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    with left:
        _buttons(tried, key=key)


def _piece_to_show(tile: Tile, said: Callable[[], MeanLook], version: str, *, key: str) -> Piece:
    number = st.session_state.setdefault(f"{key}_place", 0)
    with st.spinner("Asking the model about this tile ...", show_time=True):
        return _piece(tile.image_path, tile.fingerprint, version, number, said)


@st.cache_data(show_spinner=False, max_entries=8)
def _piece(image_path: str, fingerprint: str, version: str, number: int, _said: Callable[[], MeanLook]) -> Piece:  # noqa: ARG001
    """The piece with that ``number``, the least sure first; what else is given only tells it from others."""
    said = _said()
    places = least_sure_places(said.probabilities, count=PLACES)
    return cut(said, open_tile(Path(image_path)), places[number % len(places)])


def _before_and_after(piece: Piece, switches: Switches, *, key: str) -> None:
    tried = try_switches(piece, switches)
    shown = (
        ("Image", picture(piece, None)),
        ("Before", picture(piece, tried.before, screen_palette())),
        ("After", picture(piece, tried.after, screen_palette())),
    )
    for column, (title, pixels) in zip(st.columns(3, gap="small"), shown, strict=True):
        column.image(pixels, caption=title, width="stretch")
    class_legend(unlabelled=bool(switches.abstain))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Elsewhere",
            icon=":material/explore:",
            key=f"{key}_elsewhere",
            on_click=_elsewhere,
            args=(key,),
            help="Another piece of the tile, one of those of which the model is least sure",
        )
        st.caption(f"{tried.changed:.1%} of these pixels change, in {tried.seconds:.2f} s.")


def _sliders(switches: Switches, *, key: str) -> Switches:
    """The switches with what the sliders say, under the heading of the refinement that is on."""
    base = switches
    if switches.refinement == "crf":
        st.markdown("**CRF**")
        crf = replace(base.crf, **_numbers(asdict(base.crf), CRF_LIMITS, _CRF_WORDS, key=key))
        base = replace(base, crf=crf)
    elif switches.refinement == "guided":
        st.markdown("**Guided filter**")
        guided = replace(base.guided, **_numbers(asdict(base.guided), GUIDED_LIMITS, _GUIDED_WORDS, key=key))
        base = replace(base, guided=guided)
    else:
        st.caption("Switch the guided filter or the CRF on to set it here.")
    return replace(base, class_regions=_areas(base, key=key))


def _numbers(
    values: Mapping[str, Any], limits: Mapping[str, Limit], words: Mapping[str, tuple[str, int]], *, key: str
) -> dict[str, float | int]:
    """What the sliders of the parameters in ``words`` say."""
    return {
        name: _slider(label, values[name], limits[name], highest=highest, key=f"{key}_{name}")
        for name, (label, highest) in words.items()
    }


def _slider(label: str, value: float, limit: Limit, *, highest: int, key: str) -> float | int:
    """A slider over a parameter's limits, but no further than ``highest``; whole numbers stay whole."""
    whole = type(value)
    st.session_state.setdefault(key, value)
    chosen = st.slider(
        label,
        whole(limit.low),
        whole(max(highest, value)),
        step=whole(limit.step),
        format="%g",
        key=key,
        help=f"{limit.meaning.capitalize()}.",
    )
    return whole(chosen)


def _areas(base: Switches, *, key: str) -> tuple[float, ...]:
    """The smallest region of each class; empty where all are kept."""
    kept = base.class_regions or (0.0,) * len(CLASSES)
    with st.popover("Smallest regions", icon=":material/blur_off:", width="stretch"):
        st.caption("Smaller regions of a class are filled from their neighbours, by what the model finds likeliest.")
        areas = [
            st.select_slider(
                f"{one.name.capitalize()} (m²)",
                sorted({*map(float, AREAS), float(area)}),
                float(area),
                format_func=lambda area: f"{area:g}" if area else "all stay",
                key=f"{key}_area_{one.name}",
            )
            for one, area in zip(CLASSES, kept, strict=True)
        ]
    return tuple(map(float, areas)) if any(areas) else ()


def _buttons(tried: Switches, *, key: str) -> None:
    with st.container(horizontal=True):
        if st.button("Use these", type="primary", icon=":material/check:", key=f"{key}_use"):
            st.session_state[_chosen_key(key)] = tried
            st.rerun()
        st.button("Defaults", icon=":material/restart_alt:", key=f"{key}_defaults", on_click=_to_defaults, args=(key,))


def _to_defaults(key: str) -> None:
    for default in (CrfParameters(), GuidedParameters()):
        for one in fields(default):
            if f"{key}_{one.name}" in st.session_state:
                st.session_state[f"{key}_{one.name}"] = getattr(default, one.name)
    for one in CLASSES:
        st.session_state[f"{key}_area_{one.name}"] = 0.0


def _elsewhere(key: str) -> None:
    st.session_state[f"{key}_place"] = st.session_state.get(f"{key}_place", 0) + 1


def _chosen_key(key: str) -> str:
    return f"{key}_chosen"
