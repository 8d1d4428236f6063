"""A collection on Start: what it holds, what was wrong, looking for changes, a folder that is gone, taking it out."""

from pathlib import Path

import numpy as np
import streamlit as st

from core.catalog.catalogue import collection, problems
from core.catalog.removal import plan_removal, remove_collection
from core.catalog.splits import SPLITS
from core.catalog.tile_table import tile_table
from core.errors import InputError
from core.tables import Collection
from core.workspace import Workspace
from pages.components.data_in_jobs import CAME, OPENED
from pages.components.folder_gone import folder_is_gone, look_for_changes
from pages.components.problems import plain, problem_table
from pages.components.synthetic import synthetic_note

_PAGES = Path(__file__).resolve().parents[1]

NEXT_STEPS = (
    ("browse", "Browse the tiles", "map"),
    ("label", "Label some of them", "brush"),
    ("train", "Train on them", "model_training"),
)


def show_collections(workspace: Workspace, known: list[Collection]) -> None:
    """Show the collection that was brought in last, and the choice of the others."""
    opened = st.session_state.get(OPENED)
    current = next((c for c in known if c.id == opened), known[0])
    st.subheader("In this workspace", anchor=False)
    if len(known) > 1:
        current = st.segmented_control(
            "Collection",
            known,
            format_func=lambda c: c.name,
            default=current,
            required=True,
            label_visibility="collapsed",
            key=f"start_collection_{current.id}_{len(known)}",
        )
    _summary(workspace, collection(workspace, current.id))


def _summary(workspace: Workspace, current: Collection) -> None:
    table = tile_table(workspace, current).tiles
    found = problems(workspace, current.id)
    left_out = sum(problem.severity == "error" for problem in found)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(current.name)}**")
            synthetic_note(current)
            st.caption(plain(current.root))
        gone = folder_is_gone(workspace, current, key="start")
        figures = {
            "Tiles": len(table.rows),
            "Masks": np.count_nonzero(table.has_mask),
            **{
                name: np.count_nonzero(table.splits == SPLITS.index(split))
                for name, split in (("Train", "train"), ("Validate", "val"), ("Test", "test"))
            },
            "Left out": left_out,
        }
        for column, (name, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
            column.metric(name, f"{value:,}")
        came = st.session_state.get(CAME)
        if came and came[0] == current.id:
            st.caption(f":material/check_circle: {plain(came[1])}")
        if found:
            problem_table(found)
        else:
            st.caption(":material/check_circle: Every file could be read, and every mask fits its image.")
        _buttons(workspace, current, gone=gone)


def _buttons(workspace: Workspace, current: Collection, *, gone: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        with st.container(horizontal=True, width="content"):
            for target, label, icon in NEXT_STEPS:
                kind = "primary" if target == "browse" else "secondary"
                if st.button(label, type=kind, icon=f":material/{icon}:", key=f"next_{target}"):
                    st.switch_page(_PAGES / f"{target}.py")
        with st.container(horizontal=True, width="content"):
            tip = "Reads what is new or changed in the folder, and forgets what is gone unless it has labels"
            if st.button("Look for changes", icon=":material/sync:", type="tertiary", help=tip, disabled=gone):
                look_for_changes(workspace, current, Path(current.root))
            if st.button("Remove …", icon=":material/delete:", type="tertiary", help="From this workspace"):
                _remove(workspace, current)


@st.dialog("Remove from this workspace?")
def _remove(workspace: Workspace, current: Collection) -> None:
    plan = plan_removal(workspace, current.id)
    st.markdown(
        f"**{plain(current.name)}**: {plan.tiles:,} tiles leave the catalogue, with their splits, kept predictions and "
        "scores. Runs stay."
    )
    if plan.labelled:
        st.markdown(
            f"The masks of **{plan.labelled:,} labelled tiles** are kept, in `labels/removed/` of the workspace; the "
            f"journal of their {plan.strokes:,} strokes, and so undo, goes."
        )
    elif plan.strokes:
        st.markdown(f"The journal of {plan.strokes:,} strokes goes.")
    else:
        st.markdown("Nothing was labelled on them.")
    delete_import = False
    if plan.imported is None:
        st.caption(f"The images stay where they are: {plain(current.root)}")
    else:
        delete_import = st.checkbox(f"Also delete its files in {plain(str(plan.imported))}", key="remove_files")
    if not st.button("Remove it", type="primary", icon=":material/delete:"):
        return
    try:
        kept = remove_collection(workspace, current.id, delete_import=delete_import)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state.pop(OPENED, None)
    st.toast(f"Removed. {f'Its labels are in {kept}.' if kept else ''}", icon=":material/delete:")
    st.rerun()
