"""Label: paint land cover on one tile. Every stroke is saved at once."""

from pathlib import Path

import streamlit as st

from core.catalog.catalogue import collection, collections, labelled_tile_ids, tile, tiles
from core.errors import InputError
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from pages.components.paint_canvas import paint_canvas
from pages.components.synthetic import synthetic_note

HERE = Path(__file__).resolve().parent
_CURRENT = "label_current"  # survives a visit to another page; the address does not


def page() -> None:
    """The whole page."""
    workspace = open_workspace()
    current = _current_tile(workspace)
    if current is None:
        st.title("Label")
        st.info("There are no tiles yet. Open a folder or the sample on the Start page.", icon=":material/folder_open:")
        st.page_link(HERE / "start.py", label="Go to Start", icon=":material/home:")
        return
    st.session_state[_CURRENT] = current.id
    st.query_params["tile"] = str(current.id)
    _bar(workspace, current)
    paint_canvas(current, height=760, key="paint")


def _current_tile(workspace: Workspace) -> Tile | None:
    """The tile that the address names, else the one of the last visit, else the first; None where there is none."""
    asked = st.query_params.get("tile")
    for tile_id in (asked, st.session_state.get(_CURRENT)):
        try:
            if tile_id is not None:
                return tile(workspace, int(tile_id))
        except (InputError, ValueError, OverflowError):
            if tile_id == asked:
                st.warning("The tile in the address is not in this workspace; choose another from the list.")
    for found in collections(workspace):
        if members := tiles(workspace, found.id):
            return members[0]
    return None


def _bar(workspace: Workspace, current: Tile) -> None:
    """One line above the canvas: which tile, the next one, and on to training."""
    home = collection(workspace, current.collection_id)
    members = tiles(workspace, home.id)
    names = {member.id: member.name for member in members}
    labelled = labelled_tile_ids(workspace, home.id)
    ids = list(names)
    at = ids.index(current.id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("#### Label", width="content")
        _choose_collection(workspace, current)
        _step_button("Previous", ":material/chevron_left:", ids[at - 1] if at > 0 else None)
        st.session_state["label_pick"] = current.id
        st.selectbox(
            "Tile",
            ids,
            key="label_pick",
            width=240,
            label_visibility="collapsed",
            format_func=lambda tile_id: f"{names[tile_id]}{'  ·  labelled' if tile_id in labelled else ''}",
            on_change=lambda: _go(st.session_state["label_pick"]),
        )
        _step_button("Next", ":material/chevron_right:", ids[at + 1] if at + 1 < len(ids) else None)
        st.caption(f"{at + 1} of {len(ids)}  ·  {len(labelled)} labelled  ·  {current.split}", width="content")
        synthetic_note(home)
        st.space("stretch")
        st.page_link(
            HERE / "train.py", label="Train on these labels", icon=":material/model_training:", width="content"
        )


def _choose_collection(workspace: Workspace, current: Tile) -> None:
    """A list of the collections, where there is more than one."""
    known = {found.id: found.name for found in collections(workspace)}
    if len(known) < 2:
        return
    st.session_state["label_collection"] = current.collection_id
    st.selectbox(
        "Collection",
        list(known),
        key="label_collection",
        width=200,
        label_visibility="collapsed",
        format_func=lambda collection_id: known[collection_id],
        on_change=lambda: _go_to_collection(workspace, st.session_state["label_collection"]),
    )


def _go_to_collection(workspace: Workspace, collection_id: int) -> None:
    if members := tiles(workspace, collection_id):
        _go(members[0].id)


def _step_button(label: str, icon: str, tile_id: int | None) -> None:
    st.button(label, icon=icon, type="tertiary", disabled=tile_id is None, on_click=_go, args=(tile_id,))


def _go(tile_id: int) -> None:
    st.query_params["tile"] = str(tile_id)


page()
