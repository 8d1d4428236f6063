import stat

import pytest

from core.cluster.settings import (
    TOKEN_VARIABLE,
    ClusterAddress,
    check_address,
    connect,
    forget_cluster,
    keep_cluster,
    keep_token,
    need_cluster,
    read_cluster,
    read_token,
    token_path,
)
from core.errors import InputError
from core.workspace import open_workspace

FIRST = ClusterAddress("http://10.0.0.5:8265", "/opt/bin/python")


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    opened = open_workspace(tmp_path)
    yield opened
    opened.database.close()


def test_a_workspace_has_no_cluster_until_one_is_kept_and_none_after_it_is_forgotten(workspace):
    assert read_cluster(workspace) is None
    with pytest.raises(InputError, match="has no cluster"):
        need_cluster(workspace)
    keep_cluster(workspace, FIRST)
    keep_token(workspace, "secret")
    assert need_cluster(workspace) == FIRST
    forget_cluster(workspace)
    assert (read_cluster(workspace), read_token(workspace)) == (None, None)


def test_the_address_is_kept_without_blanks_and_slash():
    assert check_address(" https://ray.example.org/prefix/ ") == "https://ray.example.org/prefix"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "is no address"),
        ("10.0.0.5:8265", "is no address"),
        ("ray://10.0.0.5:10001", "is no address"),
        ("http://", "is no address"),
        ("http://host:port", "is no address"),
        ("http://a b", "is no address"),
        ("http://me:secret@host:8265", "user name or password"),
        ("http://host:8265/?a=1", "more than an address"),
    ],
)
def test_what_is_no_address_is_refused_and_a_password_in_it_is_not_repeated(address, said):
    with pytest.raises(InputError, match=said) as error:
        check_address(address)
    assert "secret" not in str(error.value)


def test_the_token_lies_in_a_file_that_its_owner_alone_can_read(workspace):
    keep_token(workspace, "  secret\n")
    assert read_token(workspace) == "secret"
    assert stat.S_IMODE(token_path(workspace).stat().st_mode) == 0o600
    token_path(workspace).chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        read_token(workspace)


def test_the_environment_goes_before_the_file(workspace, monkeypatch):
    keep_token(workspace, "kept")
    monkeypatch.setenv(TOKEN_VARIABLE, "given")
    assert read_token(workspace) == "given"


@pytest.mark.parametrize("token", ["", " ", "two words", "a\nb", "ä", "x" * 5000])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(workspace, token):
    with pytest.raises(InputError) as error:
        keep_token(workspace, token)
    assert (
        str(error.value) == "The cluster's token is empty or holds blanks or other signs that none has; copy it anew."
    )
    assert read_token(workspace) is None


def test_the_token_of_one_address_is_not_sent_to_the_next(workspace):
    keep_cluster(workspace, FIRST)
    keep_token(workspace, "secret")
    keep_cluster(workspace, ClusterAddress(FIRST.address + "/", "python"))
    assert read_token(workspace) == "secret"
    keep_cluster(workspace, ClusterAddress("http://10.0.0.6:8265"))
    assert read_token(workspace) is None


def test_a_python_that_a_shell_would_take_apart_is_refused(workspace):
    with pytest.raises(InputError, match="no command of a node"):
        keep_cluster(workspace, ClusterAddress(FIRST.address, "python; rm -rf /"))


def test_the_settings_are_kept_where_the_cluster_does_not_answer(workspace):
    with pytest.raises(InputError, match="cannot be reached"):
        connect(workspace, address="http://127.0.0.1:9", python="", token="a-b", timeout=2)  # noqa: S106
    assert need_cluster(workspace) == ClusterAddress("http://127.0.0.1:9")
    assert read_token(workspace) == "a-b"
