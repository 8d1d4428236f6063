"""Comparing two folders of predicted masks."""

import json

import pytest

from core.errors import InputError
from core.evaluation.compare import compare_folders, compare_results
from core.evaluation.evaluate import evaluate_folder, restrict
from core.progress import SilentProgress
from tests.core.evaluation.masks import save_pairs


@pytest.fixture
def root(tmp_path):
    save_pairs(tmp_path, 6, {"good": 0.1, "bad": 0.6})
    return tmp_path


def compare(root, a, b):
    return compare_folders(root / "truth", root / a, root / b, SilentProgress())


def test_scores_are_those_of_evaluating_each_alone_and_differences_are_a_minus_b(root):
    result = json.loads(json.dumps(compare(root, "good", "bad")))
    alone = evaluate_folder(root / "truth", root / "bad", SilentProgress())
    assert result["tiles"] == 6
    assert result["b"]["iou"] == alone["iou"]
    difference = result["difference"]["miou"]
    assert difference["value"] == pytest.approx(result["a"]["miou"] - result["b"]["miou"])
    assert difference["interval"][0] <= difference["value"] <= difference["interval"][1]
    assert result["difference"]["iou"].keys() == result["a"]["iou"].keys()


def test_the_better_one_is_called_better_and_swapped_it_is_worse(root):
    assert compare(root, "good", "bad")["difference"]["miou"]["verdict"] == "better"
    assert compare(root, "bad", "good")["difference"]["miou"]["verdict"] == "worse"


def test_the_same_folder_twice_cannot_be_told_apart(root):
    result = compare(root, "bad", "bad")
    mean = result["difference"]["miou"]
    assert (mean["value"], mean["interval"], mean["verdict"]) == (0.0, [0.0, 0.0], "cannot tell")
    assert {one["verdict_corrected"] for one in result["difference"]["iou"].values()} == {"cannot tell"}


def test_a_tile_that_only_one_of_them_predicted_is_left_out_and_named(root):
    (root / "bad" / "5_mask.png").unlink()
    compared = compare(root, "good", "bad")
    assert "5" not in [row["tile"] for row in compared["per_tile"]]
    assert compared["missing_predictions"] == ["5"]
    assert "left out: 5" in compared["note"]


def test_two_predictions_without_a_common_tile_are_refused(root):
    for name, tiles in (("good", range(3)), ("bad", range(3, 6))):
        for tile in tiles:
            (root / name / f"{tile}_mask.png").unlink()
    with pytest.raises(InputError, match="prediction in both"):
        compare(root, "good", "bad")


def test_verdicts_of_classes_are_corrected_for_their_number(root):
    compared = compare(root, "good", "bad")
    for one in compared["difference"]["iou"].values():
        assert one["p_value"] <= one["p_corrected"] <= 1
    assert compared["difference"]["correction"] == "Holm 1979"


def test_two_kept_results_are_compared_on_the_tiles_that_both_have(root):
    good, bad = (evaluate_folder(root / "truth", root / name, SilentProgress()) for name in ("good", "bad"))
    few = restrict(bad, {"1", "2", "4"})
    assert few["tiles"] == 3
    compared = compare_results(good, few)
    assert compared["common"] == ["1", "2", "4"]
    assert compared["b"]["iou"] == few["iou"]
    assert compare_results(restrict(good, {"0"}), few) is None


def test_a_tile_whose_truth_was_edited_in_between_is_left_out(root):
    good = evaluate_folder(root / "truth", root / "good", SilentProgress())
    other = restrict(good, {"0", "1"})
    other["per_tile"][0]["confusion"][1][1] += 5
    assert compare_results(good, other)["common"] == ["1"]
