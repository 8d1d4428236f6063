"""The main script: page configuration, navigation, and the sidebar that every page shares.

It lies in ``pages/`` on purpose. Streamlit runs the files of a ``pages`` folder *beside the main script* raw on a
cold deep link, without shell or navigation; here no such folder lies beside it, so every address comes through.
"""

import contextlib
import importlib
import threading
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from core.errors import InputError
from core.system import system_line
from core.workspace import open_workspace
from pages.components.class_palette import palette_choice
from pages.components.jobs import job_badge

HERE = Path(__file__).resolve().parent
ICON = HERE.parent / "assets" / "icon.svg"
# Half of Streamlit's: on a laptop's screen the pages need the width.
_MARGINS = """<style>@media (min-width: 900px) {
.stMainBlockContainer { padding-left: 2.5rem; padding-right: 2.5rem }
}</style>"""
_START = "Start"
_HEAVY = ("core.training.forecast", "core.inference.store", "pages.components.runs_table")


def shell() -> None:
    """Set up the page, then run the one that the address names."""
    st.set_page_config(page_title="Tilewright", page_icon=str(ICON), layout="wide")
    st.logo(str(HERE.parent / "assets" / "logo.svg"), icon_image=str(ICON), size="large")
    chosen = st.navigation(
        [
            st.Page(HERE / "start.py", title=_START, icon=":material/home:", default=True),
            st.Page(HERE / "browse.py", title="Browse", icon=":material/map:", url_path="browse"),
            st.Page(HERE / "label.py", title="Label", icon=":material/brush:", url_path="label"),
            st.Page(HERE / "train.py", title="Train", icon=":material/model_training:", url_path="train"),
            st.Page(HERE / "evaluate.py", title="Evaluate", icon=":material/analytics:", url_path="evaluate"),
            st.Page(HERE / "compare.py", title="Compare", icon=":material/compare:", url_path="compare"),
        ]
    )
    st.html(_MARGINS)
    with st.sidebar:
        _sidebar()
    _wait_for_libraries(chosen)
    try:
        chosen.run()
    except InputError as error:
        st.error(str(error), icon=":material/error:")


@st.cache_resource(show_spinner=False)
def _loading() -> threading.Thread:
    """The libraries that all pages but Start need, torch before all, begun as soon as anybody opens any page.

    They take seconds once in a server's life. What fails to load is told by the page that needs it.
    """
    thread = threading.Thread(target=_load, name="libraries", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    with contextlib.suppress(ImportError):
        for name in _HEAVY:
            importlib.import_module(name)


def _wait_for_libraries(chosen: StreamlitPage) -> None:
    """The page's name and a sign that it is being loaded, in place of a blank page, the first time."""
    thread, place = _loading(), st.empty()
    if not thread.is_alive() or chosen.title == _START:
        return
    with place.container():
        st.title(chosen.title)
        with st.spinner("Loading what this page works with: once after the server was started ...", show_time=True):
            thread.join()
    place.empty()


def _sidebar() -> None:
    workspace = open_workspace()
    st.caption("Workspace")
    st.markdown(f":material/folder_open: **{workspace.name}**", help=str(workspace.root))
    job_badge(workspace)
    palette_choice(workspace)
    st.caption(system_line().sentence)


shell()
