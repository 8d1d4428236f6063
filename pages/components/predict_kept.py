"""The predictions that are kept: what there is, what it takes on the disk, download, deletion, and import."""

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

from core.errors import InputError
from core.inference import store_space
from core.inference.imported import import_predictions
from core.inference.prediction_routes import download_url
from core.inference.store import stale_tiles
from core.inference.store_space import KeptGroup
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.tables import Collection
from core.training.runs import list_runs
from core.workspace import Workspace
from pages.components.problems import plain
from pages.components.switches import describe

_GIB = 2**30
_ROUND = "predict_import_round"  # a new number empties the form


def kept_predictions(workspace: Workspace, collection: Collection) -> None:
    """A table of what is kept of a collection; the row that is chosen can be taken along or deleted."""
    groups = [group for group in store_space.kept_groups(workspace) if group.collection_id == collection.id]
    _space(workspace)
    if not groups:
        st.caption("Nothing is kept yet. What is predicted here, evaluated or compared appears in this list.")
        return
    table = pd.DataFrame(
        [
            {
                "run": group.run,
                "switches": words(group),
                "tiles": len(group.tiles),
                "s a tile": group.seconds,
                "stale": stale_tiles(workspace, group),
                "MB": group.size / 1e6,
            }
            for group in groups
        ]
    )
    chosen = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [0], "columns": [], "cells": []}},
        height=min(38 + 35 * len(groups), 250),
        column_config={
            "MB": st.column_config.NumberColumn(format="%.1f"),
            "s a tile": st.column_config.NumberColumn(
                format="%.2f", help="Median, from the image to the class raster, with what was kept already"
            ),
            "stale": st.column_config.NumberColumn(help="Tiles whose run or image has changed since: predict anew"),
        },
        key=f"kept_{collection.id}_{len(groups)}",
    )
    rows = chosen.selection.rows
    _actions(workspace, groups[rows[0] if rows and rows[0] < len(groups) else 0])


def words(group: KeptGroup) -> str:
    """The switches of a group in words."""
    try:
        return describe(Switches.from_facts(group.switches))
    except (InputError, TypeError):
        return "switches of another version"


def _actions(workspace: Workspace, group: KeptGroup) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for form, label in (("png", "Masks (zip of PNG)"), ("geotiff", "GeoTIFFs (zip)")):
            address = download_url(group.run, group.key, group.collection_id, form)
            st.link_button(label, address, icon=":material/download:")
        if st.button("Delete these", icon=":material/delete:", key="kept_delete"):
            store_space.delete_group(workspace, group)
            st.toast(f"Deleted {len(group.tiles)} predictions of {group.run}.")
            st.rerun()
        if st.button("Delete all of this run", icon=":material/delete_sweep:", key="kept_delete_run"):
            freed = store_space.delete_predictions(workspace, group.run)
            st.toast(f"Deleted what was kept of {group.run}: {freed / 1e6:.1f} MB.")
            st.rerun()
        st.caption(f"of {group.run}, {words(group)}")


def _space(workspace: Workspace) -> None:
    used, limit = store_space.used_bytes(workspace), store_space.limit_bytes(workspace)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.markdown(f"**{_size(used)}** of {limit / _GIB:g} GiB in use; what was looked at least recently goes first.")
        with st.popover("Limit"):
            wanted = st.number_input(
                "Room for predictions (GiB)", 0.1, 10_000.0, limit / _GIB, 0.5, key="predict_limit"
            )
            if st.button("Set", key="predict_limit_set"):
                try:
                    freed = store_space.set_limit(workspace, int(wanted * _GIB))
                    st.toast(f"The limit is {wanted:g} GiB" + (f"; {_size(freed)} were freed." if freed else "."))
                    st.rerun()
                except InputError as error:
                    st.error(str(error), icon=":material/error:")
        _delete_run(workspace)


def _delete_run(workspace: Workspace) -> None:
    """A run, with its predictions and scores, after a second click."""
    runs = [run.name for run in list_runs(workspace.runs)]
    if not runs:
        return
    with st.popover("Delete a run"):
        name = st.selectbox("Run", runs, key="delete_run_name")
        st.caption("Its weights, predictions and scores go, and nothing brings them back. Labels stay.")
        if st.button(f"Delete {name} for good", icon=":material/delete_forever:", key="delete_run"):
            try:
                store_space.delete_run(workspace, str(name))
                st.toast(f"Run {name} is deleted.")
                st.rerun()
            except InputError as error:
                st.error(str(error), icon=":material/error:")


def _size(count: int) -> str:
    return f"{count / _GIB:.2f} GiB" if count >= _GIB else f"{count / 2**20:.1f} MiB"


def import_form(workspace: Workspace, collection: Collection) -> None:
    """Somebody else's masks, from a folder or uploaded, as a run of its own."""
    number = st.session_state.setdefault(_ROUND, 0)
    st.caption(
        r"Masks named \<tile\>_pred.png, \<tile\>_mask.png or \<tile\>.tif, in DeepGlobe's colours or as indices. "
        "They become a run that Evaluate and Compare take; one that covers a part of its tile is judged on that part."
    )
    left, right = st.columns(2)
    folder = left.text_input("Folder on this machine", key=f"predict_import_folder_{number}")
    files = right.file_uploader(
        "or files", ["png", "tif", "tiff"], accept_multiple_files=True, key=f"predict_import_files_{number}"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name of the run", "imported", key=f"predict_import_name_{number}", width=240)
        offset = _choose_offset(key=f"predict_import_at_{number}")
        wanted = st.button("Import", icon=":material/upload:", key="predict_import", disabled=not (folder or files))
    if not wanted:
        _say_imported()
        return
    try:
        with (
            st.spinner("Reading the masks ...", show_time=True),
            tempfile.TemporaryDirectory() as scratch,
        ):
            for file in files:
                (Path(scratch) / Path(file.name).name).write_bytes(file.getvalue())
            source = Path(scratch) if files else Path(folder.strip()).expanduser()
            told = import_predictions(
                workspace,
                source,
                name=name.strip(),
                collection_id=collection.id,
                progress=SilentProgress(),
                offset=offset,
            )
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state["predict_imported"] = told
    st.session_state[_ROUND] = number + 1
    st.rerun()


def _choose_offset(*, key: str) -> tuple[int, int]:
    """Where in its tile a mask that is smaller begins: x and y in pixels."""
    x, y = (
        st.number_input(
            f"Smaller masks begin at {axis}",
            min_value=0,
            key=f"{key}_{axis}",
            width=170,
            help=f"Pixels {of} of its tile to the mask, at the tile's own scale; 0 for masks as large as their tiles.",
        )
        for axis, of in (("x", "from the left side"), ("y", "from the upper side"))
    )
    return int(x), int(y)


def _say_imported() -> None:
    """What came of the last import, said once the page is fresh."""
    told = st.session_state.get("predict_imported")
    if not told:
        return
    st.success(f"Run {told['run']}: {told['tiles']} tiles taken.", icon=":material/check_circle:")
    if told["smaller"]:
        st.warning(
            f"Covered in part, and judged on that part alone: {', '.join(told['smaller'])}.", icon=":material/crop:"
        )
    if told["missing"]:
        st.caption(f"Without a prediction: {', '.join(told['missing'])}.")
    for sentence in told["left_out"][:5]:
        st.warning(plain(sentence), icon=":material/warning:")
