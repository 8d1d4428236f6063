"""Browse: the collection as a map or a gallery; a click opens the tile beside it.

What is chosen lives in the address (collection, view, filters, tile), so a view can be bookmarked and shared.
"""

from pathlib import Path

import streamlit as st

from core.catalog.catalogue import (
    collections,
    count_splits,
    labelled_tile_ids,
    mean_class_shares,
    problems,
    tile,
    tiles,
)
from core.catalog.mosaic import lay_out
from core.catalog.splits import SPLITS
from core.errors import InputError
from core.inference import store
from core.inference.prediction_routes import prediction_url
from core.inference.store_space import kept_groups
from core.inference.switches import Switches
from core.tables import Collection, Tile
from core.workspace import Workspace, open_workspace
from pages.components.gallery import PAGE_SIZE, gallery, status
from pages.components.legend import class_legend
from pages.components.map_layers import choose_map_layer
from pages.components.predict_card import predict_card
from pages.components.predict_kept import import_form, kept_predictions, words
from pages.components.problems import problem_table
from pages.components.synthetic import synthetic_note
from pages.components.tile_map import SPLIT_COLOURS, clicked_tile, tile_map
from pages.components.tile_view import tile_view

HERE = Path(__file__).resolve().parent
SPLIT_NAMES = {"train": "tiles to train on", "val": "to validate on", "test": "kept for the test"}
STATUSES = ("mask given", "labelled here", "no labels yet")

# Below this width the panel goes under the map: beside it, both would be too small to be of use.
_NARROW = """<style>@media (max-width: 1150px) {
.st-key-browse_split > div > [data-testid="stHorizontalBlock"], .st-key-browse_split > [data-testid="stHorizontalBlock"]
{ flex-wrap: wrap; }
.st-key-browse_split [data-testid="stColumn"] { min-width: 100%; } }</style>"""


def page() -> None:
    """The whole page."""
    workspace = open_workspace()
    known = collections(workspace)
    st.title("Browse")
    if not known:
        st.info("No tiles yet: open a folder, upload a zip, or draw the sample.", icon=":material/photo_library:")
        st.page_link(HERE / "start.py", label="Go to Start", icon=":material/home:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        collection = _choose_collection(workspace, known)
        rows = tiles(workspace, collection.id)
        labelled = labelled_tile_ids(workspace, collection.id)
        view, chosen = _filters(rows, labelled)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{len(chosen)} of {len(rows)} tiles" if len(chosen) < len(rows) else f"All {len(rows)} tiles")
        synthetic_note(collection)
    st.html(_NARROW)
    with st.container(key="browse_split"):
        left, right = st.columns([5, 3], gap="medium")
    with left:
        if view == "Gallery":
            _show_gallery(collection, chosen, labelled)
        else:
            _show_map(workspace, collection, rows, chosen)
    with right:
        row = _linked_tile(workspace)
        if row is None or row.collection_id != collection.id:
            _show_collection(collection, rows)
        else:
            _show_detail(workspace, collection, row, labelled=row.id in labelled)
    _predictions(workspace, collection, rows, row if row and row.collection_id == collection.id else None)
    _show_problems(workspace, collection)


def _predictions(workspace: Workspace, collection: Collection, rows: list[Tile], opened: Tile | None) -> None:
    """Predict, what is kept, and the import, under the map."""
    st.subheader("Predictions", anchor="predictions")
    start, kept, take = st.tabs(["Predict", "Kept predictions", "Import predictions"])
    with start:
        predict_card(workspace, collection, rows, opened)
    with kept:
        kept_predictions(workspace, collection)
    with take:
        import_form(workspace, collection)


def _choose_collection(workspace: Workspace, known: list[Collection]) -> Collection:
    """The collection of the address's tile, else the one chosen, else the one indexed last."""
    names = _unique_names(known)
    linked = _linked_tile(workspace)
    if "collection" not in st.session_state and "collection" not in st.query_params:
        owner = linked.collection_id if linked else known[0].id
        st.session_state["collection"] = names[owner]
    name = st.selectbox(
        "Collection", list(names.values()), key="collection", bind="query-params", on_change=_forget_tile, width=200
    )
    return next((c for c in known if names[c.id] == name), known[0])


def _unique_names(known: list[Collection]) -> dict[int, str]:
    """A name for each collection; folders of the same name are told apart by their number."""
    names = [collection.name for collection in known]
    return {c.id: c.name if names.count(c.name) == 1 else f"{c.name} ({c.id})" for c in known}


def _filters(rows: list[Tile], labelled: set[int]) -> tuple[str, list[Tile]]:
    view = st.segmented_control(
        "View", ["Map", "Gallery"], default="Map", required=True, key="view", bind="query-params"
    )
    split = st.segmented_control("Split", SPLITS, key="split", bind="query-params")
    state = st.segmented_control("Labels", STATUSES, key="labels", bind="query-params")
    chosen = [
        row
        for row in rows
        if (split is None or row.split == split) and (state is None or _has_status(row, state, labelled))
    ]
    return str(view), chosen


def _has_status(row: Tile, state: str, labelled: set[int]) -> bool:
    if state == "mask given":
        return row.mask_path is not None
    return status(row, labelled=row.id in labelled) == state


def _show_map(workspace: Workspace, collection: Collection, rows: list[Tile], chosen: list[Tile]) -> None:
    overlay = choose_map_layer(workspace, collection, rows)
    mosaic = lay_out(rows)
    key = f"map-{collection.id}"
    _follow_click(key, clicked_tile(st.session_state.get(key), mosaic))
    tile_map(collection, mosaic, shown={row.id for row in chosen}, selected=_selected_id(), overlay=overlay, key=key)
    chips = "".join(
        f'<span style="margin-right:1rem"><i style="display:inline-block;width:.9em;height:.9em;border:3px solid '
        f'{colour};border-radius:3px;vertical-align:-.12em"></i> {split}</span>'
        for split, colour in SPLIT_COLOURS.items()
    )
    st.html(f'<div style="font-size:.86rem">{chips}Click a tile to open it; zoom in to its full resolution.</div>')
    class_legend(unlabelled=False)


def _follow_click(key: str, clicked: Tile | None) -> None:
    """Take over a click on the map once: the map reports the last one again on every rerun."""
    state = st.session_state.get(key) or {}
    click = state.get("last_clicked")
    if click and click != st.session_state.get(f"{key}-seen"):
        st.session_state[f"{key}-seen"] = click
        if clicked:
            st.query_params["tile"] = str(clicked.id)


def _show_gallery(collection: Collection, chosen: list[Tile], labelled: set[int]) -> None:
    pages = max(1, -(-len(chosen) // PAGE_SIZE))
    with st.container(horizontal=True, vertical_alignment="center"):
        masks = st.toggle("Masks over the images", key="masks", bind="query-params")
        number = st.pagination(pages, key="gallery_page") if pages > 1 else 1
    if not chosen:
        st.info("No tile passes these filters; take one of them off.", icon=":material/filter_alt_off:")
        return
    first = (min(number, pages) - 1) * PAGE_SIZE
    clicked = gallery(
        chosen[first : first + PAGE_SIZE],
        labelled=labelled,
        masks=masks,
        selected=_selected_id(),
        synthetic=collection.synthetic,
        key="gallery",
    )
    class_legend()
    if clicked is not None and clicked != _selected_id():
        st.query_params["tile"] = str(clicked)
        st.rerun()


def _show_collection(collection: Collection, rows: list[Tile]) -> None:
    """What the panel says while no tile is open: the collection as a whole."""
    st.subheader(collection.name, anchor=False)
    st.caption("Click a tile to see it large, with its mask, its class shares and what was wrong with its files.")
    st.markdown(":material/auto_awesome: [Predict these tiles](#predictions)")
    for split, count in count_splits(rows).items():
        st.markdown(f"**{count}** {SPLIT_NAMES[split]}")
    shares = mean_class_shares(rows)
    if shares is None:
        st.markdown("None of these tiles came with a mask.")
        return
    st.markdown(
        f"**{sum(row.class_shares is not None for row in rows)}** came with a mask; over these, the classes are"
    )
    class_legend(shares)


def _show_detail(workspace: Workspace, collection: Collection, row: Tile, *, labelled: bool) -> None:
    st.subheader(f"Tile {row.name}", anchor=False)
    with st.container(horizontal=True, gap="small"):
        st.badge(row.split, icon=":material/call_split:", color="gray")
        st.badge(status(row, labelled=labelled), icon=":material/brush:", color="gray")
        synthetic_note(collection)
    overlay = _choose_overlay(workspace, row)
    tile_view(row, overlay=overlay, key=f"view-{row.id}")
    if overlay:
        class_legend()
    elif row.class_shares:
        class_legend(row.class_shares)
    _facts(row)
    for problem in problems(workspace, collection.id, row.name):
        st.warning(problem.sentence, icon=":material/warning:")
    if st.button("Label this tile", type="primary", icon=":material/brush:", width="stretch"):
        st.switch_page(HERE / "label.py", query_params={"tile": str(row.id)})


def _choose_overlay(workspace: Workspace, row: Tile) -> str | None:
    """The address of the prediction that is to lie over the tile; None for the given mask."""
    groups = [g for g in kept_groups(workspace) if g.collection_id == row.collection_id and row.name in g.tiles]
    if not groups:
        st.markdown(":material/auto_awesome: [Predict this tile](#predictions)")
        return None
    names = {f"{group.run}, {words(group)}": group for group in groups}
    chosen = st.selectbox(
        "Over the image", ["given mask" if row.mask_path else "nothing", *names], index=1, key=f"overlay-{row.id}"
    )
    group = names.get(str(chosen))
    if group is None:
        return None
    switches = Switches.from_facts(group.switches)
    found = store.find(workspace, group.run, row, switches)
    if found is None:
        return None
    if found.stale:
        st.warning(f"This prediction is stale: {found.stale}. Predict the tile anew.", icon=":material/history:")
    store.touch(found)
    return f"{prediction_url(group.run, switches, row.id)}?v={found.path.stat().st_mtime_ns}"


def _facts(row: Tile) -> None:
    x, y = row.metres_per_pixel_x, row.metres_per_pixel_y
    resolution = f"{x:g} m" if abs(x - y) < 1e-6 * x else f"{x:.4g} m across, {y:.4g} m down"
    sources = {"glnet": "in GLNet's list", "folder": "by its folder's name", "rule": "by rule: every fourth validates"}
    area = row.width * x * row.height * y / 1e6
    st.markdown(
        f"**Size** {row.width} x {row.height} pixels, {area:.3g} km²  \n"
        f"**Ground resolution** {resolution} a pixel  \n"
        f"**Coordinates** {row.crs or 'none in the file'}  \n"
        f"**Split** {row.split}, {sources[row.split_source]}"
    )


def _show_problems(workspace: Workspace, collection: Collection) -> None:
    found = problems(workspace, collection.id)
    if found:
        with st.expander(f"{len(found)} things to know about these files", icon=":material/report:"):
            problem_table(found)


def _selected_id() -> int | None:
    value = st.query_params.get("tile", "")
    return int(value) if value.isdecimal() and len(value) < 12 else None


def _linked_tile(workspace: Workspace) -> Tile | None:
    """The tile that the address names, if the workspace has it."""
    selected = _selected_id()
    if selected is None:
        return None
    try:
        return tile(workspace, selected)
    except InputError as error:
        st.warning(str(error), icon=":material/link_off:")
        st.query_params.pop("tile", None)
        return None


def _forget_tile() -> None:
    st.query_params.pop("tile", None)


page()
