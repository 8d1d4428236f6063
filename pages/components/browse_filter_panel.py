"""The popover of the filters that do not fit the bar: class shares, labels in numbers and time, what runs say."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from core.catalog.alike.looks import KIND as LOOK
from core.catalog.filter_outside import judged_runs, looked_at
from core.catalog.filter_words import asked
from core.catalog.tile_filter import PRESENT, WORKS, Range, TileFilter
from core.catalog.tile_table import TileTable
from core.classes import CLASS_NAMES
from core.labels.queue_facts import KIND as FACTS
from core.labels.queue_facts import newest_run, queue_facts_arguments
from core.workspace import Workspace
from pages.components.browse_address import filter_now, show_filter
from pages.components.class_palette import screen_colours
from pages.components.measuring_job import Measurement, measure_button
from pages.components.problems import plain

ENDLESS = float("inf")
# The count is written by the style: with another label it would be another popover, and close.
_COUNT = """<style>.st-key-browse_filter_panel button p::after {{ content: " · {}" }}
.st-key-browse_filter_panel > div > div > button, .st-key-browse_filter_panel > div > button
{{ border-color: var(--st-primary-color); background: color-mix(in srgb, var(--st-primary-color) 22%, transparent) }}
</style>"""
_QUICK: dict[str, Range] = {
    "present": PRESENT,
    "≥ 5 %": (5, ENDLESS),
    "≥ 20 %": (20, ENDLESS),
    "≥ 50 %": (50, ENDLESS),
    "absent": (0, 0),
}


def hidden_parts(wanted: TileFilter) -> int:
    """How many active parts of a filter stand in the popover only."""
    return len(asked(replace(wanted, text="", split=None, labels=None), {}))


def filter_panel(workspace: Workspace, table: TileTable, wanted: TileFilter) -> None:
    """The button with the count of what is active in it. Its widgets are made only while it is open."""
    count = hidden_parts(wanted)
    if count:
        st.html(_COUNT.format(count))
    panel = st.popover("Filter", icon=":material/filter_alt:", key="browse_filter_panel", on_change="rerun")
    if not panel.open:
        return
    with panel, st.container(width=690, height=500, border=False, gap="small"):
        _shares(table, wanted)
        _labels(table, wanted)
        _of_runs(workspace, table, wanted)
        _alike(workspace, table, wanted)


def _shares(table: TileTable, wanted: TileFilter) -> None:
    """A row a class: chips for what is mostly asked, a slider for the rest."""
    known = int((table.tiles.has_mask | table.labels.labelled).sum())
    by_run = table.opinions.run
    st.markdown("**Classes**", width="content")
    if by_run or wanted.predicted:
        _switch("predicted", wanted.predicted, f"as run {by_run or '?'} predicts, not as the masks and labels say")
    st.caption(
        f"Shares of a tile's pixels, by the given mask, else by what was labelled here: {known} of "
        f"{len(table.rows)} tiles have either."
        if not wanted.predicted
        else f"Predicted shares, of run {plain(by_run or 'none')}."
    )
    for name, colour in zip(CLASS_NAMES, screen_colours(), strict=True):
        left, middle, right = st.columns([1.5, 5.3, 2.4], vertical_alignment="center", gap="small")
        left.html(
            f'<span style="font-size:.88rem"><i style="display:inline-block;width:.8em;height:.8em;margin-right:.45em;'
            f'border-radius:.2em;outline:1px solid rgba(128,128,128,.7);background:{colour}"></i>{name}</span>'
        )
        now = wanted.shares.get(name)
        with middle:
            _quick(name, now)
        with right:
            _slider(f"share_{name}", f"{name} (%)", now, lambda value, name=name: _with_share(name, value))
    first, second = st.columns(2, gap="medium")
    with first:
        _numbers("classes", "Classes on a tile", wanted.classes, most=len(CLASS_NAMES))
    with second:
        st.caption("Labelled part of the tile (%)")
        _slider("known", "Labelled (%)", wanted.known, lambda value: {"known": value})


def _quick(name: str, now: Range | None) -> None:
    key = f"filter_quick_{name}"
    st.session_state[key] = next((words for words, share in _QUICK.items() if share == now), None)
    st.pills(
        f"{name}: quick choice",
        list(_QUICK),
        key=key,
        label_visibility="collapsed",
        on_change=lambda: _ask(**_with_share(name, _QUICK.get(st.session_state[key] or ""))),
    )


def _with_share(name: str, share: Range | None) -> dict[str, Any]:
    rest = {other: kept for other, kept in filter_now().shares.items() if other != name}
    return {"shares": rest if share is None else {**rest, name: share}}


def _labels(table: TileTable, wanted: TileFilter) -> None:
    st.markdown("**Labels**")
    first, second = st.columns(2, gap="medium")
    with first:
        _select("work", "Work status", ["", *WORKS], wanted.work)
        _numbers("instances", "Labelled instances", wanted.instances, most=10**6)
    with second:
        people = list(dict.fromkeys([*table.labels.annotators, *([wanted.annotator] if wanted.annotator else [])]))
        _select("annotator", "Painted by", ["", *people], wanted.annotator)
        left, right = st.columns(2, gap="small")
        with left:
            _date("since", "Labelled since", wanted)
        with right:
            _date("until", "until", wanted)


def _of_runs(workspace: Workspace, table: TileTable, wanted: TileFilter) -> None:
    st.markdown("**What a run says, and files**")
    first, second = st.columns(2, gap="medium")
    with first:
        if table.opinions.run:
            st.caption(plain(f"Uncertainty of run {table.opinions.run} (%)"))
            _slider("uncertainty", "Uncertainty (%)", wanted.uncertainty, lambda value: {"uncertainty": value})
        else:
            _offer_facts(workspace, table)
    with second:
        runs = list(judged_runs(workspace, table))
        if runs:
            _select("run", "IoU (%) of run", ["", *runs], wanted.run, empty=f"{runs[0]} (newest)")
            _slider("iou", "IoU (%)", wanted.iou, lambda value: {"iou": value})
        else:
            st.caption("IoU: no run was judged on these tiles yet; the Evaluate page does that.")
    troubled = int(table.tiles.has_problem.sum())
    _switch("problems", wanted.problems, f"only tiles with something wrong with their files ({troubled})")


def _offer_facts(workspace: Workspace, table: TileTable) -> None:
    run = newest_run(workspace)
    if run is None:
        st.caption("Uncertainty: there is no run yet that could tell it; train one.")
        return
    st.caption("Uncertainty: no run has looked at these tiles yet.")
    arguments = queue_facts_arguments(table.collection_id, run)
    job = Measurement(FACTS, "Look at tiles for the queue", arguments)
    measure_button(workspace, job, label=f"Look with run {plain(run)}", key="browse_facts", primary=False)


def _alike(workspace: Workspace, table: TileTable, wanted: TileFilter) -> None:
    st.markdown("**Looks like**")
    if not looked_at(workspace, table):
        offer_look(workspace, table)
        return
    number = table.tiles.number_of.get(wanted.alike or 0)
    st.session_state["filter_alike"] = "" if number is None else table.rows[number].name
    st.text_input(
        "Id of the tile that others should look like",
        key="filter_alike",
        placeholder="id of a tile",
        width=260,
        on_change=lambda: _take_alike(table),
    )
    refused = st.session_state.pop("filter_alike_refused", None)
    if refused is not None:
        st.caption(plain(f"There is no tile {refused} in this collection."))


def offer_look(workspace: Workspace, table: TileTable) -> None:
    """Say that nobody looked at the tiles yet, with the button of the job that does."""
    st.caption("The tiles were not looked at yet: what looks alike is known after one pass over their images.")
    job = Measurement(LOOK, "Look at the tiles", ["look", "--collection", str(table.collection_id)])
    measure_button(
        workspace, job, label="Look at the tiles", key="browse_look", primary=False, icon=":material/visibility:"
    )


def _take_alike(table: TileTable) -> None:
    name = st.session_state["filter_alike"].strip()
    wanted = filter_now()
    found = next((row.id for row in table.rows if row.name == name), None)
    if name and found is None:
        st.session_state["filter_alike_refused"] = name
        return
    by_likeness = {"order": "alike", "descending": True} if found else {"order": "name", "descending": False}
    show_filter(replace(wanted, alike=found, **by_likeness))


def _slider(name: str, label: str, now: Range | None, taken: Callable[[Range | None], dict[str, Any]]) -> None:
    """From 0 to 100 %, both ends open; the whole of it asks for nothing."""
    key = f"filter_{name}"
    low, high = now or (0.0, 100.0)
    st.session_state[key] = (round(min(low, 100)), round(min(high, 100)))

    def take() -> None:
        low, high = st.session_state[key]
        value = None if (low, high) == (0, 100) else (float(low), ENDLESS if high == 100 else float(high))
        _ask(**taken(value))

    st.slider(label, 0, 100, key=key, label_visibility="collapsed", format="%d %%", on_change=take)


def _numbers(name: str, label: str, now: Range | None, *, most: int) -> None:
    """Two whole numbers, each of which may be left empty."""
    keys = (f"filter_{name}_from", f"filter_{name}_to")
    low, high = now or (None, None)
    st.session_state[keys[0]] = None if low is None else int(min(low, most))
    st.session_state[keys[1]] = None if high is None or high == ENDLESS else int(min(high, most))

    def take() -> None:
        first, last = (st.session_state[key] for key in keys)
        value = (float(first or 0), ENDLESS if last is None else float(max(last, first or 0)))
        _ask(**{name: None if first is None and last is None else value})

    left, right = st.columns(2, gap="small")
    left.number_input(f"{label}, from", 0, most, value=None, key=keys[0], on_change=take)
    right.number_input("to", 0, most, value=None, key=keys[1], on_change=take)


def _select(name: str, label: str, options: list[str], now: str | None, *, empty: str = "any") -> None:
    key = f"filter_{name}"
    st.session_state[key] = now if now in options else ""
    st.selectbox(
        label,
        options,
        format_func=lambda option: option or empty,
        key=key,
        on_change=lambda: _ask(**{name: st.session_state[key] or None}),
    )


def _date(name: str, label: str, wanted: TileFilter) -> None:
    key = f"filter_{name}"
    st.session_state[key] = getattr(wanted, name)
    st.date_input(label, value=None, key=key, on_change=lambda: _ask(**{name: st.session_state[key]}))


def _switch(name: str, now: bool, label: str) -> None:
    key = f"filter_{name}"
    st.session_state[key] = now
    st.toggle(plain(label), key=key, on_change=lambda: _ask(**{name: st.session_state[key]}))


def _ask(**parts: Any) -> None:
    show_filter(replace(filter_now(), **parts))
