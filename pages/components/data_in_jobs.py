"""What brings tiles in, as jobs: begun here, watched at the top of Start, and told about when they end.

Reading disks has a device of its own in the queue, and so has the network: neither should wait for a training.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.catalog.incoming.archive import import_folder
from core.errors import InputError
from core.jobs import log, queue, worker
from core.jobs.outcome import JobState
from core.jobs.queue import JobView
from core.tables import Setting
from core.workspace import Workspace
from pages.components.job_cards import paused_job, running_job
from pages.components.jobs import Look
from pages.components.problems import plain

DISK, NETWORK = "disk", "network"
KINDS = frozenset({"index", "draw-sample", "add-files", "import-mapped", "download-deepglobe"})
WATCH_SECONDS = 0.5

OPENED = "opened_collection"
"""Session state: the collection that was brought in last in this session."""
CAME = "data_in_came"
"""Session state: what came of it, in a sentence."""

_GO_ON = {
    "index": "Cancelled; the tiles that were read are kept. To go on, open the folder again.",
    "download-deepglobe": "Cancelled; what has come is kept, and the next download goes on there.",
    "import-mapped": "Cancelled; nothing of it was kept.",
}
_MINE = "data_in_mine"
_DISMISSED = "data_in_dismissed"


def begin(workspace: Workspace, *, title: str, arguments: Sequence[str], device: str = DISK) -> int | None:
    """Queue ``python -m core <arguments>`` and have it run; the job's number, None when just that one is under way.

    Call ``st.rerun`` after it: the page then shows the job. Raises ``InputError`` when no worker can be started.
    """
    wanted = (*arguments, "--workspace", str(workspace.root))
    if any(view.arguments == wanted and view.state.active for view in queue.jobs(workspace)):
        return None
    job_id = queue.submit(workspace, kind=arguments[0], title=title, arguments=wanted, device=device)
    st.session_state.setdefault(_MINE, set()).add(job_id)
    worker.ensure_running(workspace, device)
    return job_id


def new_import_name(workspace: Workspace, wanted: str) -> str:
    """A name for an import that neither a folder has nor a job that is about to make one."""
    active = [view.arguments for view in queue.jobs(workspace) if view.state.active]
    taken = {job[job.index("--to") + 1] for job in active if "--to" in job[:-1]}
    return import_folder(workspace, wanted, taken).name


def take_results(workspace: Workspace) -> None:
    """Turn to what this session's jobs have brought in; before the collections are shown."""
    mine = st.session_state.get(_MINE, set())
    for view in queue.jobs(workspace) if mine else ():
        if view.id in mine and view.state is JobState.DONE:
            mine.discard(view.id)
            _tell_what_came(workspace, view)


def bringing_in(workspace: Workspace) -> None:
    """Show what is being brought in, live, and what went wrong with what was; when one ends, the page goes on."""
    ours = [view for view in Look(workspace).views if view.kind in KINDS]
    dismissed = _dismissed(workspace)
    for view in ours:
        tried_again = any(other.title == view.title and other.id > view.id for other in ours)
        went_wrong = view.state.ended and view.state is not JobState.DONE
        if went_wrong and view.id > dismissed and not tried_again:
            _show_failed(workspace, view)
    active = frozenset(view.id for view in ours if view.state.active)
    if active or any(view.state is JobState.PAUSED for view in ours):
        st.fragment(_watch, run_every=WATCH_SECONDS if active else None)(workspace, active)


def _watch(workspace: Workspace, were_active: frozenset[int]) -> None:
    """The fragment. ``were_active`` are the jobs that the page's last run saw waiting or running."""
    look = Look(workspace)
    ours = [view for view in look.views if view.kind in KINDS]
    if frozenset(view.id for view in ours if view.state.active) != were_active:
        st.rerun()
    for view in ours:
        if view.state is JobState.RUNNING:
            running_job(workspace, view, "data_in")
        elif view.state is JobState.QUEUED:
            _waiting(workspace, view)
        elif view.state is JobState.PAUSED:
            paused_job(workspace, view, "data_in")


def _waiting(workspace: Workspace, view: JobView) -> None:
    with st.container(border=True, gap="xsmall"):
        first = view.place == 1 and not queue.running_jobs(workspace, view.device)
        when = "starting" if first else f"waits for what is before it on the {view.device}"
        st.progress(0.0, text=f"{plain(view.title)}: {when}")
        st.button(
            "Cancel",
            icon=":material/close:",
            key=f"data_in_drop_{view.id}",
            on_click=queue.cancel,
            args=(workspace, view.id),
        )


def _tell_what_came(workspace: Workspace, view: JobView) -> None:
    result = log.read_result(workspace, view.id)
    if result is None:
        return
    st.session_state[OPENED] = result["collection_id"]
    st.session_state[CAME] = (result["collection_id"], what_came(result))
    st.toast(f"{result['tiles']:,} tiles are ready.", icon=":material/check_circle:")


def what_came(result: dict[str, Any]) -> str:
    """What a job's result says in one line: tiles new or changed, forgotten, files that were there, wrong ones."""
    findings = result["findings"]
    left_out = sum(finding["severity"] == "error" for finding in findings)
    parts = [f"{result['read']:,} of {result['tiles']:,} tiles were new or changed"]
    if result["removed"]:
        parts.append(f"{result['removed']:,} whose files are gone were forgotten")
    if "added" in result:
        parts.append(f"{result['added']:,} files added")
        if result["already"]:
            parts.append(f"{result['already']:,} were there already")
        if result["skipped"]:
            parts.append(f"{result['skipped']:,} were neither picture nor text")
    if "linked" in result:
        parts.append(
            f"{result['linked']:,} images linked, {result['written']:,} made ready, {result['masks']:,} masks mapped"
        )
    if findings:
        parts.append(f"{left_out:,} files left out, {len(findings) - left_out:,} used with a caveat")
    return "; ".join(parts) + "."


def _show_failed(workspace: Workspace, view: JobView) -> None:
    cancelled = view.state is JobState.CANCELLED
    box, icon = (st.warning, ":material/cancel:") if cancelled else (st.error, ":material/error:")
    sentence = view.message or "It ended without a word."
    if cancelled:
        sentence = _GO_ON.get(view.kind, sentence)
    left, right = st.columns([8, 2], vertical_alignment="center")
    with left:
        box(f"**{plain(view.title)}**: {plain(sentence)}", icon=icon)
    with right.container(horizontal=True, horizontal_alignment="right"):
        if view.resumable and "--credentials" not in view.arguments:  # what was typed is handed over only once
            tip = "Starts the same command once more"
            st.button("Try again", key=f"data_in_again_{view.id}", help=tip, on_click=_again, args=(workspace, view))
        st.button(
            ":material/close:",
            key=f"data_in_dismiss_{view.id}",
            help="Dismiss",
            type="tertiary",
            on_click=_dismiss,
            args=(workspace, view.id),
        )


def _again(workspace: Workspace, view: JobView) -> None:
    try:
        queue.resume(workspace, view.id)
        st.session_state.setdefault(_MINE, set()).add(view.id)
        worker.ensure_running(workspace, view.device)
    except InputError as error:
        st.toast(plain(str(error)), icon=":material/error:")


def _dismissed(workspace: Workspace) -> int:
    with workspace.database.read() as session:
        row = session.get(Setting, _DISMISSED)
    return int(row.value["job"]) if row else 0


def _dismiss(workspace: Workspace, job_id: int) -> None:
    """Put away what is told of this job and of those before it."""
    with workspace.database.write() as session:
        session.merge(Setting(key=_DISMISSED, value={"job": job_id}))


def folder_title(folder: Path) -> str:
    """How a job that reads a folder is called."""
    return f"Reading {folder.name or folder}"
