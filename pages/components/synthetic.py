"""The badge that every page shows where it shows synthetic tiles."""

import streamlit as st

from core.tables import Collection


def synthetic_note(collection: Collection) -> None:
    """Say 'synthetic sample' when the tiles of a collection were drawn by us."""
    if collection.synthetic:
        st.badge("synthetic sample", icon=":material/draw:", color="orange")
