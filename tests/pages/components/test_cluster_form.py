"""The cluster on the page: its settings, what it answers, what a job asks it for."""

import pytest
from streamlit.testing.v1 import AppTest

from core.cluster.settings import TOKEN_VARIABLE, ClusterAddress, keep_cluster, need_cluster, read_cluster, read_token
from core.errors import InputError
from core.workspace import open_workspace
from pages.components import cluster_form
from pages.components.cluster_form import cluster_devices

NOWHERE = "http://127.0.0.1:9"


def script(root):
    from pathlib import Path

    import streamlit as st

    from core.cluster.settings import read_cluster
    from core.workspace import open_workspace
    from pages.components.cluster_form import cluster_button, cluster_request

    workspace = open_workspace(Path(root))
    cluster_button(workspace)
    if read_cluster(workspace):
        st.text(cluster_request(workspace).words)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setattr(cluster_form, "PATIENCE_SECONDS", 0.5)
    return open_workspace(tmp_path / "workspace")


def show(workspace):
    app = AppTest.from_function(script, args=(str(workspace.root),), default_timeout=30).run()
    assert not app.exception
    return app


def entered(app, *, address, token="", python=""):
    app.button(key="cluster-open").click().run()
    for name, value in (("address", address), ("token", token), ("python", python)):
        app.text_input(key=f"cluster-{name}").set_value(value)
    app.button(key="cluster-save").click().run()  # as a whole, where a browser runs the dialog alone
    assert not app.exception
    return app.session_state["cluster-told"]


def test_without_a_cluster_there_is_a_button_and_no_device(workspace):
    app = show(workspace)
    assert [button.label for button in app.button] == ["Use a cluster"]
    assert cluster_devices(workspace) == []


def test_a_cluster_that_does_not_answer_is_kept_and_told_and_the_token_leaves_the_page(workspace):
    app = show(workspace)
    told, is_error = entered(app, address=NOWHERE, token="a-secret", python="/opt/bin/python")  # noqa: S106
    assert is_error
    assert "cannot be reached" in told
    assert need_cluster(workspace) == ClusterAddress(NOWHERE, "/opt/bin/python")
    assert read_token(workspace) == "a-secret"
    assert "a-secret" not in [box.value for box in show(workspace).button(key="cluster-open").click().run().text_input]
    assert "cluster-token" not in app.session_state or app.session_state["cluster-token"] == ""
    assert cluster_devices(workspace) == ["cluster"]


def test_a_wrong_address_is_told_and_nothing_is_kept(workspace):
    told, is_error = entered(show(workspace), address="10.0.0.5:8265")
    assert is_error
    assert "is no address of a cluster" in told
    assert read_cluster(workspace) is None


def test_a_job_asks_for_a_little_of_what_the_largest_node_has(workspace):
    keep_cluster(workspace, ClusterAddress(NOWHERE, node_cpus=64, node_gpus=8))
    assert show(workspace).text[0].value == "1 GPU and 4 CPUs"
    keep_cluster(workspace, ClusterAddress("http://127.0.0.1:10", node_cpus=2))
    assert show(workspace).text[0].value == "2 CPUs"


def test_a_cluster_can_be_forgotten(workspace):
    keep_cluster(workspace, ClusterAddress(NOWHERE))
    app = show(workspace)
    assert app.button(key="cluster-open").label == "Cluster: 127.0.0.1:9"
    app.button(key="cluster-open").click().run()
    app.button(key="cluster-forget").click().run()
    with pytest.raises(InputError, match="has no cluster"):
        need_cluster(workspace)
