"""A collection whose folder cannot be read just now: said, looked for again, or found elsewhere."""

from pathlib import Path

import streamlit as st

from core.catalog.discover import check_folder
from core.errors import InputError
from core.tables import Collection
from core.workspace import Workspace
from pages.components.data_in_jobs import begin, folder_title
from pages.components.problems import plain


def folder_is_gone(workspace: Workspace, current: Collection, *, key: str) -> bool:
    """Whether the collection's folder cannot be read just now; if so it is said, with what can be done about it."""
    try:
        check_folder(Path(current.root))
    except InputError as error:
        st.warning(
            f"{plain(str(error).rsplit(';', 1)[0])}: put it back (is its disk plugged in?), or say where it is now. "
            "The tiles and their labels are kept; until then only their small pictures can be shown.",
            icon=":material/folder_off:",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if st.button("Look again", icon=":material/refresh:", key=f"{key}_look_again"):
                st.rerun()
            if st.button("It is elsewhere …", icon=":material/drive_file_move:", key=f"{key}_moved"):
                _moved(workspace, current)
        return True
    return False


def look_for_changes(workspace: Workspace, current: Collection, folder: Path) -> None:
    """Index a collection again, by what is in ``folder``."""
    arguments = ("index", "--data", str(folder), "--collection", str(current.id))
    begin(workspace, title=folder_title(folder), arguments=arguments)
    st.rerun()


@st.dialog("Where is it now?")
def _moved(workspace: Workspace, current: Collection) -> None:
    st.markdown(f"The folder of **{plain(current.name)}** was {plain(current.root)}.")
    folder = st.text_input("Folder on this machine now", key="moved_folder").strip()
    st.caption("It must hold tiles of the same names; they keep their labels, predictions and scores.")
    if not st.button("Use this folder", type="primary", disabled=not folder, icon=":material/folder_open:"):
        return
    try:
        check_folder(Path(folder).expanduser())
        look_for_changes(workspace, current, Path(folder).expanduser().absolute())
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
