"""Choosing an encoder by name, and the card that says what it is before it is used."""

from pathlib import Path

import streamlit as st

from models.encoders import (
    HUB,
    NO_WEIGHTS,
    PACKAGED,
    EncoderCard,
    check_weights_file,
    encoder_card,
    encoder_names,
    hub_files,
    measure_encoder,
)
from models.errors import ModelError
from pages.components.problems import plain

FILE = "a .safetensors file: type its path"
MEASURED_SIDE = 512
_FALLBACK_SOURCES = (PACKAGED, HUB)


def choose_encoder(label: str, *, key: str, help_text: str, weights_key: str) -> None:
    """A box that finds any encoder as one types; ``weights_key`` is the widget that follows the choice."""
    names = _names()
    current = st.session_state[key]
    options = names if current in names else (current, *names)
    st.selectbox(
        label,
        options,
        key=key,
        help=f"{help_text} Type to search {len(names)} names; those with 'tu-' are timm's.",
        accept_new_options=True,
        on_change=_follow,
        args=(key, weights_key),
    )


def choose_weights(label: str, encoder: str, *, key: str, help_text: str) -> None:
    """Where the encoder's weights come from; a path may be typed."""
    card = known_card(encoder)
    sources = (*(card.weights_sources if card else _FALLBACK_SOURCES), NO_WEIGHTS)
    current = st.session_state[key]
    options = sources if current in sources else (*sources, current)
    words = {PACKAGED: "packaged: installed here", HUB: "hub: asks the network", NO_WEIGHTS: "none: random, for tests"}
    st.selectbox(
        label,
        options,
        format_func=lambda source: words.get(source, source),
        key=key,
        help=f"{help_text} For {FILE}.",
        accept_new_options=True,
    )


def known_card(name: str) -> EncoderCard | None:
    """The card of an encoder, None where there is no such name."""
    try:
        return _card(name)
    except ModelError:
        return None


def show_encoder_card(name: str, weights: str) -> None:
    """Parameters, strides, the weights' source, licence and size, and how long it takes here once that was measured."""
    try:
        card = _card(name)
    except ModelError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    facts = [
        f"**{card.parameters / 1e6:.1f} million** parameters",
        f"{len(card.strides)} stages of stride {', '.join(map(str, card.strides))}",
        f"weights: {plain(card.weights_origin)}",
        f"licence: {plain(card.licence)}",
    ]
    measured = _measured()
    if name in measured:
        facts.append(f"**{measured[name]:.0f} ms** here for {MEASURED_SIDE} × {MEASURED_SIDE} pixels")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(":small[" + " · ".join(facts) + "]", width="stretch")
        if name not in measured and st.button("Measure here", icon=":material/timer:", key="encoder_measure"):
            _measure(name)
    if weights == HUB and HUB in card.weights_sources:
        _tell_of_download(card)
    elif weights not in (*_FALLBACK_SOURCES, NO_WEIGHTS):
        _check_file(name, weights)


def _tell_of_download(card: EncoderCard) -> None:
    files = hub_files(card.name)
    if files is not None and not files.missing():
        st.caption(":material/check: Its weights were fetched before and are used from this machine.")
        return
    st.caption(
        f":material/cloud_download: About {card.weights_bytes / 1e6:.0f} MB are fetched once from "
        f"{plain(card.weights_origin)}, when training or its forecast begins. The job shows how far it is; cancelling "
        "it leaves nothing behind."
    )


def _check_file(name: str, weights: str) -> None:
    """Whether a file of weights fits, before anything is started; the form tells of one that is not there."""
    path = Path(weights)
    if not path.is_file():
        return
    problem = _file_problem(name, weights, path.stat().st_mtime_ns)
    if problem:
        st.error(plain(problem), icon=":material/error:")
    else:
        st.caption(":material/check: The file fits this encoder.")


@st.cache_data(show_spinner="Trying the weights ...", max_entries=16)
def _file_problem(name: str, weights: str, changed: int) -> str | None:  # noqa: ARG001
    try:
        check_weights_file(name, Path(weights))
    except ModelError as error:
        return str(error)
    return None


def _measure(name: str) -> None:
    try:
        with st.spinner(f"Timing {plain(name)} ..."):
            _measured()[name] = measure_encoder(name, MEASURED_SIDE)
    except ModelError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.rerun()


@st.cache_resource(show_spinner=False)
def _measured() -> dict[str, float]:
    """Milliseconds by encoder, as they were measured while this server runs."""
    return {}


def _follow(key: str, weights_key: str) -> None:
    """Another encoder: its own source of weights, unless a file was chosen."""
    card = known_card(str(st.session_state[key]))
    current = st.session_state.get(weights_key)
    if card and current in _FALLBACK_SOURCES:
        st.session_state[weights_key] = card.weights_sources[0]


@st.cache_resource(show_spinner="Reading the names of all encoders ...")
def _names() -> tuple[str, ...]:
    return encoder_names()


@st.cache_resource(show_spinner="Looking at the encoder ...", max_entries=64)
def _card(name: str) -> EncoderCard:
    return encoder_card(name)
