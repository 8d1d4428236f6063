"""Taking selected tiles along: their names and figures at once, their files and labels as a zip that a job packs."""

from datetime import datetime

import streamlit as st

from core.catalog.figures_csv import figures_csv
from core.jobs import queue, worker
from core.jobs.export_routes import EXPORT_KIND
from core.labels.formats.placed import Format
from pages.components.browsing import Browsing
from pages.components.label_files_out import packed_exports

_FORMATS = {
    Format.DEEPGLOBE: "DeepGlobe masks",
    Format.INDEX: "class-index PNG",
    Format.GEOTIFF: "GeoTIFF",
    Format.GEOJSON: "GeoJSON",
    Format.COCO: "COCO",
}


def files_panel(browsing: Browsing, chosen: list[int]) -> None:
    """The button; what is behind it is made only while it is open."""
    panel = st.popover("Export", icon=":material/download:", key="browse_export", on_change="rerun")
    if not panel.open:
        return
    with panel, st.container(width=360):
        _at_once(browsing, chosen)
        names = [browsing.table.rows[number].name for number in chosen]
        masks = int(browsing.table.tiles.has_mask[chosen].sum())
        labelled = [browsing.table.rows[number].name for number in chosen if browsing.table.labels.labelled[number]]
        if st.button(f"Pack images and {masks} given masks", icon=":material/folder_zip:", key="browse_pack_files"):
            _pack(browsing, "files", ["export-tiles"], names)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            kind = st.selectbox("Labels as", list(_FORMATS), format_func=_FORMATS.__getitem__, key="browse_pack_format")
            if st.button(
                f"Pack {len(labelled)}",
                icon=":material/folder_zip:",
                disabled=not labelled,
                key="browse_pack_labels",
                help="The labels that were painted here, of the selected tiles that have any",
            ):
                _pack(browsing, str(kind), ["export", "--format", str(kind)], labelled)
        packed_exports(browsing.workspace, "")


def _at_once(browsing: Browsing, chosen: list[int]) -> None:
    table = browsing.table
    with st.container(horizontal=True):
        st.download_button(
            "Ids (.txt)",
            lambda: "".join(f"{table.rows[number].name}\n" for number in chosen),
            file_name="tiles.txt",
            mime="text/plain",
            on_click="ignore",
            key="browse_ids",
        )
        st.download_button(
            "Figures (.csv)",
            lambda: figures_csv(table, chosen, browsing.outside),
            file_name="tiles.csv",
            mime="text/csv",
            on_click="ignore",
            key="browse_csv",
        )


def _pack(browsing: Browsing, what: str, command: list[str], names: list[str]) -> None:
    workspace, place = browsing.workspace, browsing.collection.id
    out = workspace.exports / f"tiles-{place}-{what}-{datetime.now():%Y%m%d-%H%M%S}.zip"
    arguments = [*command, "--workspace", str(workspace.root), "--collection", str(place), "--out", str(out)]
    arguments += [part for name in names for part in ("--tile", name)]
    queue.submit(workspace, kind=EXPORT_KIND, title=f"Export {out.name}", arguments=arguments, device="cpu")
    worker.ensure_running(workspace, "cpu")
