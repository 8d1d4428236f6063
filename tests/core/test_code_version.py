from core import code_version


def test_the_code_version_names_the_commit_only_in_a_checkout_of_its_own(tmp_path):
    assert code_version.code_version().startswith("0.")
    assert code_version._git_commit(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert code_version._git_commit(tmp_path) is None


def test_a_node_of_a_cluster_is_told_the_version_of_the_code_that_it_got(monkeypatch):
    monkeypatch.setenv(code_version.CODE_VERSION_VARIABLE, "0.1.0+1234567")
    assert code_version.code_version.__wrapped__() == "0.1.0+1234567"
