"""Start: what Tilewright does, what is in the workspace, and five ways to tiles, each of them a job."""

from pathlib import Path

import streamlit as st

from core.catalog.catalogue import collections
from core.catalog.discover import check_folder
from core.data_cli import SAMPLE_TILES
from core.errors import InputError
from core.workspace import Workspace, open_workspace
from pages.components.data_in_download import download_way
from pages.components.data_in_jobs import begin, bringing_in, folder_title, take_results
from pages.components.data_in_mapping import mapping_way
from pages.components.data_in_upload import upload_way
from pages.components.problems import plain
from pages.components.start_collection import show_collections

STEPS = (
    (":material/map:", "Browse", "See every tile on one map, down to the pixel."),
    (":material/brush:", "Label", "Paint a few fields, roofs and rivers."),
    (":material/model_training:", "Train", "Fit a head on your labels in seconds."),
    (":material/analytics:", "Judge", "See where it is wrong, label there, compare."),
)


def page() -> None:
    """The whole page."""
    workspace = open_workspace()
    st.title("A land-cover model in an afternoon")
    take_results(workspace)
    known = collections(workspace)
    if known:
        show_collections(workspace, known)
    else:
        _show_steps()
    bringing_in(workspace)  # above the ways: there whoever has begun something looks
    st.subheader("Add more tiles" if known else "Choose your tiles", anchor=False)
    for ways in ((_folder_way, upload_way, _sample_way), (download_way, mapping_way)):
        for column, way in zip(st.columns(len(ways), gap="medium"), ways, strict=True):
            with column, st.container(border=True, height="stretch"):
                way(workspace)


def _show_steps() -> None:
    st.markdown(
        "Tilewright is a workbench for satellite tiles: label a few instances, fine-tune a pretrained network on them, "
        "and see honestly how good it is. All of it runs on this machine."
    )
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
        typed = st.text_input("Folder on this machine", placeholder="/data/deepglobe/land-train", key="folder_path")
        opened = st.form_submit_button("Open folder", type="primary", icon=":material/folder_open:", width="stretch")
    if not opened:
        return
    if not typed.strip():
        st.error("Type the folder's path first.", icon=":material/error:")
        return
    folder = Path(typed.strip()).expanduser().absolute()
    try:
        check_folder(folder)
        begin(workspace, title=folder_title(folder), arguments=("index", "--data", str(folder)))
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.rerun()


def _sample_way(workspace: Workspace) -> None:
    st.markdown(":material/draw: **Go on with the sample**")
    st.caption(
        f"No tiles at hand? {SAMPLE_TILES} scenes of fields, towns, woods and rivers, drawn by this program in "
        "DeepGlobe's size and layout, with their masks. Synthetic, and marked so wherever they show."
    )
    if st.button("Draw the sample", icon=":material/draw:", width="stretch"):
        begin(workspace, title="Drawing the sample", arguments=("draw-sample",))
        st.rerun()


page()
