import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import build_parser, main
from core.cluster.settings import TOKEN_VARIABLE, ClusterAddress, need_cluster, read_token, token_path
from core.workspace import open_workspace

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    return tmp_path / "workspace"


def sentence(capsys, *arguments):
    """What a call that fails says: one line."""
    assert main(list(map(str, arguments))) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_without_a_cluster_each_command_says_how_to_name_one(root, capsys):
    for part in (["status"], ["list"], ["logs", "x"], ["cancel", "x"], ["submit", "--", "forecast", "--data", "."]):
        said = sentence(capsys, "cluster", part[0], "--workspace", root, *part[1:])
        assert "This workspace has no cluster" in said
        assert "cluster connect --address" in said


def test_an_unreachable_cluster_is_one_sentence_for_every_command(root, capsys, tmp_path):
    token = tmp_path / "token"
    token.write_text("a-secret\n")
    connect = ["cluster", "connect", "--workspace", root, "--address", NOWHERE, "--token-file", token]
    assert f"The cluster at {NOWHERE} cannot be reached" in sentence(capsys, *connect)
    assert need_cluster(open_workspace(root)) == ClusterAddress(NOWHERE)
    assert read_token(open_workspace(root)) == "a-secret"
    assert stat.S_IMODE(token_path(open_workspace(root)).stat().st_mode) == 0o600
    assert "cannot be reached" in sentence(capsys, "cluster", "status", "--workspace", root)
    fit = ["--", "fit", "--data", tmp_path, "--out", tmp_path / "run"]
    assert "cannot be reached" in sentence(capsys, "cluster", "submit", "--workspace", root, *fit)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpus", "many", "--", "fit"], "'many' is no number from 0 to 1024"),
        (["--resource", "pin", "--", "fit"], "write its name and how much of it"),
        (["--", "work"], "'work' does not run on a cluster"),
        ([], "Nothing was given that could run on a cluster"),
        (["--", "fit", "--data", "d", "--out", "o", "--epocs", "3"], "--epocs"),
        (["--", "fit", "--data", "d", "--out", "o", "--device", "tpu"], "tpu"),
    ],
)
def test_what_the_cluster_would_refuse_is_refused_here(root, capsys, arguments, said):
    assert said in sentence(capsys, "on-cluster", "--workspace", root, *arguments)


def test_the_style_of_progress_that_a_worker_asks_for_at_the_end_is_ours_and_not_the_commands():
    line = ["on-cluster", "--gpus", "2", "--", "fit", "--data", "d", "--out", "o", "--resume", "--progress", "json"]
    options = build_parser().parse_args(line)
    assert (options.progress, options.gpus) == ("json", 2.0)
    assert options.line == ["fit", "--data", "d", "--out", "o", "--resume"]


def test_nothing_of_ray_or_torch_is_imported_to_follow_a_cluster():
    code = "import sys, core.cli, core.cluster.watching; sys.exit(any(m in sys.modules for m in ('ray', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
