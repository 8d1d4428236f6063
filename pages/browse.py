"""Browse: a collection as a map, on the globe, as a gallery, as figures, and how it is split.

What is chosen lives in the address (collection, view, filters, tile), so a view can be bookmarked and shared.
"""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from core.catalog.catalogue import collections, problems, tile
from core.catalog.filter_outside import outside
from core.catalog.tile_filter import TileFilter
from core.catalog.tile_table import TileTable, tile_table
from core.errors import InputError
from core.tables import Collection, Tile
from core.workspace import Workspace, open_workspace
from pages.components.browse_address import show
from pages.components.browse_detail import collection_panel, tile_panel
from pages.components.browse_explore import view as explore
from pages.components.browse_filters import active_filters, choose_filter
from pages.components.browse_gallery import view as gallery
from pages.components.browse_geographic import view as geographic
from pages.components.browse_map import view as tile_map
from pages.components.browse_splits import view as splits
from pages.components.browsing import Browsing, open_tile, opened_id
from pages.components.folder_gone import folder_is_gone
from pages.components.predict_card import predict_card
from pages.components.predict_kept import import_form, kept_predictions
from pages.components.problems import problem_table

HERE = Path(__file__).resolve().parent

VIEWS: dict[str, Callable[[Browsing], None]] = {
    "Map": tile_map,
    "Geographic": geographic,
    "Gallery": gallery,
    "Explore": explore,
    "Splits": splits,
}
# Views of tiles: these have the filter, the panel of the open tile beside them, and predictions below. The number is
# how much of the width they take. (No docstring: Streamlit would show it.)
_WITH_PANEL = {"Map": 0.62, "Geographic": 0.62, "Gallery": 0.7}

# One row for what names the page, the collection and the view. The panel stays in sight beside a long gallery; below
# this width it goes under the map: beside it, both would be too small to be of use.
_STYLE = """<style>
.st-key-browse_header h1 { padding: 0 .5rem 0 0; font-size: 1.9rem }
.st-key-browse_split [data-testid="stColumn"]:last-child { position: sticky; top: 3.2rem; align-self: flex-start;
  max-height: calc(100vh - 4rem); overflow-y: auto }
@media (max-width: 1150px) {
.st-key-browse_split > div > [data-testid="stHorizontalBlock"], .st-key-browse_split > [data-testid="stHorizontalBlock"]
{ flex-wrap: wrap; }
.st-key-browse_split [data-testid="stColumn"] { min-width: 100%; }
.st-key-browse_split [data-testid="stColumn"]:last-child { position: static; max-height: none } }</style>"""


def page() -> None:
    """The whole page."""
    workspace = open_workspace()
    known = collections(workspace)
    if not known:
        st.title("Browse")
        st.info("No tiles yet: open a folder, upload a zip, or draw the sample.", icon=":material/photo_library:")
        st.page_link(HERE / "start.py", label="Go to Start", icon=":material/home:")
        return
    st.html(_STYLE)
    linked = _linked_tile(workspace)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="browse_header"):
        st.title("Browse", anchor=False, width="content")
        collection = _choose_collection(known, linked)
        view = _choose_view()
    folder_is_gone(workspace, collection, key="browse")
    table = tile_table(workspace, collection)
    if view not in _WITH_PANEL:
        VIEWS[view](_browsing(workspace, collection, table, TileFilter(), linked))
        return
    _tiles(workspace, collection, view, linked.id if linked else None)
    _predictions(workspace, collection, table, linked)
    _show_problems(workspace, collection)


@st.fragment
def _tiles(workspace: Workspace, collection: Collection, view: str, drawn: int | None) -> None:
    """The filter, the view and the panel: a change of the filter runs nothing else of the page.

    ``drawn`` is the tile that the page was drawn with: what else names the open tile follows another one.
    """
    linked = _linked_tile(workspace)
    if drawn != (linked.id if linked else None):
        st.rerun()
    table = tile_table(workspace, collection)
    browsing = _browsing(
        workspace, collection, table, choose_filter(workspace, table, ordered=view == "Gallery"), linked
    )
    active_filters(browsing)
    with st.container(key="browse_split"):
        left, right = st.columns([_WITH_PANEL[view], 1 - _WITH_PANEL[view]], gap="medium")
    with left:
        VIEWS[view](browsing)
    with right:
        if browsing.opened is None:
            collection_panel(browsing)
        else:
            tile_panel(browsing, browsing.opened)


def _browsing(
    workspace: Workspace, collection: Collection, table: TileTable, wanted: TileFilter, linked: Tile | None
) -> Browsing:
    opened = linked if linked and linked.collection_id == collection.id else None
    beside = outside(workspace, table, wanted)
    return Browsing(workspace, collection, table, wanted, wanted.passing(table, beside), opened, beside)


def _predictions(workspace: Workspace, collection: Collection, table: TileTable, linked: Tile | None) -> None:
    """Predict, what is kept, and the import, under the view; only the tab that is open is worked out."""
    opened = linked if linked and linked.collection_id == collection.id else None
    st.subheader("Predictions", anchor="predictions")
    start, kept, take = st.tabs(
        ["Predict", "Kept predictions", "Import predictions"], key="browse_predictions", on_change="rerun"
    )
    if start.open:
        with start:
            predict_card(workspace, collection, table.rows, opened)
    if kept.open:
        with kept:
            kept_predictions(workspace, collection)
    if take.open:
        with take:
            import_form(workspace, collection)


def _choose_collection(known: list[Collection], linked: Tile | None) -> Collection:
    """The collection of the address, else of its tile, else the one indexed last."""
    names = _unique_names(known)
    asked = st.query_params.get("collection")
    by_tile = names.get(linked.collection_id) if linked else None
    st.session_state["collection"] = asked if asked in names.values() else by_tile or names[known[0].id]
    name = st.selectbox(
        "Collection",
        list(names.values()),
        key="collection",
        label_visibility="collapsed",
        on_change=lambda: show(collection=st.session_state["collection"], tile=None, page=None, alike=None),
        width=200,
    )
    return next(c for c in known if names[c.id] == name)


def _choose_view() -> str:
    asked = st.query_params.get("view")
    st.session_state["view"] = asked if asked in VIEWS else next(iter(VIEWS))
    return str(
        st.segmented_control(
            "View",
            list(VIEWS),
            required=True,
            key="view",
            label_visibility="collapsed",
            on_change=lambda: show(view=st.session_state["view"]),
        )
    )


def _unique_names(known: list[Collection]) -> dict[int, str]:
    """A name for each collection; folders of the same name are told apart by their number."""
    names = [collection.name for collection in known]
    return {c.id: c.name if names.count(c.name) == 1 else f"{c.name} ({c.id})" for c in known}


def _show_problems(workspace: Workspace, collection: Collection) -> None:
    found = problems(workspace, collection.id)
    if found:
        with st.expander(f"{len(found)} things to know about these files", icon=":material/report:"):
            problem_table(found)


def _linked_tile(workspace: Workspace) -> Tile | None:
    """The tile that the address names, if the workspace has it."""
    selected = opened_id()
    if selected is None:
        return None
    try:
        return tile(workspace, selected)
    except InputError as error:
        st.warning(str(error), icon=":material/link_off:")
        open_tile(None)
        return None


page()
