"""The button that starts a measurement as a job, and the jobs while it waits or runs."""

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


def measure_button(workspace: Workspace, measurement: Measurement, *, label: str, key: str, primary: bool) -> None:
    """The button; once it was pressed, or while such a job waits or runs, the list of jobs below it."""
    wanted = tuple(measurement.arguments)
    alike = [job for job in queue.jobs(workspace) if job.kind == measurement.kind and job.state.active]
    asked = f"{key}_asked"
    if st.button(
        label,
        type="primary" if primary else "secondary",
        icon=":material/calculate:",
        key=key,
        disabled=any(job.arguments == wanted for job in alike),
    ):
        device = devices()[-1]
        queue.submit(
            workspace, kind=measurement.kind, title=measurement.title, arguments=measurement.arguments, device=device
        )
        worker.ensure_running(workspace, device)
        st.session_state[asked] = True  # from here on a failure is shown too
        st.rerun()
    if alike or st.session_state.get(asked):
        job_list(workspace, key=f"{key}_jobs")
