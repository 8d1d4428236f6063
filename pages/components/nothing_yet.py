"""What a page of results says before there is anything to judge, and the way to what is missing."""

from pathlib import Path

import streamlit as st

_PAGES = Path(__file__).resolve().parents[1]


def nothing_yet(*, has_tiles: bool) -> None:
    """Lead to Train where only a run is missing, else to Start."""
    if has_tiles:
        st.info("No run yet: train one, then judge it here.", icon=":material/model_training:")
        st.page_link(_PAGES / "train.py", label="Go to Train", icon=":material/model_training:")
    else:
        st.info("No tiles yet: open a folder or the sample first.", icon=":material/info:")
        st.page_link(_PAGES / "start.py", label="Go to Start", icon=":material/home:")
