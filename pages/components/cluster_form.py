"""The workspace's cluster on the page: its settings with a test of the connection, and what a job asks it for."""

from urllib.parse import urlsplit

import streamlit as st

from core.cluster.jobs_api import Resources
from core.cluster.settings import (
    TOKEN_VARIABLE,
    ClusterAddress,
    connect,
    forget_cluster,
    need_cluster,
    read_cluster,
    read_token,
)
from core.errors import InputError
from core.jobs.slots import CLUSTER
from core.workspace import Workspace
from pages.components.problems import plain

KEY = "cluster"
_ADDRESS, _TOKEN, _PYTHON, _TOLD = (f"{KEY}-{name}" for name in ("address", "token", "python", "told"))
PATIENCE_SECONDS = 5.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def cluster_devices(workspace: Workspace) -> list[str]:
    """The cluster as a device to choose, where the workspace has one."""
    return [CLUSTER] if read_cluster(workspace) else []


def cluster_request(workspace: Workspace) -> Resources:
    """What a job asks the cluster for: GPUs and processors of one node; a little of what its largest has."""
    has = need_cluster(workspace)
    first, second = st.columns(2)
    gpus = first.number_input(
        "GPUs to ask for", min_value=0, max_value=64, value=min(1, int(has.node_gpus)), key=f"{KEY}-gpus-{has.address}"
    )
    cpus = second.number_input(
        "Processors",
        min_value=1,
        max_value=256,
        value=max(1, min(4, int(has.node_cpus))),
        key=f"{KEY}-cpus-{has.address}",
        help="Of one node, for this job; as many threads",
    )
    st.caption(
        "The job waits until one node has as much free. The tiles must lie on a disk that the nodes share, under the "
        "same path."
    )
    return Resources(float(gpus), float(cpus))


def cluster_button(workspace: Workspace) -> None:
    """A small button that opens the settings of the cluster."""
    cluster = read_cluster(workspace)
    label = f"Cluster: {urlsplit(cluster.address).netloc}" if cluster else "Use a cluster"
    tip = "Train on the machines of a Ray cluster"
    if st.button(label, icon=":material/lan:", type="tertiary", help=tip, key=f"{KEY}-open"):
        st.session_state.pop(_TOLD, None)
        _settings(workspace)


@st.dialog("Cluster", on_dismiss="rerun")
def _settings(workspace: Workspace) -> None:
    """The settings and what the cluster answered; the page runs anew when they are closed, with its devices."""
    _form(workspace, read_cluster(workspace))
    told, is_error = st.session_state.get(_TOLD, ("", False))
    if is_error:
        st.error(plain(told), icon=":material/error:")
    elif told:
        st.success(plain(told), icon=":material/check_circle:")


def _form(workspace: Workspace, cluster: ClusterAddress | None) -> None:
    st.text_input(
        "Address",
        value=cluster.address if cluster else "",
        placeholder="http://10.0.0.5:8265",
        help="Of Ray's dashboard, as 'ray start --head' shows it",
        key=_ADDRESS,
    )
    st.text_input(
        "Token",
        type="password",
        placeholder=_token_note(workspace),
        help="Where the cluster wants one. It is kept in a file that you alone can read, not in the database",
        key=_TOKEN,
    )
    st.text_input(
        "Python on its nodes",
        value=cluster.python if cluster else "",
        placeholder="python",
        help="A command or path; the one that has the packages of requirements.txt",
        key=_PYTHON,
    )
    if cluster and _is_open(cluster.address) and _token_note(workspace) != "none":
        st.caption(":material/warning: Over http the token can be read on the way; prefer https, or a tunnel.")
    with st.container(horizontal=True):
        st.button("Save and test", type="primary", on_click=_save, args=(workspace,), key=f"{KEY}-save")
        if cluster:
            st.button("Forget it", on_click=_forget, args=(workspace,), key=f"{KEY}-forget")


def _save(workspace: Workspace) -> None:
    """Keep what was entered, then ask the cluster what it has."""
    token = st.session_state[_TOKEN]
    st.session_state[_TOKEN] = ""  # not to be sent to the browser again
    try:
        found = connect(
            workspace,
            address=st.session_state[_ADDRESS],
            python=st.session_state[_PYTHON],
            token=token,
            timeout=PATIENCE_SECONDS,
        )
        st.session_state[_TOLD] = (found.sentence, False)
    except InputError as error:
        st.session_state[_TOLD] = (str(error), True)


def _forget(workspace: Workspace) -> None:
    forget_cluster(workspace)
    for key in (_ADDRESS, _TOKEN, _PYTHON, _TOLD):
        st.session_state.pop(key, None)


def _token_note(workspace: Workspace) -> str:
    """Whether there is a token, and from where; never the token."""
    try:
        token = read_token(workspace)
    except InputError:
        return "cannot be read; enter it anew"
    return f"kept, or from {TOKEN_VARIABLE}" if token else "none"


def _is_open(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK
