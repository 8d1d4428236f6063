"""Measurements as jobs: started, looked for, and a button that does both with the jobs below it."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.jobs import queue, worker
from core.system import devices
from core.workspace import Workspace
from pages.components.jobs import job_list


@dataclass(frozen=True, slots=True)
class Measurement:
    """A job that measures something: its ``kind``, what it is called, and its command line after ``python -m core``."""

    kind: str
    title: str
    arguments: Sequence[str]


def start(workspace: Workspace, measurement: Measurement) -> None:
    """Queue it, on a GPU where there is one."""
    device = devices()[-1]
    queue.submit(
        workspace, kind=measurement.kind, title=measurement.title, arguments=measurement.arguments, device=device
    )
    worker.ensure_running(workspace, device)


def under_way(workspace: Workspace, measurement: Measurement) -> bool:
    """Whether just this one waits or runs: to ask for it twice would be work for nothing."""
    wanted = tuple(measurement.arguments)
    return any(job.state.active and job.arguments == wanted for job in queue.jobs(workspace))


def any_active(workspace: Workspace, kind: str) -> bool:
    """Whether one of this kind waits or runs."""
    return any(job.kind == kind and job.state.active for job in queue.jobs(workspace))


def measure_button(
    workspace: Workspace,
    measurement: Measurement,
    *,
    label: str,
    key: str,
    primary: bool,
    icon: str = ":material/calculate:",
) -> None:
    """The button; once it was pressed, or while such a job waits or runs, the list of jobs below it."""
    asked = f"{key}_asked"
    if st.button(
        label,
        type="primary" if primary else "secondary",
        icon=icon,
        key=key,
        disabled=under_way(workspace, measurement),
    ):
        start(workspace, measurement)
        st.session_state[asked] = True  # from here on a failure is shown too
        st.rerun()
    if any_active(workspace, measurement.kind) or st.session_state.get(asked):
        job_list(workspace, key=f"{key}_jobs")
