"""Judging a run of a workspace on its held-out tiles, from predictions that are kept."""

import json

import pytest

from core.catalog.catalogue import collections, index_folder
from core.cli import main
from core.errors import InputError
from core.evaluation.evaluate import restrict
from core.evaluation.held_out import evaluate_run, kept_evaluation, kept_evaluations
from core.inference.switches import Switches
from core.progress import SilentProgress
from tests.core.evaluation.masks import blobs, save
from tests.pages.runs_on_disk import SIZE, add_run, keep_evaluation, keep_predictions, make_workspace


@pytest.fixture
def workspace(tmp_path):
    workspace = make_workspace(tmp_path)
    add_run(workspace, "first")
    keep_predictions(workspace, "first", wrong=0.3)
    return workspace


def evaluated(workspace):
    place = {"run": "first", "collection_id": collections(workspace)[0].id, "switches": Switches()}
    return evaluate_run(workspace, **place, progress=SilentProgress())


def kept(workspace):
    return kept_evaluation(workspace, "first", collections(workspace)[0].id, Switches())


def test_the_kept_result_has_borders_both_rules_and_what_it_was_measured_on(workspace):
    result = evaluated(workspace)
    assert kept(workspace) == json.loads(json.dumps(result))
    assert set(result["by_rule"]) == {"counts as wrong", "left out"}
    assert result["boundary"]["bands"]["5"]["accuracy"] < 1
    measured = result["measured_on"]
    assert measured["seconds_per_tile"] == 0.25
    assert measured["trained_on"]["tiles"] == 2
    assert list(measured["truth_versions"]) == ["2", "3", "4", "5"]
    assert measured["code_version"]


def test_a_result_no_longer_holds_when_the_mask_of_a_tile_is_another(workspace, tmp_path):
    evaluated(workspace)
    save(tmp_path / "data", "3", blobs(77, SIZE))
    index_folder(workspace, tmp_path / "data", SilentProgress())
    assert kept(workspace) is None
    assert list(kept_evaluations(workspace, collections(workspace)[0].id)) == []


def test_a_result_from_before_borders_were_counted_is_still_shown(workspace):
    keep_evaluation(workspace, "first")
    old = kept(workspace)
    assert "boundary" not in old
    assert restrict(old)["miou"] == pytest.approx(evaluated(workspace)["miou"])


def test_kept_results_are_listed_with_their_switches(workspace):
    switches = Switches(min_region=50)
    keep_predictions(workspace, "first", wrong=0.1, switches=switches)
    keep_evaluation(workspace, "first")
    keep_evaluation(workspace, "first", switches)
    found = list(kept_evaluations(workspace, collections(workspace)[0].id))
    assert {(run, one.min_region) for run, one, _ in found} == {("first", 0), ("first", 50)}


def test_without_any_truth_it_says_so_plainly(tmp_path):
    workspace = make_workspace(tmp_path, masks=0)
    add_run(workspace, "first")
    with pytest.raises(InputError, match="No tile of this collection came with a mask"):
        evaluated(workspace)


def test_the_command_line_writes_the_report_with_csv_and_json_beside_it(workspace, tmp_path, capsys):
    place = ["--workspace", str(workspace.root)]
    page = tmp_path / "out" / "report.html"
    command = ["evaluate-run", *place, "--run", "first", "--collection", "1", "--report", str(page)]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["report"] == {kind: str(page.with_suffix(f".{kind}")) for kind in ("html", "csv", "json")}
    text = page.read_text()
    assert "Evaluation of first" in text
    assert text.count("<figure>") == 16, "four tiles in image, truth, prediction and errors"

    assert main(["leaderboard", *place, "--predicted-unlabelled", "left-out"]) == 0
    board = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["run"] for one in board["entries"]] == ["first"]
    assert board["rule"] == "left out"
    assert main(["leaderboard", *place, "--run", "nobody"]) == 2
