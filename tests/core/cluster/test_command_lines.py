from pathlib import Path

import pytest

from core.cluster import command_lines
from core.cluster.command_lines import absolute, check_command, inputs, value_of
from core.errors import InputError


def test_places_become_absolute_and_presets_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("")
    line = ["fit", "--data=tiles", "--out", "runs/a", "--recipe", "head", "--set", "epochs=3"]
    assert absolute(line) == [
        "fit", "--data", str(tmp_path / "tiles"), "--out", str(tmp_path / "runs/a"), "--recipe", "head",
        "--set", "epochs=3",
    ]  # fmt: skip
    assert absolute(["fit", "--recipe", "mine.toml"])[-1] == str(tmp_path / "mine.toml")
    assert absolute(absolute(line)) == absolute(line)


def test_the_run_of_a_prediction_is_a_place_and_that_of_an_evaluation_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute(["predict", "--run", "a", "--run", "b"])[2::2] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert absolute(["evaluate-run", "--run", "a"]) == ["evaluate-run", "--run", "a"]


def test_inputs_are_what_is_read_and_the_output_is_none_of_them():
    line = absolute(["fit", "--data", "/d", "--labels", "/l", "--out", "/o", "--recipe", "head"])
    assert [(option, line[index]) for option, index in inputs(line)] == [("--data", "/d"), ("--labels", "/l")]
    assert [option for option, _ in command_lines.small_inputs(line)] == ["--labels"]
    assert value_of(line, "--out") == "/o"
    assert value_of(line, "--seed") is None


@pytest.mark.parametrize("line", [[], ["work"], ["on-cluster", "--", "fit"], ["sample"]])
def test_a_command_that_has_no_business_on_a_cluster_is_refused(line):
    with pytest.raises(InputError, match="run on a cluster; give one of fit"):
        check_command(line)
