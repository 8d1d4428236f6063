"""Several runs ranked on their common tiles."""

import json

import numpy as np
import pytest

from core.errors import InputError
from core.evaluation.evaluate import summarise
from core.evaluation.leaderboard import (
    Entry,
    collection_leaderboard,
    leaderboard,
    with_shared_tiles,
)
from core.evaluation.sameness import common_tiles, what_differs
from core.inference.switches import Switches
from tests.core.evaluation.test_intervals import tiles, with_hit_rate
from tests.pages.runs_on_disk import add_run, keep_evaluation, keep_predictions, make_workspace

CLASSES = ["urban", "agriculture", "rangeland", "forest", "water", "barren"]


def entry(run, matrices, names=None, **facts):
    trained = {"tiles": 4, "instances": 90, "label_version": "one", "labels": "given", "classes": CLASSES, **facts}
    result = summarise(names or [str(i) for i in range(len(matrices))], matrices)
    return Entry(
        run, Switches(), {**result, "measured_on": {"run": run, "seconds_per_tile": 0.5, "trained_on": trained}}
    )


def jittered(matrices, seed):
    """The same tiles where a few hits moved at random: another run of the same worth."""
    generator = np.random.default_rng(seed)
    return [
        with_hit_rate([one], share)[0]
        for one, share in zip(matrices, generator.random(len(matrices)) / 20, strict=True)
    ]


def test_a_clear_order_gives_each_run_one_rank():
    best = tiles(12)
    rows = [entry("bad", with_hit_rate(best, 0.6)), entry("best", best), entry("middle", with_hit_rate(best, 0.3))]
    board = leaderboard(rows)
    assert [one["run"] for one in board["entries"]] == ["best", "middle", "bad"]
    assert [one["ranks"] for one in board["entries"]] == [[1, 1], [2, 2], [3, 3]]
    assert board["entries"][0]["to_best"] is None
    assert {one["to_best"]["verdict"] for one in board["entries"][1:]} == {"worse"}
    assert (board["correction"], board["comparisons"]) == ("Holm 1979", 3)
    assert json.loads(json.dumps(board)) == board


def test_runs_that_cannot_be_told_apart_share_their_ranks():
    base = tiles(8)
    alike = [entry(f"run{seed}", jittered(base, seed)) for seed in range(3)]
    board = leaderboard([*alike, entry("bad", with_hit_rate(base, 0.6))])
    assert [one["ranks"] for one in board["entries"]] == [[1, 3], [1, 3], [1, 3], [4, 4]]
    assert {one["to_best"]["verdict"] for one in board["entries"][1:3]} == {"cannot tell"}


def test_the_same_run_twice_is_a_tie():
    board = leaderboard([entry("a", tiles(6)), entry("b", tiles(6))])
    assert [one["ranks"] for one in board["entries"]] == [[1, 2], [1, 2]]
    assert board["entries"][1]["to_best"]["value"] == 0


def test_only_common_tiles_count_and_what_differs_is_said():
    matrices = tiles(8)
    names = [str(i) for i in range(8)]
    rows = [entry("a", matrices, names), entry("b", matrices[2:], names[2:], label_version="two", classes=CLASSES[:4])]
    board = leaderboard(rows)
    assert board["tiles"] == names[2:]
    told = " ".join(board["warnings"])
    assert "different tiles (a 8, b 6)" in told
    assert "b never learned water, barren" in told
    assert "different label versions" in told


def test_a_tile_whose_truth_is_another_is_left_out():
    matrices = tiles(6)
    other = [one.copy() for one in matrices]
    other[3][0, 0] += 50
    rows = [entry("a", matrices), entry("b", other)]
    assert common_tiles([row.result for row in rows]) == ["0", "1", "2", "4", "5"]
    assert any("truth of 1 shared tile" in warning for warning in what_differs([row.result for row in rows]))


def test_runs_without_a_common_tile_are_not_ranked():
    board = leaderboard([entry("a", tiles(2), ["1", "2"]), entry("b", tiles(2), ["3", "4"])])
    assert board["entries"] == []
    assert board["tiles"] == []


def test_the_run_that_shares_least_goes_first_until_five_tiles_are_common():
    matrices = tiles(8)
    names = [str(i) for i in range(8)]
    rows = [entry("a", matrices, names), entry("few", matrices[:2], names[:2]), entry("b", matrices[1:], names[1:])]
    assert [row.run for row in with_shared_tiles(rows)] == ["a", "b"]
    assert with_shared_tiles(rows[:2]) == rows[:2]


@pytest.fixture
def workspace(tmp_path):
    workspace = make_workspace(tmp_path)
    for name, wrong in (("good", 0.1), ("bad", 0.6), ("unseen", 0.3)):
        add_run(workspace, name)
        keep_predictions(workspace, name, wrong=wrong)
    return workspace


def test_the_kept_evaluations_of_a_workspace_are_ranked_and_the_others_named(workspace):
    keep_evaluation(workspace, "good")
    keep_evaluation(workspace, "bad")
    board = collection_leaderboard(workspace)
    assert [one["run"] for one in board["entries"]] == ["good", "bad"]
    assert board["not_evaluated"] == ["unseen"]
    assert [one["run"] for one in collection_leaderboard(workspace, runs=["bad"])["entries"]] == ["bad"]


def test_without_an_evaluation_or_for_an_unknown_run_it_says_so(workspace):
    with pytest.raises(InputError, match="No run is evaluated"):
        collection_leaderboard(workspace)
    with pytest.raises(InputError, match="no run 'nobody'"):
        collection_leaderboard(workspace, runs=["nobody"])


def test_an_evaluation_that_was_cut_off_is_as_if_it_were_not_there(workspace):
    keep_evaluation(workspace, "good")
    keep_evaluation(workspace, "bad")
    [path] = (workspace.evaluations / "bad").glob("*.json")
    path.write_text(path.read_text()[:100])
    assert collection_leaderboard(workspace)["not_evaluated"] == ["bad", "unseen"]
