"""Predict: which run (or several), which tiles, folder or raster, which switches; a job that one can watch and stop."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.catalog.splits import SPLITS
from core.cluster.submission import on_cluster
from core.errors import InputError
from core.inference import store
from core.inference.ensemble_fit import EnsembleRequest, make_ensemble
from core.inference.imported import KIND as IMPORTED
from core.inference.predict_tiles import KIND, predict_arguments, switch_arguments
from core.inference.switches import Switches
from core.inference.tile_prediction import MeanLook
from core.jobs import queue, worker
from core.jobs.outcome import JobState
from core.jobs.slots import CLUSTER
from core.progress import SilentProgress
from core.system import devices
from core.tables import Collection, Tile
from core.training.runs import Run, list_runs
from core.workspace import Workspace
from pages.components.cluster_form import cluster_devices, cluster_request
from pages.components.crf_preview import crf_preview, with_chosen
from pages.components.jobs import job_list
from pages.components.offset_choice import Subject
from pages.components.problems import plain
from pages.components.switches import choose_switches, describe, explain

HERE = Path(__file__).resolve().parent
_PREVIEW = "predict_preview"
_WHAT = {"split": "A split", "tiles": "Some tiles", "folder": "A folder", "raster": "One large raster"}


@dataclass(frozen=True, slots=True)
class _Order:
    """What the form asks for: the job's command line without its switches, and its title."""

    arguments: tuple[str, ...]
    title: str


def predict_card(workspace: Workspace, collection: Collection, rows: Sequence[Tile], opened: Tile | None) -> None:
    """The form, its start button, and the jobs once one was asked for; ``opened`` is the tile that one looks at."""
    runs = list_runs(workspace.runs)
    if not runs:
        st.info("No run yet: train one, or import somebody's predictions below.", icon=":material/model_training:")
        st.page_link(HERE.parent / "train.py", label="Go to Train", icon=":material/model_training:")
        return
    first, second = st.columns([4, 5], gap="medium")
    chosen = first.multiselect(
        "Runs",
        [run.name for run in runs],
        default=[next((run.name for run in runs if run.card.head != IMPORTED), runs[0].name)],
        key="predict_runs",
        help="One run, or several whose probabilities are averaged: an ensemble takes as long as its members together.",
    )
    kind = second.segmented_control(
        "What",
        list(_WHAT),
        format_func=_WHAT.__getitem__,
        default="tiles" if opened else "split",
        required=True,
        key=f"predict_what_{'tile' if opened else 'all'}",
    )
    target = _choose_target(collection, rows, str(kind), opened)
    subject = Subject(workspace, collection, chosen[0] if len(chosen) == 1 else None)
    switches = with_chosen(choose_switches(subject, key="predict", with_parameters=False), key=_PREVIEW)
    st.caption(explain(switches, subject))
    refused = kind == "raster" and _refused_gate(switches)
    if len(chosen) == 1 and rows:
        _preview(workspace, [opened, *rows] if opened else rows, chosen[0], switches)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        device = st.selectbox(
            "Device",
            [*devices(), *cluster_devices(workspace)],
            index=len(devices()) - 1,
            key="predict_device",
            width=140,
        )
        resources = cluster_request(workspace) if device == CLUSTER else None
        wanted = st.button(
            "Start predicting",
            type="primary",
            icon=":material/play_arrow:",
            key="predict_start",
            disabled=not chosen or target is None or refused,
        )
    if wanted and target is not None:
        try:
            run = _one_run(workspace, runs, chosen)
            arguments = _command(workspace, collection, run, target, switches)
            title = f"Predict {target.title} with {run}, {describe(switches)}"
            if resources is not None:
                arguments = on_cluster(workspace, arguments, resources)
            queue.submit(workspace, kind=KIND, title=title, arguments=arguments, device=str(device))
            worker.ensure_running(workspace, str(device))
            st.session_state["predict_asked"] = True
            st.rerun()
        except InputError as error:
            st.error(str(error), icon=":material/error:")
    _told(workspace)


def _refused_gate(switches: Switches) -> bool:
    """Whether a gate is on, which no raster is predicted with; said here, before a job fails of it."""
    if switches.gate:
        st.warning(
            "A large raster is predicted without leaving classes out: the ones that cover little of it would be taken "
            "out everywhere. Set that switch to 0, or cut the raster into tiles.",
            icon=":material/filter_alt_off:",
        )
    return switches.gate > 0


def _preview(workspace: Workspace, rows: Sequence[Tile], run: str, switches: Switches) -> None:
    """The refinement's parameters, tried on a piece of a tile; the network is asked only where somebody looks."""
    box = st.expander(
        "Try the refinement on a piece of a tile", icon=":material/preview:", key="predict_try", on_change="rerun"
    )
    if not box.open:
        return
    with box:
        folder = store.run_folder(workspace, run)
        shown = [tile for tile in rows if store.extent(folder, tile) is not None]
        if not shown:
            st.caption(f"{run} has no mask of a tile of this collection.")
            return
        names = list(dict.fromkeys(tile.name for tile in shown))
        name = st.selectbox("Tile", names, key=f"predict_try_{names[0]}", width=200)
        tile = next(tile for tile in shown if tile.name == name)

        def said() -> MeanLook:
            return store.Predictor(workspace, run).said(tile, switches.of_network, SilentProgress())

        version = f"{run} {store.weights_stamp(workspace, run)} {switches.tta}"
        crf_preview(tile, said, version=version, switches=switches, key=_PREVIEW)


def _told(workspace: Workspace) -> None:
    """The jobs, while one runs or where one was asked for here."""
    mine = [view for view in queue.jobs(workspace) if view.kind == KIND]
    if any(view.state.active for view in mine) or st.session_state.get("predict_asked"):
        job_list(workspace, key="predict_jobs")
        if mine and mine[0].state is JobState.DONE:
            place = f"written to {mine[0].out}" if mine[0].out else "open a tile above to see the prediction over it"
            st.caption(plain(f"Done: {place}."))


def _choose_target(collection: Collection, rows: Sequence[Tile], kind: str, opened: Tile | None) -> _Order | None:
    """What is to be predicted; None while that is not said."""
    if kind == "split":
        counts = {split: sum(tile.split == split for tile in rows) for split in SPLITS}
        there = [split for split, count in counts.items() if count]
        split = st.segmented_control(
            "Split",
            ["all", *there],
            format_func=lambda s: f"all {len(rows)} tiles" if s == "all" else f"{s} ({counts[s]})",
            default=there[-1] if there else "all",
            required=True,
            key=f"predict_split_{collection.id}",
        )
        return _Order(() if split == "all" else ("--split", str(split)), f"{collection.name}, {split}")
    if kind == "tiles":
        names = st.multiselect(
            "Tiles",
            [tile.name for tile in rows],
            default=[opened.name] if opened else [],
            key=f"predict_tiles_{collection.id}_{opened.id if opened else 0}",
            placeholder="Choose tiles",
        )
        spread = tuple(part for name in names for part in ("--tile", name))
        return _Order(spread, f"{len(names)} tiles of {collection.name}") if names else None
    label = "Folder of tiles" if kind == "folder" else "GeoTIFF, JPEG or PNG of any size"
    given = st.text_input(label, key=f"predict_{kind}", placeholder="/path/on/this/machine")
    path = Path(given.strip()).expanduser()
    if not given.strip():
        return None
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        st.warning(f"There is no {kind} {path} on this machine; mend the path.", icon=":material/folder_off:")
        return None
    if kind == "raster":
        st.caption(
            "Predicted strip by strip into a GeoTIFF with the same place on the ground, with every switch but a gate; "
            "a cancel leaves nothing half-written."
        )
    return _Order(("--data", str(path.resolve())), path.name)


def _command(workspace: Workspace, collection: Collection, run: str, target: _Order, switches: Switches) -> list[str]:
    if "--data" not in target.arguments:
        return [*predict_arguments(run, collection.id, switches), *target.arguments]
    out = workspace.exports / f"predicted-{target.title}-{run}-{switches.key}"
    places = ["--run", str(store.run_folder(workspace, run)), "--out", str(out)]
    return ["predict", *places, *target.arguments, *switch_arguments(switches)]


def _one_run(workspace: Workspace, runs: Sequence[Run], chosen: Sequence[str]) -> str:
    """The run that is chosen, or the ensemble of those that are, which is made where there is none yet."""
    if len(chosen) == 1:
        return chosen[0]
    members = sorted(chosen)
    name = "mean-of-" + "-".join(members)
    if len(name) > 60:
        name = f"mean-of-{len(members)}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    if name not in {run.name for run in runs}:
        folders = tuple(workspace.runs / member for member in members)
        request = EnsembleRequest(runs=folders, out=workspace.runs / name, weighting="equal")
        make_ensemble(request, SilentProgress())
    return name
