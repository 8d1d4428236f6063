"""DeepGlobe from Kaggle: on whose account, how large, under what terms; then a job."""

import shutil

import streamlit as st

from core.catalog.incoming.kaggle import (
    ARCHIVE_BYTES,
    IMPORT_NAME,
    PAGE,
    UNPACKED_SHARE,
    downloaded_bytes,
    found_credentials,
)
from core.errors import InputError
from core.jobs import queue
from core.jobs.handover import new_pipe, offer
from core.workspace import Workspace
from pages.components.data_in_jobs import NETWORK, begin
from pages.components.measuring_job import any_active
from pages.components.problems import plain

GIGABYTE = 1e9
FOUND, TYPED = "Found on this machine", "Type it in"


def download_way(workspace: Workspace) -> None:
    """The card: what it is, and the button that opens the form."""
    st.markdown(":material/cloud_download: **Download DeepGlobe**")
    there = (workspace.imports / IMPORT_NAME).exists()
    part = downloaded_bytes(workspace)
    if there:
        st.caption("It was downloaded into this workspace; opening it again reads only what has changed.")
    else:
        st.caption(
            f"803 labelled tiles and 343 more, about {ARCHIVE_BYTES / GIGABYTE:.1f} GB, from Kaggle on your account. "
            "Asks the internet, and only when you say so."
            + (f" {part / GIGABYTE:.2f} GB of it are here; the download goes on there." if part else "")
        )
    under_way = any_active(workspace, "download-deepglobe")
    label = "Open it" if there else "Download …"
    if st.button(label, icon=":material/cloud_download:", width="stretch", key="download", disabled=under_way):
        (_open if there else _form)(workspace)


def _open(workspace: Workspace) -> None:
    _begin(workspace, None)


@st.dialog("Download DeepGlobe from Kaggle", width="large")
def _form(workspace: Workspace) -> None:
    free = shutil.disk_usage(workspace.root).free
    needed = ARCHIVE_BYTES * (1 + UNPACKED_SHARE) - downloaded_bytes(workspace)
    st.markdown(
        f"About **{ARCHIVE_BYTES / GIGABYTE:.1f} GB** to download, and about **{needed / GIGABYTE:.1f} GB** of disk "
        f"while it is unpacked; the workspace's disk has **{free / GIGABYTE:.1f} GB** free."
    )
    if needed > free:
        st.error("That is not enough room: free some disk space first.", icon=":material/hard_drive:")
    st.info(
        "DeepGlobe's terms allow **internal research use**. They are accepted on Kaggle by your account, not here: "
        f"see {PAGE}.",
        icon=":material/gavel:",
    )
    found = found_credentials()
    source = st.radio(
        "Kaggle account",
        [FOUND, TYPED] if found else [TYPED],
        captions=[f"in {found}", "used once"] if found else ["used once"],
        horizontal=True,
        key="download_source",
    )
    if not found:
        st.caption("No account was found in KAGGLE_USERNAME and KAGGLE_KEY, nor in ~/.kaggle/kaggle.json.")
    with st.form("download_form", border=False, clear_on_submit=True):
        username = key = ""
        if source == TYPED:
            left, right = st.columns(2)
            username = left.text_input(
                "Kaggle user name", help="Leave it empty with one of Kaggle's newer tokens (KGAT_…)"
            )
            key = right.text_input("Key, or API token", type="password", help="From Kaggle's account settings")
            st.caption(
                "Handed to the download's process through a pipe, once. It is in no file, no log, no database and on "
                "no command line; to go on after a cancel it is typed again."
            )
        started = st.form_submit_button(
            "Download", type="primary", icon=":material/cloud_download:", disabled=needed > free
        )
    if not started:
        return
    if source == TYPED and not key.strip():
        st.error("Type the key, or the API token, first.", icon=":material/error:")
        return
    _begin(workspace, {"username": username.strip(), "key": key.strip()} if source == TYPED else None)


def _begin(workspace: Workspace, typed: dict[str, str] | None) -> None:
    try:
        pipe = new_pipe(workspace) if typed else None
        arguments = ["download-deepglobe", *(("--credentials", str(pipe)) if pipe else ())]
        job_id = begin(workspace, title="Downloading DeepGlobe", arguments=arguments, device=NETWORK)
        if pipe and typed and job_id is not None:
            offer(pipe, typed, wanted=lambda: queue.job(workspace, job_id).state.active)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.rerun()
