"""Start: what Tilewright does, and three ways to tiles: a folder, a zip, the drawn sample."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.catalog import sample
from core.catalog.archive import import_folder, unpack_zip
from core.catalog.catalogue import IndexReport, collection, collections, count_splits, index_folder, problems, tiles
from core.errors import InputError
from core.tables import Collection
from core.workspace import Workspace, open_workspace
from pages.components.problems import problem_table
from pages.components.synthetic import synthetic_note

HERE = Path(__file__).resolve().parent
SAMPLE_TILES, SAMPLE_SIZE, SAMPLE_SEED = 6, 2448, 0

NEXT_STEPS = (
    ("browse", "Browse the tiles", "map"),
    ("label", "Label some of them", "brush"),
    ("train", "Train on them", "model_training"),
)
STEPS = (
    (":material/map:", "Browse", "See every tile on one map, down to the pixel."),
    (":material/brush:", "Label", "Paint a few fields, roofs and rivers."),
    (":material/model_training:", "Train", "Fit a head on your labels in seconds."),
    (":material/analytics:", "Judge", "See where it is wrong, label there, compare."),
)


@dataclass(frozen=True)
class BarOnPage:
    """A ``core.progress.Progress`` that fills a progress bar; pressing any button on the page stops the work."""

    bar: DeltaGenerator

    def update(self, done: float, total: float, message: str) -> None:
        """Move the bar."""
        self.bar.progress(min(1.0, done / total) if total else 0.0, text=message)

    def metrics(self, values: dict[str, Any]) -> None:
        """Indexing has no figures on the way."""


def page() -> None:
    """The whole page."""
    workspace = open_workspace()
    st.title("A land-cover model in an afternoon")
    st.markdown(
        "Tilewright is a workbench for satellite tiles: label a few instances, fine-tune a pretrained network on them, "
        "and see honestly how good it is. All of it runs on this machine."
    )
    _show_steps()
    known = collections(workspace)
    if known:
        _show_collections(workspace, known)
    st.subheader("Add more tiles" if known else "Choose your tiles", anchor=False)
    for column, way in zip(st.columns(3, gap="medium"), (_folder_way, _zip_way, _sample_way), strict=True):
        with column, st.container(border=True, height="stretch"):
            way(workspace)


def _show_steps() -> None:
    for number, (column, (icon, title, text)) in enumerate(zip(st.columns(4), STEPS, strict=True), start=1):
        with column:
            st.markdown(f"{icon} **{number}. {title}**  \n{text}")


def _folder_way(workspace: Workspace) -> None:
    st.markdown(":material/folder_open: **Open a folder**")
    st.caption(
        "DeepGlobe's `<id>_sat.jpg` with `<id>_mask.png`, Kaggle's train, valid and test folders, or other JPEG, PNG "
        "and GeoTIFF images. Files stay where they are."
    )
    with st.form("folder", border=False):
        folder = st.text_input("Folder on this machine", placeholder="/data/deepglobe/land-train", key="folder_path")
        opened = st.form_submit_button("Open folder", type="primary", icon=":material/folder_open:", width="stretch")
    if not opened:
        return
    if not folder.strip():
        st.error("Type the folder's path first.", icon=":material/error:")
        return
    _bring_in(lambda progress: index_folder(workspace, Path(folder.strip()), progress))


def _zip_way(workspace: Workspace) -> None:
    st.markdown(":material/folder_zip: **Upload a zip**")
    st.caption("The same files in one archive. It is checked, then unpacked into the workspace.")
    uploaded = st.file_uploader("Zip archive", type="zip", key="zip_file")
    if not st.button("Unpack and open", icon=":material/unarchive:", disabled=uploaded is None, width="stretch"):
        return
    if uploaded is not None:

        def unpack_and_index(progress: BarOnPage) -> IndexReport:
            unpacked = unpack_zip(uploaded, import_folder(workspace, uploaded.name), progress)
            return index_folder(workspace, unpacked.folder, progress)

        _bring_in(unpack_and_index)


def _sample_way(workspace: Workspace) -> None:
    st.markdown(":material/draw: **Go on with the sample**")
    st.caption(
        f"No tiles at hand? {SAMPLE_TILES} scenes of fields, towns, woods and rivers, drawn by this program in "
        "DeepGlobe's size and layout, with their masks. Synthetic, and marked so wherever they show."
    )
    if st.button("Draw the sample", icon=":material/draw:", width="stretch"):

        def draw_and_index(progress: BarOnPage) -> IndexReport:
            if not any(workspace.sample.glob("*_sat.jpg")):
                sample.write_sample(workspace.sample, SAMPLE_TILES, SAMPLE_SIZE, SAMPLE_SEED, progress)
            return index_folder(workspace, workspace.sample, progress, synthetic=True)

        _bring_in(draw_and_index)


def _bring_in(work: Callable[[BarOnPage], IndexReport]) -> None:
    """Run the work under a progress bar and remember what came of it, or say in one sentence why nothing did."""
    bar = st.progress(0.0, text="Looking at the files")
    try:
        report = work(BarOnPage(bar))
    except InputError as error:
        bar.empty()
        st.error(str(error), icon=":material/error:")
        return
    bar.empty()
    st.session_state["opened_collection"] = report.collection_id
    st.toast(f"{report.tiles} tiles are ready.", icon=":material/check_circle:")
    st.rerun()


def _show_collections(workspace: Workspace, known: list[Collection]) -> None:
    opened = st.session_state.get("opened_collection")
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
    rows = tiles(workspace, current.id)
    found = problems(workspace, current.id)
    left_out = sum(problem.severity == "error" for problem in found)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{current.name}**")
            synthetic_note(current)
            st.caption(current.root)
        splits = count_splits(rows)
        figures = {
            "Tiles": len(rows),
            "Masks": sum(row.mask_path is not None for row in rows),
            "Train": splits["train"],
            "Validate": splits["val"],
            "Test": splits["test"],
            "Left out": left_out,
        }
        for column, (name, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
            column.metric(name, value)
        if found:
            problem_table(found)
        else:
            st.caption(":material/check_circle: Every file could be read, and every mask fits its image.")
        with st.container(horizontal=True):
            for target, label, icon in NEXT_STEPS:
                kind = "primary" if target == "browse" else "secondary"
                if st.button(label, type=kind, icon=f":material/{icon}:", key=f"next_{target}"):
                    st.switch_page(HERE / f"{target}.py")


page()
