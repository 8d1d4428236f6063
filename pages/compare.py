"""Compare: two runs (or one run with other switches) on one tile under one zoom, and what can be said of the two."""

from typing import Any

import streamlit as st

from core.catalog.catalogue import collections, tile
from core.catalog.catalogue import tiles as tiles_of
from core.errors import InputError
from core.evaluation import switch_effects
from core.evaluation.compare import compare_results
from core.evaluation.compare_kept import compare_in_part
from core.evaluation.held_out import held_out, kept_evaluation
from core.inference import store
from core.tables import Collection
from core.training.runs import list_runs
from core.workspace import Workspace, open_workspace
from pages.components.compare_desk import compare_desk
from pages.components.compare_view import Side, parse_view
from pages.components.evaluate_choice import names_of
from pages.components.evaluation_job import KIND, evaluation
from pages.components.jobs import job_list
from pages.components.measuring_job import any_active, start
from pages.components.nothing_yet import nothing_yet
from pages.components.problems import plain
from pages.components.scores_chart import difference_table
from pages.components.switches import describe

_LAST = "compare_last"  # what was looked at when another page was opened


def page() -> None:
    """The whole page."""
    workspace = open_workspace()
    known = collections(workspace)
    has_tiles = any(tiles_of(workspace, one.id) for one in known)
    if not has_tiles or not list_runs(workspace.runs):
        st.title("Compare")
        nothing_yet(has_tiles=has_tiles)
        return
    _desk(workspace, _choose_collection(workspace, known))


def _choose_collection(workspace: Workspace, known: list[Collection]) -> Collection:
    """The collection of the tile that the address names, unless another is chosen."""
    filled = [one for one in known if tiles_of(workspace, one.id)]
    if len(filled) == 1:
        return filled[0]
    ids = [one.id for one in filled]
    place = ids.index(asked) if (asked := _asked_collection(workspace)) in ids else 0
    return st.selectbox("Collection", filled, place, format_func=lambda one: one.name, key="compare_collection")


def _asked_collection(workspace: Workspace) -> int | None:
    number = st.query_params.get("tile", "")
    try:
        return tile(workspace, int(number)).collection_id if number.isdecimal() and len(number) < 18 else None
    except InputError:
        return None


@st.fragment
def _desk(workspace: Workspace, collection: Collection) -> None:
    """The desk, and below it what can be said of both sides over all tiles; runs anew when the desk stands still."""
    view = compare_desk(collection, start=st.session_state.get(_LAST, {}), key=f"compare_desk_{collection.id}")
    if view:
        st.session_state[_LAST] = view
    try:
        sides = parse_view(view)
        if sides is not None:  # before the desk stands, all that the browser would load for this only holds it up
            _all_tiles(workspace, collection, *sides)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _all_tiles(workspace: Workspace, collection: Collection, a: Side, b: Side) -> None:
    st.subheader("On all held-out tiles", anchor=False)
    for side in (a, b):
        store.run_folder(workspace, side.run)  # the address may name any, and a run may be gone by now
    if a.run == b.run and a.switches == b.switches:
        st.info("A and B are the same run with the same switches; change one of them.", icon=":material/info:")
        return
    results = {side: kept_evaluation(workspace, side.run, collection.id, side.switches) for side in (a, b)}
    missing = [side for side, result in results.items() if result is None]
    if missing:
        _offer(workspace, collection, missing)
        return
    if any(held_out(workspace, side.run, collection.id).in_part for side in (a, b)):
        found = compare_in_part(
            *(switch_effects.Side(workspace, side.run, side.switches) for side in (a, b)), collection.id
        )
        compared = found.compared if found else None
        if found and found.tiles:
            st.caption(f"Compared on what both cover of {names_of(found.tiles)}: one was imported with smaller masks.")
    else:
        compared = compare_results(results[a] or {}, results[b] or {})
    if compared is None:
        st.caption("The two share no held-out tile: each trained on what the other was judged on, or lacks it.")
        return
    _verdict(compared, a, b)


def _offer(workspace: Workspace, collection: Collection, missing: list[Side]) -> None:
    which = " and ".join(side.letter for side in missing)
    st.caption(f"Not scored yet with these switches: {which}. Scores over all held-out tiles decide who is better.")
    if st.button(f"Evaluate {which}", type="primary", icon=":material/analytics:", key="compare_evaluate"):
        for side in missing:
            start(workspace, evaluation(side.run, collection.id, side.switches))
        st.rerun()
    if any_active(workspace, KIND):
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
    for warning in filter(None, [compared["note"], *compared["warnings"]]):
        st.warning(plain(warning), icon=":material/warning:")
    st.caption(
        f"A: {plain(a.run)}, {describe(a.switches)}. B: {plain(b.run)}, {describe(b.switches)}. IoU over the "
        f"{compared['tiles']} tiles that neither trained on and both were scored on; 95 % intervals, paired, jackknife "
        "over whole tiles; the verdicts of the classes are corrected for their number (Holm 1979). 'Tiles to tell': "
        "about how many tiles like these would tell a difference as large as this one."
    )


page()
