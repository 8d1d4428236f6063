"""Evaluate, Leaderboard: all evaluated runs of a collection on their common tiles, and which cannot be told apart."""

import streamlit as st

from core.evaluation.held_out import held_out
from core.evaluation.intervals import FEW_TILES
from core.evaluation.leaderboard import Entry, entries, leaderboard, with_shared_tiles
from core.inference.switches import Switches
from core.training.runs import list_runs
from pages.components.evaluate_choice import Choice, choose_rule
from pages.components.evaluation_job import KIND, evaluation
from pages.components.jobs import job_list
from pages.components.leaderboard_chart import leaderboard_figure, leaderboard_table
from pages.components.measuring_job import any_active, start, under_way
from pages.components.problems import plain
from pages.components.scores_chart import CHART_BAR
from pages.components.switches import describe

_ASKED = "leaderboard_asked"


def section(choice: Choice) -> None:
    """The whole section."""
    rows = entries(choice.workspace, choice.collection.id)
    if rows:
        chosen = _choose(rows)
        if len(chosen) < 2:
            st.info(
                "A leaderboard takes at least two evaluated runs; choose or evaluate another.", icon=":material/info:"
            )
        if chosen:
            _board(choice, chosen)
    else:
        st.info(f"No run is evaluated on {plain(choice.collection.name)} yet.", icon=":material/info:")
    _not_evaluated(choice, {row.run for row in rows})


def _name(row: Entry) -> str:
    words = describe(row.switches)
    return row.run if words == "no switches" else f"{row.run}, {words}"


def _choose(rows: list[Entry]) -> list[Entry]:
    """Which evaluations to rank: at first one a run, without switches where that was evaluated, with shared tiles."""
    first: dict[str, Entry] = {}
    for row in rows:
        if row.run not in first or row.switches == Switches():
            first[row.run] = row
    names = {_name(row): row for row in rows}
    start = with_shared_tiles(list(first.values()))
    chosen = st.multiselect(
        "Evaluated runs",
        list(names),
        default=[_name(row) for row in start],
        key="leaderboard_rows",
        help="A run that was evaluated with several switches can take part with each. The run and the switches that "
        "are chosen at the top of the page do not matter here.",
    )
    left = [f"{plain(_name(row))} ({len(row.result['per_tile'])})" for row in first.values() if row not in start]
    if left:
        st.caption(
            f"Left out at first, since with them fewer than {FEW_TILES} tiles would be common: {', '.join(left)} "
            "(in brackets the tiles that each was judged on)."
        )
    return [names[name] for name in chosen]


def _board(choice: Choice, chosen: list[Entry]) -> None:
    rule = choose_rule("leaderboard_rule")
    board = leaderboard(chosen, rule)
    if not board["entries"]:
        st.info(
            "These runs share no tile that all were judged on: each trained on what another was judged on. Choose "
            "fewer, or train with the same tiles held out.",
            icon=":material/info:",
        )
        return
    if board["note"]:
        st.warning(board["note"], icon=":material/warning:")
    switches = [Switches.from_facts(entry["switches"]) for entry in board["entries"]]
    names = [_name(Entry(entry["run"], one, {})) for entry, one in zip(board["entries"], switches, strict=True)]
    st.plotly_chart(leaderboard_figure(board, names), key="leaderboard_chart", config=CHART_BAR)
    if board["warnings"]:
        st.warning("\n\n".join(map(plain, board["warnings"])), icon=":material/warning:")
    score = st.column_config.NumberColumn(format="%.3f")
    signed = st.column_config.NumberColumn(format="%+.3f")
    seconds = st.column_config.NumberColumn(format="%.2f", help="Median, from the file to the class raster")
    st.dataframe(
        leaderboard_table(board, [describe(one) if one.facts else "" for one in switches]),
        hide_index=True,
        column_config={"mIoU": score, "− best": signed, "s a tile": seconds},
    )
    tiles = "1 tile" if len(board["tiles"]) == 1 else f"{len(board['tiles'])} tiles"
    pairs = "1 comparison" if board["comparisons"] == 1 else f"{board['comparisons']} comparisons"
    st.caption(
        f"Measured on the {tiles} of {plain(choice.collection.name)} that all were judged on; {board['averaging']}. A "
        "run has every rank that it may have: those that share ranks cannot be told apart. Verdicts and ranks are "
        f"corrected for {pairs} ({board['correction']}); the intervals are each by itself. 'Tiles to tell': about how "
        "many tiles like these would tell a difference as large as this one."
    )


def _not_evaluated(choice: Choice, evaluated: set[str]) -> None:
    """The runs that could take part, each with the button that evaluates it, and why others cannot."""
    workspace, collection = choice.workspace, choice.collection
    missing = [run.name for run in list_runs(workspace.runs) if run.name not in evaluated]
    if missing:
        st.subheader("Not evaluated yet", anchor=False)
    for run in missing:
        tiles = len(held_out(workspace, run, collection.id).tiles)
        with st.container(horizontal=True, vertical_alignment="center"):
            if not tiles:
                st.caption(f"{plain(run)}: no tile with a mask is left that it did not train on.")
                continue
            asked = evaluation(run, collection.id, Switches())
            if st.button(
                f"Evaluate {plain(run)}",
                key=f"leaderboard_evaluate_{run}",
                icon=":material/analytics:",
                disabled=under_way(workspace, asked),
            ):
                start(workspace, asked)
                st.session_state[_ASKED] = True  # from here on a failure is shown too
                st.rerun()
            st.caption(f"on {tiles} held-out tiles, without switches")
    if any_active(workspace, KIND) or st.session_state.get(_ASKED):
        job_list(workspace, key="leaderboard_jobs")
