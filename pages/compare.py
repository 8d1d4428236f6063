"""Compare: two runs (or one run with other switches) on one tile under one zoom, and what can be said of the two."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.catalog.catalogue import collections, tiles
from core.classes import CLASS_NAMES
from core.errors import InputError
from core.evaluation.compare import compare_results
from core.evaluation.evaluate import MaskPair, count_pair
from core.evaluation.held_out import held_out, kept_evaluation
from core.evaluation.scores import Scores, from_confusion
from core.inference import store
from core.inference.extent import Extent
from core.inference.prediction_routes import prediction_url
from core.inference.store import KeptPrediction
from core.inference.switches import Switches
from core.progress import SilentProgress
from core.tables import Collection, Tile
from core.training.runs import Run, list_runs
from core.workspace import Workspace, open_workspace
from pages.components.evaluation_job import evaluation_active, start_evaluation
from pages.components.image_pair import Panel, image_panels, truth_address
from pages.components.jobs import job_list
from pages.components.legend import class_legend
from pages.components.offset_choice import Subject
from pages.components.scores_chart import difference_table
from pages.components.switches import choose_switches, describe
from pages.components.synthetic import synthetic_note

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: A or B."""

    letter: str
    run: str
    switches: Switches


def page() -> None:
    """The whole page."""
    st.title("Compare")
    workspace = open_workspace()
    known, runs = collections(workspace), list_runs(workspace.runs)
    if not known or not runs:
        st.info("Nothing to compare yet: it takes tiles and at least one run.", icon=":material/compare:")
        st.page_link(HERE / "train.py", label="Go to Train", icon=":material/model_training:")
        return
    collection, tile = _choose_tile(workspace, known)
    left, right = st.columns(2, gap="large")
    with left:
        a = _choose_side("A", workspace, collection, runs, default=0)
    with right:
        b = _choose_side("B", workspace, collection, runs, default=min(1, len(runs) - 1))
    if a.run == b.run and a.switches == b.switches:
        st.info("A and B are the same run with the same switches; change one of them.", icon=":material/info:")
    made = [_prediction(workspace, side, tile) for side in (a, b)]
    if not all(made):
        return
    _panels(tile, a, b, made)
    class_legend()
    _trained_on(workspace, collection, tile, (a, b))
    here, over_all = st.columns([2, 3], gap="large")
    with here:
        _this_tile(workspace, tile, (a, b), made)
    with over_all:
        _all_tiles(workspace, collection, a, b)


def _choose_tile(workspace: Workspace, known: list[Collection]) -> tuple[Collection, Tile]:
    first, second = st.columns(2)
    collection = first.selectbox("Collection", known, format_func=lambda c: c.name, key="compare_collection")
    rows = tiles(workspace, collection.id)
    rows.sort(key=lambda t: (t.mask_path is None, {"val": 0, "test": 1, "train": 2}[t.split]))
    tile = second.selectbox(
        "Tile",
        rows,
        format_func=lambda t: f"{t.name} ({t.split}{'' if t.mask_path else ', no truth'})",
        key=f"compare_tile_{collection.id}",
    )
    synthetic_note(collection)
    return collection, tile


def _choose_side(letter: str, workspace: Workspace, collection: Collection, runs: list[Run], *, default: int) -> Side:
    run = st.selectbox(f"Run {letter}", [r.name for r in runs], index=default, key=f"compare_run_{letter}")
    return Side(letter, run, choose_switches(Subject(workspace, collection, run), key=f"compare_{letter}"))


@st.cache_resource(max_entries=4, show_spinner=False)
def _predictor(folder: Path, made: float, _workspace: Workspace) -> store.Predictor:  # noqa: ARG001
    """The run in ``folder``, loaded once for every version (``made``, its card's time) of it."""
    return store.Predictor(_workspace, folder.name)


def _prediction(workspace: Workspace, side: Side, tile: Tile) -> KeptPrediction | None:
    """The kept prediction of one side; made now, while the person waits, where there is none or it is stale."""
    found = store.find(workspace, side.run, tile, side.switches)
    if found and found.stale is None:
        return found
    folder = store.run_folder(workspace, side.run)
    if store.extent(folder, tile) is None:
        st.info(
            f"{side.run} was imported and has nothing of tile {tile.name}; choose another tile.", icon=":material/info:"
        )
        return None
    with st.spinner(f"Predicting tile {tile.name} with {side.run}, {describe(side.switches)} ..."):
        try:
            predictor = _predictor(folder, (folder / "card.json").stat().st_mtime, workspace)
            made = predictor.compute(tile, side.switches, SilentProgress())
        except InputError as error:
            st.error(str(error), icon=":material/error:")
            return None
    if found:
        st.caption(f"{side.letter} was predicted anew: {found.stale}.")
    return made


def _panels(tile: Tile, a: Side, b: Side, made: list[KeptPrediction]) -> None:
    addresses = [prediction_url(side.run, side.switches, tile.id) for side in (a, b)]
    truth = truth_address(tile)
    panels = [Panel("Image", f"Tile {tile.name}", "image", off=True)]
    if truth:
        panels.append(Panel("Truth", "Truth", "raster", address=truth, off=True))
    for side, address, prediction in zip((a, b), addresses, made, strict=True):
        detail = f"{describe(side.switches)}, took {prediction.seconds:.2f} s"
        panels.append(Panel(side.letter, f"{side.letter}: {side.run}", "raster", detail=detail, address=address))
    panels.append(Panel("Difference", "Where they differ", "difference", a=addresses[0], b=addresses[1]))
    image_panels(tile, panels, height=440, key="compare_panels")


def _trained_on(workspace: Workspace, collection: Collection, tile: Tile, sides: tuple[Side, Side]) -> None:
    """Say it when a run knows this tile from its training: what it shows there is no test."""
    runs = dict.fromkeys(side.run for side in sides)
    knowing = [run for run in runs if tile.name in held_out(workspace, run, collection.id).trained_on]
    if knowing:
        sentence = f"{' and '.join(knowing)} trained on tile {tile.name}: what they show here is no test."
        st.warning(
            sentence if len(knowing) > 1 else sentence.replace("they show", "it shows"), icon=":material/warning:"
        )


def _this_tile(workspace: Workspace, tile: Tile, sides: tuple[Side, Side], made: list[KeptPrediction]) -> None:
    st.subheader(f"On tile {tile.name}", anchor=False)
    if tile.mask_path is None:
        st.caption("This tile came without a mask: the panels show where A and B differ, not who is right.")
        return
    parts = [store.extent(store.run_folder(workspace, side.run), tile) for side in sides]
    a, b = (
        _tile_scores(tile.mask_path, str(p.path), p.path.stat().st_mtime, tile.name, part)
        for p, part in zip(made, parts, strict=True)
    )
    rows = [{"class": "mean", "A": a.miou, "B": b.miou}]
    rows += [{"class": name, "A": a.iou[name], "B": b.iou[name]} for name in CLASS_NAMES if name in a.iou]
    table = pd.DataFrame(rows)
    table["A − B"] = table["A"] - table["B"]
    score = st.column_config.NumberColumn(format="%.3f")
    signed = st.column_config.NumberColumn(format="%+.3f")
    st.dataframe(table, hide_index=True, column_config={"A": score, "B": score, "A − B": signed})
    st.caption("IoU on this one tile, of the classes in its truth. One tile tells nothing about others.")


@st.cache_data(max_entries=256, show_spinner=False)
def _tile_scores(truth: str, prediction: str, made: float, name: str, judged: Extent | None) -> Scores:  # noqa: ARG001
    return from_confusion(count_pair(MaskPair(name, Path(truth), Path(prediction), judged)))


def _all_tiles(workspace: Workspace, collection: Collection, a: Side, b: Side) -> None:
    st.subheader("On all held-out tiles", anchor=False)
    results = {side: kept_evaluation(workspace, side.run, collection.id, side.switches) for side in (a, b)}
    missing = [side for side, result in results.items() if result is None]
    if missing:
        _offer(workspace, collection, missing)
        return
    compared = compare_results(results[a] or {}, results[b] or {})
    if compared is None:
        st.caption("The two share no held-out tile: each trained on what the other was judged on.")
        return
    _verdict(compared, a, b)


def _offer(workspace: Workspace, collection: Collection, missing: list[Side]) -> None:
    which = " and ".join(side.letter for side in missing)
    st.caption(f"Not scored yet with these switches: {which}. Scores over all held-out tiles decide who is better.")
    if st.button(f"Evaluate {which}", type="primary", icon=":material/analytics:", key="compare_evaluate"):
        for side in missing:
            start_evaluation(workspace, side.run, collection.id, side.switches)
        st.rerun()
    if evaluation_active(workspace):
        job_list(workspace, key="compare_jobs")


def _verdict(compared: dict[str, Any], a: Side, b: Side) -> None:
    difference = compared["difference"]["miou"]
    low, high = difference["interval"]
    words = {"better": "A is better than B", "worse": "A is worse than B", "cannot tell": "Cannot tell which is better"}
    st.markdown(f"**{words[difference['verdict']]}**: mean IoU {difference['value']:+.3f} ({low:+.3f} to {high:+.3f})")
    score = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        difference_table(compared),
        hide_index=True,
        column_config={"A": score, "B": score, "A − B": st.column_config.NumberColumn(format="%+.3f")},
    )
    if compared["note"]:
        st.warning(compared["note"], icon=":material/warning:")
    st.caption(
        f"A: {a.run}, {describe(a.switches)}. B: {b.run}, {describe(b.switches)}. IoU over the "
        f"{compared['tiles']} tiles that neither trained on and both were scored on; 95 % intervals, paired, "
        "bootstrap over whole tiles."
    )


page()
