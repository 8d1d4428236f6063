"""Label: paint land cover on one tile. Every stroke is saved at once."""

from pathlib import Path

import streamlit as st

from core.catalog.catalogue import collections, tile, tiles
from core.errors import InputError
from core.labels import work_status
from core.tables import Tile
from core.workspace import Workspace, open_workspace
from pages.components.label_bar import label_bar
from pages.components.label_desk import Desk, annotator, go, rename
from pages.components.label_mending import places_to_look_at
from pages.components.label_queue import chosen_queue
from pages.components.paint_canvas import paint_canvas

HERE = Path(__file__).resolve().parent
_CURRENT = "label_current"  # survives a visit to another page; the address does not
_AHEAD = 3


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
    desk = Desk(workspace, current, annotator(), is_opinion=st.query_params.get("opinion") == "1")
    label_bar(desk)
    places = places_to_look_at(desk)
    work = work_status.work(workspace, current.id)
    paint_canvas(
        current,
        height=1400,
        revision=work_status.sequence(workspace, current.id, desk.opinion),
        ahead=[place.tile.id for place in chosen_queue(desk).places[:_AHEAD]],
        opinion=desk.is_opinion,
        work=f"{work.status}\n{work.comment}",
        places=places,
        on_opinion=lambda is_opinion: go(current.id, opinion=is_opinion),
        on_annotator=rename,
        key="paint",
    )


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


page()
