"""What a fit would take, before it starts: tried in the background, so that the page never waits."""

from collections.abc import Sequence

import streamlit as st

from core.training import forecast_process
from core.training.forecast import Forecast
from core.workspace import Workspace
from pages.components.job_cards import duration
from pages.components.problems import plain

SECONDS = 0.7
HELP = "Minutes and memory are measured by beginning this very fit for some seconds, in the background."


def forecast_box(workspace: Workspace, arguments: Sequence[str], *, labels: str, busy: bool) -> None:
    """The forecast of a ``fit`` with these arguments, and the button that measures it.

    ``labels`` is the version of the labels: a forecast holds for one. ``busy`` says that a job runs, which slows the
    measuring down.
    """
    key = forecast_process.forecast_key(arguments, labels)
    running = forecast_process.look(workspace, key).state == "running"
    with st.container():
        st.fragment(_box, run_every=SECONDS if running else None)(workspace, key, list(arguments), running, busy)


def _box(workspace: Workspace, key: str, arguments: list[str], was_running: bool, busy: bool) -> None:
    found = forecast_process.look(workspace, key)
    if was_running and found.state != "running":
        st.rerun()  # the page's own run stops the timer
    label = {"running": "Stop", "done": "Measure again"}.get(found.state, "Measure")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Forecast{'' if found.forecast else ' :gray[· not measured]'}", width="stretch")
        slow = " A job is running: the measure will be on the slow side." if busy else ""
        pressed = st.button(label, icon=":material/timer:", key="forecast_button", help=HELP + slow)
    if pressed and found.state == "running":
        forecast_process.stop(workspace)
        st.rerun()
    if pressed:
        forecast_process.start(workspace, key, arguments)
        st.rerun()
    if found.state == "running":
        st.progress(found.share, text=plain(found.message))
    elif found.state == "failed":
        st.error(plain(found.message), icon=":material/error:")
    elif found.forecast is not None:
        _show(found.forecast)


def _show(forecast: Forecast) -> None:
    memory = f"{forecast.memory_bytes / 2**30:.1f} GiB"
    if forecast.device_memory_bytes:
        memory += f" + {forecast.device_memory_bytes / 2**30:.1f} on the GPU"
    bound = "at most" if forecast.at_most else "about"
    figures = (
        ("Time", f"{bound} {duration(forecast.seconds)}"),
        ("Memory", memory),
        ("Trained parameters", count(forecast.trained_parameters)),
    )
    cached = forecast.tiles - forecast.uncached_tiles
    kept = (
        f" Features of {cached} of {forecast.tiles} tiles are cached by now." if cached and forecast.cacheable else ""
    )
    frozen = f" {count(forecast.frozen_parameters)} parameters stay frozen." if forecast.frozen_parameters else ""
    how = f"{forecast.how}{kept} {duration(forecast.reading_seconds)} of it go into reading and features.{frozen}"
    for index, (column, (name, value)) in enumerate(zip(st.columns([1.1, 0.9, 1.2]), figures, strict=True)):
        told = plain(how) if index == 0 else None
        column.markdown(f":small[:gray[{name}]]  \n**{value}**", help=told)
    for sentence in forecast.warnings:
        st.markdown(f":small[:orange[:material/warning: {plain(sentence)}]]")


def count(number: int) -> str:
    """A number of parameters as a person says it: ``13,590``, ``4.4 million``."""
    return f"{number / 1e6:.1f} million" if number >= 1_000_000 else f"{number:,}"
