"""The labelling queue: the rule that orders it, what comes next and why, and the tiles of each status."""

from collections import Counter
from collections.abc import Sequence
from html import escape

import streamlit as st

from core.catalog.catalogue import tiles
from core.jobs import queue as jobs
from core.jobs import worker
from core.labels.queue import Queue, next_up
from core.labels.queue_facts import KIND, newest_run, queue_facts_arguments
from core.labels.queue_rules import ACCOUNTS, Rule
from core.labels.work_status import Status, Work, works
from core.system import devices
from core.tables import Tile
from pages.components.label_desk import QUEUE_OPEN, Desk, go

SHOWN = 10
_RULE, _SEED, _SHOW = "label_rule", "label_seed", "label_show"
_TO_DO = "to do"


def chosen_queue(desk: Desk) -> Queue:
    """The queue by the rule that the person chose, without the tile on the screen."""
    rule = Rule(st.session_state.get(_RULE, Rule.GIVEN))
    seed = int(st.session_state.get(_SEED, 0))
    return next_up(
        desk.workspace, desk.tile.collection_id, rule, annotator=desk.annotator, seed=seed, skip=desk.tile.id
    )


def go_to_next(desk: Desk) -> None:
    """Open the best tile that waits; what others did since the page was drawn counts."""
    places = chosen_queue(desk).places
    if places:
        go(places[0].tile.id, reason=places[0].reason)
    else:
        st.session_state["label_reason"] = (desk.tile.id, "nothing else waits: every other tile is done or in use")


def queue_panel(desk: Desk) -> None:
    """The button that opens the queue. What is in it is worked out only while it is open."""
    panel = st.popover("Queue", icon=":material/format_list_numbered:", key=QUEUE_OPEN, on_change="rerun")
    if not panel.open:
        return
    with panel, st.container(width=460):
        with st.container(horizontal=True):
            rule = Rule(st.selectbox("Order", list(Rule), key=_RULE, persist_state="session"))
            if rule is Rule.RANDOM:
                st.number_input("Seed", 0, 9999, key=_SEED, width=110, persist_state="session")
            found = chosen_queue(desk)
            rows = _chosen_rows(desk, found)
        _explain(rule)
        if found.lacking:
            _offer_facts(desk, found.lacking, rule)
        _show(rows)


def _explain(rule: Rule) -> None:
    account = ACCOUNTS[rule]
    st.caption(account.sentence + " Tiles that were sent back come first, finished ones and those in use are left out.")
    with st.expander("How it is computed", icon=":material/function:"):
        st.markdown(account.formula)
        if account.source:
            st.caption(f"After: {account.source}")


def _offer_facts(desk: Desk, sentence: str, rule: Rule) -> None:
    """Say what the order lacks, and offer the job that mends it where one can."""
    st.info(sentence, icon=":material/info:")
    run, needs = newest_run(desk.workspace), ACCOUNTS[rule].needs
    if needs == "nothing" or (needs == "run" and run is None):
        return
    busy = any(job.kind == KIND and job.state.active for job in jobs.jobs(desk.workspace))
    label = f"Look at the tiles with run {run}" if run else "Look at the tiles with the encoder alone"
    if st.button("Looking at the tiles" if busy else label, icon=":material/visibility:", disabled=busy):
        device = devices()[-1]
        jobs.submit(
            desk.workspace,
            kind=KIND,
            title="Look at tiles for the queue",
            arguments=queue_facts_arguments(desk.tile.collection_id, run),
            device=device,
        )
        worker.ensure_running(desk.workspace, device)
        st.rerun()  # the sidebar then shows how far the job is
    if busy:
        st.caption("The sidebar shows how far it is; open the queue again when it is done.")


_Row = tuple[Tile, Status, str]


def _chosen_rows(desk: Desk, found: Queue) -> list[_Row]:
    """What comes next with its reason, or the tiles of one status, as the person chooses."""
    standing = works(desk.workspace, desk.tile.collection_id)
    members = tiles(desk.workspace, desk.tile.collection_id)
    counts = Counter(_work(standing, tile).status for tile in members)
    labels = {_TO_DO: f"to do ({len(found.places)})"} | {str(s): f"{s} ({counts[s]})" for s in Status}
    shown = st.selectbox(
        "Show", list(labels), key=_SHOW, persist_state="page", format_func=lambda choice: labels[choice]
    )
    if shown == _TO_DO:
        return [(place.tile, place.status, place.reason) for place in found.places]
    told = ((tile, _work(standing, tile)) for tile in members)
    return [(tile, work.status, _story(work)) for tile, work in told if work.status == shown]


def _work(standing: dict[int, Work], tile: Tile) -> Work:
    return standing.get(tile.id, Work())


def _story(work: Work) -> str:
    """Who brought a tile where it stands, and what a reviewer said."""
    who = f"by {work.annotator}" if work.annotator else ""
    return f"{who}: {work.comment}" if work.comment else who


def _show(rows: Sequence[_Row]) -> None:
    """The first rows, each with a picture and a button."""
    if not rows:
        st.caption("There is no such tile but the one on the screen.")
    for tile, status, reason in rows[:SHOWN]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            picture = f"/tiles/{tile.id}/thumbnail.jpg?size=128&v={tile.fingerprint}"
            st.html(
                f'<img src="{picture}" alt="" width="44" height="44" '
                'style="display:block;object-fit:cover;border-radius:6px">',
                width="content",
            )
            badge = "" if status is Status.NEW else f' <span style="opacity:.7">· {escape(status)}</span>'
            st.html(
                f"<div><b>{escape(tile.name)}</b>{badge}<br>"
                f'<span style="opacity:.8;font-size:.85em;overflow-wrap:anywhere">{escape(reason)}</span></div>',
                width="stretch",
            )
            st.button("Open", key=f"label_open_{tile.id}", on_click=go, args=(tile.id,), kwargs={"reason": reason})
    if len(rows) > SHOWN:
        st.caption(f"and {len(rows) - SHOWN} more")
