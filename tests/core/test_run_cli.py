import json

from core.cli import main
from core.training.runs import list_runs
from core.workspace import open_workspace
from tests.core.training.run_files import write_run


def result(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_run_is_exported_and_imported_into_another_workspace(tmp_path, capsys):
    run = write_run(tmp_path / "runs" / "mine")
    archive = tmp_path / "mine.zip"
    assert main(["export-run", "--run", str(run), "--out", str(archive)]) == 0
    assert result(capsys) == {"out": str(archive), "bytes": archive.stat().st_size}
    workspace = tmp_path / "other"
    assert main(["import-run", "--archive", str(archive), "--workspace", str(workspace)]) == 0
    assert result(capsys) == {"run": str(workspace / "runs" / "mine")}
    assert main(["import-run", "--archive", str(archive), "--workspace", str(workspace)]) == 2
    assert "a run 'mine' already" in capsys.readouterr().err
    assert main(["import-run", "--archive", str(archive), "--workspace", str(workspace), "--name", "second"]) == 0
    assert {run.name for run in list_runs(open_workspace(workspace).runs)} == {"mine", "second"}


def test_a_model_card_is_written_beside_the_run_or_where_it_is_asked_for(tmp_path, capsys):
    run = write_run(tmp_path / "runs" / "mine")
    assert main(["model-card", "--run", str(run)]) == 0
    assert result(capsys) == {"out": str(run / "model-card.md")}
    assert (run / "model-card.md").read_text().startswith("# mine")
    assert main(["model-card", "--run", str(run), "--out", str(tmp_path / "card.md")]) == 0
    assert (tmp_path / "card.md").read_text() == (run / "model-card.md").read_text()


def test_what_is_no_run_or_no_archive_is_refused_in_one_line(tmp_path, capsys):
    for arguments in (
        ["export-run", "--run", str(tmp_path / "none"), "--out", str(tmp_path / "x.zip")],
        ["model-card", "--run", str(tmp_path / "none")],
        ["import-run", "--archive", str(tmp_path / "none.zip"), "--workspace", str(tmp_path / "w")],
        ["forecast", "--data", str(tmp_path / "none")],
    ):
        assert main(arguments) == 2
        assert len(capsys.readouterr().err.splitlines()) <= 2
