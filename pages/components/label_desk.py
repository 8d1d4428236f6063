"""Who labels what in this run of the Label page, and how its components move to another tile.

The address says which tile is open and whether it is one's second opinion, so a reload and a link lead to the same.
"""

from dataclasses import dataclass
from urllib.parse import unquote

import streamlit as st

from core.labels.annotators import annotator_name
from core.labels.work_status import Status
from core.tables import Tile
from core.workspace import Workspace

COOKIE = "tilewright_annotator"
"""Set by the canvas (``assets/components/paint/person.js``), percent-encoded."""

_NAME = "label_annotator"

STATUS_ICONS = {
    Status.NEW: ":material/radio_button_unchecked:",
    Status.IN_WORK: ":material/edit:",
    Status.DONE: ":material/check:",
    Status.APPROVED: ":material/verified:",
    Status.SENT_BACK: ":material/undo:",
}
STATUS_COLOURS = {
    Status.NEW: "gray",
    Status.IN_WORK: "blue",
    Status.DONE: "green",
    Status.APPROVED: "green",
    Status.SENT_BACK: "orange",
}


QUEUE_OPEN, PEOPLE_OPEN, FILES_OPEN = _PANELS = ("label_queue_open", "label_people_open", "label_files_open")
"""In the session: whether each panel of the bar is open."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The open tile, who labels it, and whether it is their second opinion instead of the tile's labels."""

    workspace: Workspace
    tile: Tile
    annotator: str
    is_opinion: bool

    @property
    def opinion(self) -> str:
        """The name of the sheet: empty for the tile's labels."""
        return self.annotator if self.is_opinion else ""


def annotator() -> str:
    """The name that this browser's person gave on the canvas; 'local' where none was given."""
    # The cookies are those of the moment when the page was loaded; a name given since then is in the session.
    given = st.session_state.get(_NAME)
    return annotator_name(given if given is not None else unquote(st.context.cookies.get(COOKIE, "")))


def rename(name: str) -> None:
    """Go on as ``name``, which was just given on the canvas."""
    st.session_state[_NAME] = name


def go(tile_id: int, *, opinion: bool = False, reason: str | None = None) -> None:
    """Open a tile with the next run, with the panels closed; ``reason`` is then shown above it."""
    st.query_params["tile"] = str(tile_id)
    if opinion:
        st.query_params["opinion"] = "1"
    elif "opinion" in st.query_params:
        del st.query_params["opinion"]
    st.session_state["label_reason"] = (tile_id, reason)
    for panel in _PANELS:
        st.session_state[panel] = False


def follow(desk: Desk) -> None:
    """Run the whole page anew where a callback of a fragment has moved on: a fragment alone would stay behind."""
    moved = st.query_params.get("tile") != str(desk.tile.id)
    if moved or (st.query_params.get("opinion") == "1") != desk.is_opinion:
        st.rerun()
