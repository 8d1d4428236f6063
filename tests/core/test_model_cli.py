import json

import pytest

from core.cli import main
from tests.core.training.run_files import write_run


def result(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_runs_become_an_ensemble_that_stands_among_them(tmp_path, capsys):
    runs = [write_run(tmp_path / name, seed=number) for number, name in enumerate(("one", "two"))]
    members = [argument for run in runs for argument in ("--run", str(run))]
    assert main(["ensemble", *members, "--weights", "equal", "--out", str(tmp_path / "both")]) == 0
    assert [member["share"] for member in result(capsys)["members"]] == [0.5, 0.5]
    assert json.loads((tmp_path / "both" / "ensemble.json").read_text())["kind"] == "ensemble"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ensemble", "--run", "RUN", "--out", "OUT"], "two or more different runs"),
        (["export-onnx", "--run", "NONE", "--out", "OUT"], "is no run"),
        (["prune", "--run", "RUN", "--data", "OUT", "--out", "OUT"], "head on cached features"),
        (["prune", "--run", "RUN", "--data", "OUT", "--out", "OUT", "--sparsity", "half"], "list of shares"),
        (["prune", "--run", "RUN", "--data", "OUT", "--out", "OUT", "--sparsity", "1.5"], "between 0 and 1"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_do(tmp_path, capsys, arguments, sentence):
    places = {"RUN": str(write_run(tmp_path / "one")), "NONE": str(tmp_path / "none"), "OUT": str(tmp_path / "out")}
    assert main([places.get(argument, argument) for argument in arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert sentence in told
    assert "\n" not in told
