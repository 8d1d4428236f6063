"""Labels from files and into files, for a popover or a dialog on the Label page."""

import streamlit as st

from core.labels.annotators import DEFAULT_ANNOTATOR
from core.tables import Tile
from core.workspace import Workspace
from pages.components.label_files_in import labels_from_files
from pages.components.label_files_out import labels_to_files


def label_files(
    workspace: Workspace, tile: Tile, *, annotator: str = DEFAULT_ANNOTATOR, opinion: str = "", base_url: str = ""
) -> None:
    """Show import and export side by side, each behind its tab.

    An import ends with a rerun of the whole page, so that the canvas shows what is new. ``annotator`` is who imports.
    ``opinion`` is empty for the tile's labels, or the annotator whose second opinion is imported into. ``base_url`` is
    what comes before our routes.
    """
    into, out_of = st.tabs([":material/upload: Import", ":material/download: Export"])
    with into:
        labels_from_files(workspace, tile, annotator=annotator, opinion=opinion)
    with out_of:
        labels_to_files(workspace, tile, base_url=base_url)
