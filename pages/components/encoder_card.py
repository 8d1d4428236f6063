"""Choosing an encoder by name, and the card that says what it is before it is used."""

import streamlit as st

from models.encoders import EncoderCard, encoder_card, encoder_names, measure_encoder
from models.errors import ModelError
from pages.components.problems import plain

FILE = "a .safetensors file: type its path"
MEASURED_SIDE = 512
_FALLBACK_SOURCES = ("packaged", "hub")


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
    sources = (*(card.weights_sources if card else _FALLBACK_SOURCES), "none")
    current = st.session_state[key]
    options = sources if current in sources else (*sources, current)
    words = {"packaged": "packaged: installed here", "hub": "hub: asks the network", "none": "none: random, for tests"}
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
    """Parameters, strides, the weights' source and licence, and how long it takes here where that was measured."""
    try:
        card = _card(name)
    except ModelError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    facts = [
        f"**{card.parameters / 1e6:.1f} million** parameters",
        f"{len(card.strides)} stages of stride {', '.join(map(str, card.strides))}",
        f"weights: {', '.join(card.weights_sources)}",
        f"licence: {plain(card.licence)}",
    ]
    measured = _measured()
    if name in measured:
        facts.append(f"**{measured[name]:.0f} ms** here for {MEASURED_SIDE} × {MEASURED_SIDE} pixels")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(":small[" + " · ".join(facts) + "]", width="stretch")
        if name not in measured and st.button("Measure here", icon=":material/timer:", key="encoder_measure"):
            _measure(name)
    if weights in _FALLBACK_SOURCES and weights not in card.weights_sources:
        st.warning(
            f"{plain(name)} has no {weights} weights; choose {' or '.join(card.weights_sources)}, or a file.",
            icon=":material/warning:",
        )
    elif weights == "hub":
        st.caption("Its weights are fetched from the network when training begins, and kept for the next time.")


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
