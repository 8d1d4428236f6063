"""Upload: zips and pictures, several at once, into a new import or one that is there."""

import secrets
import shutil
from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.catalog.incoming.added_files import UPLOAD_SUFFIXES, imports, new_upload, upload_path
from core.errors import InputError
from core.workspace import Workspace
from pages.components.data_in_jobs import begin, new_import_name
from pages.components.problems import plain

NEW = "a new import"
_ROUND = "upload_round"


def upload_way(workspace: Workspace) -> None:
    """The card: choose files, choose where they go, begin."""
    st.markdown(":material/upload_file: **Upload a zip or files**")
    st.caption(
        "Zips, or images and masks together. Checked, then unpacked into the workspace. One that broke off is gone on "
        "with by uploading the rest, or all of it again, into the same import."
    )
    number = st.session_state.setdefault(_ROUND, 0)
    files = st.file_uploader(
        "Zips, images and masks",
        type=[suffix.lstrip(".") for suffix in UPLOAD_SUFFIXES],
        accept_multiple_files=True,
        key=f"upload_files_{number}",
    )
    there = imports(workspace)
    into = st.selectbox("Into", [NEW, *there], key=f"upload_into_{number}") if there else NEW
    label = f"Add {len(files)} files" if len(files) > 1 else "Unpack and open"
    if st.button(label, icon=":material/unarchive:", disabled=not files, width="stretch", key="upload_go"):
        _take(workspace, files, into)


def _take(workspace: Workspace, files: Sequence[UploadedFile], into: str) -> None:
    """Lay the files into the workspace, then leave them to a job."""
    bar = st.progress(0.0, text="Taking the files")
    try:
        folder = new_upload(workspace, secrets.token_hex(8))
        try:
            for index, file in enumerate(files):
                bar.progress(index / len(files), text=f"Taking file {index + 1} of {len(files)}")
                with upload_path(folder, file.name).open("xb") as target:
                    shutil.copyfileobj(file, target)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(f"The upload cannot be kept in {folder} ({error.strerror}); free disk space.") from error
        name = new_import_name(workspace, _wanted_name(files)) if into == NEW else into
        begin(
            workspace,
            title=f"Adding {files[0].name if len(files) == 1 else f'{len(files)} files'} to {name}",
            arguments=("add-files", "--from", str(folder), "--to", name),
        )
    except InputError as error:
        bar.empty()
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state[_ROUND] += 1  # an empty uploader, which lets go of the files' memory
    st.rerun()


def _wanted_name(files: Sequence[UploadedFile]) -> str:
    """After the one zip that was uploaded, else 'upload'."""
    zips = [file.name for file in files if file.name.lower().endswith(".zip")]
    return zips[0] if len(zips) == 1 else "upload"
