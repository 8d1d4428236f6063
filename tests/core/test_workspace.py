import shutil
from pathlib import Path

import pytest

from core.errors import InputError
from core.tables import Setting
from core.workspace import CACHE_VARIABLE, WORKSPACE_VARIABLE, feature_cache_folder, open_workspace


def test_a_workspace_is_made_where_there_was_none(tmp_path):
    workspace = open_workspace(tmp_path / "new" / "afternoon")
    assert workspace.name == "afternoon"
    assert (workspace.root / "workspace.db").is_file()


def test_all_that_a_workspace_keeps_lies_in_its_folder(tmp_path):
    workspace = open_workspace(tmp_path)
    names = ("sample", "imports", "features", "thumbnails", "runs", "predictions", "evaluations", "jobs")
    assert [getattr(workspace, name) for name in names] == [tmp_path / name for name in names]
    assert workspace.labels(3) == tmp_path / "labels" / "3"
    assert workspace.database.path.parent == tmp_path


def test_the_variable_names_the_workspace_where_no_folder_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "named"))
    assert open_workspace().root == tmp_path / "named"
    assert open_workspace(tmp_path / "given").root == tmp_path / "given"


def test_two_spellings_of_one_folder_are_one_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "w")
    assert open_workspace(Path("w")) is open_workspace(tmp_path / "w") is open_workspace(tmp_path / "link")


def test_a_file_in_the_place_of_the_folder_is_reported(tmp_path):
    (tmp_path / "w").write_text("a file")
    with pytest.raises(InputError, match="choose another folder"):
        open_workspace(tmp_path / "w")


def test_a_folder_that_cannot_be_written_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("core.workspace.os.access", lambda *_: False)
    with pytest.raises(InputError, match="cannot be written to"):
        open_workspace(tmp_path)


def test_a_copied_folder_is_the_same_project(tmp_path):
    original = open_workspace(tmp_path / "a")
    with original.database.write() as session:
        session.add(Setting(key="k", value={"n": 1}))
    original.database.close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with open_workspace(tmp_path / "b").database.read() as session:
        assert session.get(Setting, "k").value == {"n": 1}


def test_a_workspace_that_was_deleted_can_be_made_again_in_the_same_process(tmp_path):
    with open_workspace(tmp_path / "w").database.write() as session:
        session.add(Setting(key="k", value={"n": 1}))
    shutil.rmtree(tmp_path / "w")
    with open_workspace(tmp_path / "w").database.write() as session:
        assert session.get(Setting, "k") is None
        session.add(Setting(key="k", value={"n": 2}))


def test_features_are_cached_where_the_variable_says_or_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "features"))
    assert feature_cache_folder() == tmp_path / "features"
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert feature_cache_folder() == tmp_path / "tilewright" / "features"
