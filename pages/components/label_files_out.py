"""Export: one tile as a file at once, many tiles as a zip that a job packs."""

from datetime import datetime
from html import escape

import streamlit as st

from core.catalog.catalogue import collection, labelled_tile_ids
from core.jobs import log, queue, worker
from core.jobs.export_routes import EXPORT_KIND, packed_file
from core.jobs.outcome import JobState
from core.jobs.queue import JobView
from core.labels import exporting, work_status
from core.labels.formats.grid import grid_of
from core.labels.formats.placed import Format
from core.labels.work_status import Status
from core.tables import Tile
from core.workspace import Workspace
from pages.components.problems import plain

_WORDS = {
    Format.DEEPGLOBE: "DeepGlobe: RGB masks in the seven colours",
    Format.INDEX: "Class-index PNG: 0 to 5, 255 unlabelled",
    Format.GEOTIFF: "GeoTIFF: class raster with CRS and colours",
    Format.GEOJSON: "GeoJSON: polygons",
    Format.COCO: "COCO: annotations for object detection tools",
}
_MIME = {
    Format.DEEPGLOBE: "image/png",
    Format.INDEX: "image/png",
    Format.GEOTIFF: "image/tiff",
    Format.GEOJSON: "application/geo+json",
    Format.COCO: "application/json",
}
_THIS, _ALL, _DONE = "this tile", "all labelled tiles", "tiles that are done or approved"
_FINISHED = (Status.DONE, Status.APPROVED)
_ZIPS_SHOWN = 3
_SECONDS = 1.0


def labels_to_files(workspace: Workspace, tile: Tile, *, base_url: str) -> None:
    """Everything of the export tab."""
    kind = st.selectbox("Format", list(_WORDS), format_func=_WORDS.__getitem__, key="label_files_format")
    counts = _counts(workspace, tile.collection_id)
    which = st.radio(
        "Tiles",
        [_THIS, _ALL, _DONE],
        format_func=lambda which: which.capitalize() + (f" ({counts[which]})" if which in counts else ""),
        key="label_files_which",
    )
    if which == _THIS:
        _this_tile(workspace, tile, kind)
    else:
        _zip(workspace, tile.collection_id, kind, finished=which == _DONE, count=counts[which])
    packed_exports(workspace, base_url)


def _counts(workspace: Workspace, collection_id: int) -> dict[str, int]:
    labelled = labelled_tile_ids(workspace, collection_id)
    works = work_status.works(workspace, collection_id)
    finished = [tile_id for tile_id in labelled if tile_id in works and works[tile_id].status in _FINISHED]
    return {_ALL: len(labelled), _DONE: len(finished)}


def _this_tile(workspace: Workspace, tile: Tile, kind: Format) -> None:
    """A button whose file is made when it is pressed."""
    if kind is Format.GEOJSON and tile.crs is None:
        st.caption("This tile has no place on the ground: its polygons are in pixels, and the file says so.")

    def content() -> bytes:
        return exporting.encode(kind, exporting.load_tile(workspace, tile).raster, grid_of(tile))

    st.download_button(
        f"Download {plain(exporting.name_of(kind, tile))}",
        content,
        file_name=exporting.name_of(kind, tile),
        mime=_MIME[kind],
        type="primary",
        icon=":material/download:",
        on_click="ignore",
        key="label_files_download",
    )


def _zip(workspace: Workspace, collection_id: int, kind: Format, *, finished: bool, count: int) -> None:
    images = st.checkbox("Copy the images too", key="label_files_images")
    if count == 0:
        st.caption("There are none yet." if finished else "Nothing is labelled yet.")
    if st.button(
        "Pack a zip", type="primary", icon=":material/folder_zip:", disabled=count == 0, key="label_files_zip"
    ):
        name = f"{_slug(collection(workspace, collection_id).name)}-{collection_id}-{kind}"
        out = workspace.exports / f"{name}-{datetime.now():%Y%m%d-%H%M%S}.zip"
        arguments = ["export", "--workspace", str(workspace.root), "--collection", str(collection_id)]
        arguments += ["--format", str(kind), "--out", str(out)]
        arguments += [part for status in _FINISHED if finished for part in ("--status", str(status))]
        arguments += ["--images"] if images else []
        queue.submit(workspace, kind=EXPORT_KIND, title=f"Export {out.name}", arguments=arguments, device="cpu")
        worker.ensure_running(workspace, "cpu")


def packed_exports(workspace: Workspace, base_url: str) -> None:
    """The export that runs or waits with its progress, and what was packed before; live while one is at it."""
    active = any(view.kind == EXPORT_KIND and view.state.active for view in queue.jobs(workspace))
    st.fragment(_progress, run_every=_SECONDS if active else None)(workspace, base_url)


def _progress(workspace: Workspace, base_url: str) -> None:
    worker.keep_going(workspace)
    exports = [view for view in queue.jobs(workspace) if view.kind == EXPORT_KIND]
    active = [view for view in exports if view.state.active]
    for view in active:
        progress = log.read_progress(workspace, view.id)
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.progress(progress.share, text=plain(progress.message or "Waiting for its turn"))
        if right.button("Cancel", key=f"label_files_cancel_{view.id}", disabled=view.cancelling):
            queue.cancel(workspace, view.id)
    if exports and not active and exports[0].state in (JobState.FAILED, JobState.LOST):
        st.error(plain(f"The last export failed: {exports[0].message or 'it said nothing.'}"), icon=":material/error:")
    _zips(workspace, exports, base_url)


def _zips(workspace: Workspace, exports: list[JobView], base_url: str) -> None:
    """The zips that were packed last, to download: plain links, since a zip may be larger than memory."""
    found = [(view, path) for view in exports if (path := packed_file(workspace, view)) is not None]
    for view, path in found[:_ZIPS_SHOWN]:
        st.html(
            f'<a href="{escape(base_url)}/exports/{view.id}.zip" download>{escape(path.name)}</a> '
            f"({path.stat().st_size / 2**20:.1f} MiB)"
        )


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")[:40] or "labels"
