"""Scoring a folder of predicted masks."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import CancelledError, InputError
from core.evaluation.evaluate import evaluate_folder, restrict, spread_over_tiles
from core.progress import CancelFlag, SilentProgress
from tests.core.evaluation.masks import blobs, save, save_pairs, worsen

SHARED = Path(__file__).parents[3] / "../shared"


@pytest.fixture
def folders(tmp_path):
    save_pairs(tmp_path, 6, {"predictions": 0.3})
    return tmp_path / "truth", tmp_path / "predictions"


def evaluate(truth, predictions):
    return evaluate_folder(truth, predictions, SilentProgress())


def test_it_scores_all_labelled_pixels_of_all_tiles_in_one_matrix(folders):
    result = evaluate(*folders)
    hits = pixels = 0
    for tile in range(6):
        truth = blobs(tile)
        prediction = worsen(truth, 0.3, seed=100 + tile)
        hits += int(((truth == prediction) & (truth < 6)).sum())
        pixels += int((truth < 6).sum())
    assert result["tiles"] == 6
    assert result["accuracy"] == pytest.approx(hits / pixels, abs=1e-12)
    assert np.shape(result["confusion"]) == (6, 7)
    assert np.sum(result["confusion"]) == pixels
    low, high = result["interval"]["miou"]
    assert low <= result["miou"] <= high


def test_the_result_survives_json_and_lists_every_tile(folders):
    result = json.loads(json.dumps(evaluate(*folders)))
    assert [row["tile"] for row in result["per_tile"]] == ["0", "1", "2", "3", "4", "5"]
    assert np.sum([row["confusion"] for row in result["per_tile"]], axis=0).tolist() == result["confusion"]


@pytest.mark.real
def test_it_gives_the_same_figures_as_the_independent_score(folders):
    script = SHARED / "measure/score.py"
    if not script.exists():
        pytest.skip("the independent score beside the project is absent")
    command = [sys.executable, script, "--truth", folders[0], "--predictions", folders[1]]
    expected = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    result = evaluate(*folders)
    for figure in ("tiles", "accuracy", "miou", "mf1"):
        assert round(result[figure], 4) == expected[figure]
    assert {name: round(value, 4) for name, value in result["iou"].items()} == expected["iou"]
    assert result["confusion"] == [row[:7] for row in expected["confusion"]]


def test_masks_beside_images_in_split_folders_are_the_truth_too(tmp_path):
    for split, tile in (("train", "1"), ("valid", "2")):
        save(tmp_path / "data" / split, tile, blobs(int(tile)))
        Image.fromarray(np.zeros((48, 40, 3), np.uint8)).save(tmp_path / "data" / split / f"{tile}_sat.jpg")
        save(tmp_path / "predictions", tile, blobs(int(tile)))
    result = evaluate(tmp_path / "data", tmp_path / "predictions")
    assert result["tiles"] == 2
    assert result["miou"] == 1


def test_predictions_as_class_indices_are_read(folders, tmp_path):
    for tile in range(6):
        Image.fromarray(worsen(blobs(tile), 0.3, seed=100 + tile)).save(tmp_path / f"{tile}_mask.png")
    assert evaluate(folders[0], tmp_path)["confusion"] == evaluate(*folders)["confusion"]


def test_predictions_without_truth_are_left_out_and_counted(folders):
    before = evaluate(*folders)
    save(folders[1], "99", blobs(99))
    after = evaluate(*folders)
    assert after["predictions_without_truth"] == 1
    assert after["confusion"] == before["confusion"]


def test_a_tile_without_prediction_is_left_out_and_named(folders):
    whole = evaluate(*folders)
    (folders[1] / "3_mask.png").unlink()
    result = evaluate(*folders)
    assert result["missing_predictions"] == ["3"]
    assert "left out: 3" in result["note"]
    assert result["confusion"] == restrict(whole, {"0", "1", "2", "4", "5"})["confusion"]


def test_both_rules_for_pixels_predicted_unlabelled_are_given_by_name(folders):
    result = evaluate(*folders)
    assert set(result["by_rule"]) == {"counts as wrong", "left out"}
    assert result["by_rule"]["counts as wrong"]["miou"] == result["miou"] < result["by_rule"]["left out"]["miou"]
    assert result["rule"] == "counts as wrong"


def test_another_rule_changes_every_figure_and_says_so(folders):
    result = restrict(evaluate(*folders), rule="left out")
    assert result["miou"] == result["by_rule"]["left out"]["miou"]
    assert "predicted unlabelled is left out" in result["averaging"]
    assert np.array(result["confusion"])[:, 6].sum() == 0
    again = restrict(result, rule="counts as wrong")
    assert again["miou"] == result["by_rule"]["counts as wrong"]["miou"]


def test_a_part_of_the_tiles_is_scored_near_the_borders_too(folders):
    result = evaluate(*folders)
    part = restrict(result, {"1", "4"})
    whole = result["boundary"]["bands"]["3"]
    assert part["boundary"]["bands"]["3"] != whole
    assert restrict(result)["boundary"] == result["boundary"]
    assert 0 < result["boundary"]["mbiou"] < result["miou"]


def test_an_older_result_without_borders_can_still_be_restricted(folders):
    old = evaluate(*folders)
    for row in old["per_tile"]:
        del row["boundary"]
    del old["boundary"], old["rule"], old["spread"]
    assert "boundary" not in restrict(old, {"1", "2"})
    assert restrict(old)["spread"]["miou"]["tiles"] == 6


def test_the_spread_over_tiles_counts_only_tiles_that_have_the_class():
    rows = [{"miou": 0.1 * i, "iou": {"water": 0.5} if i == 3 else {}} for i in range(11)]
    spread = spread_over_tiles([*rows, {"miou": None, "iou": {}}])
    assert spread["miou"] == pytest.approx({"tiles": 11, "median": 0.5, "p5": 0.05, "worst": 0.0})
    assert spread["iou"]["water"]["tiles"] == 1


def test_a_prediction_of_another_size_is_named_with_both_sizes(folders):
    save(folders[1], "2", np.zeros((10, 11), np.uint8))
    with pytest.raises(InputError, match=r"Tile 2: its truth is 40 x 48 .* is 11 x 10"):
        evaluate(*folders)


def test_folders_without_a_common_tile_are_refused(folders, tmp_path):
    save(tmp_path / "others", "77", blobs(77))
    with pytest.raises(InputError, match="No tile of"):
        evaluate(folders[0], tmp_path / "others")


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_folder_is_named(folders, tmp_path, missing):
    given = list(folders)
    given[missing] = tmp_path / "nowhere"
    with pytest.raises(InputError, match="nowhere"):
        evaluate(*given)


def test_a_truth_without_a_labelled_pixel_is_refused(tmp_path):
    for folder in ("truth", "predictions"):
        save(tmp_path / folder, "1", np.full((8, 8), 255, np.uint8))
    with pytest.raises(InputError, match="No pixel"):
        evaluate(tmp_path / "truth", tmp_path / "predictions")


def test_a_damaged_prediction_is_named(folders):
    (folders[1] / "4_mask.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match=r"4_mask\.png"):
        evaluate(*folders)


def test_it_stops_between_tiles_when_cancelled(folders):
    flag = CancelFlag()
    flag.raised = True
    with pytest.raises(CancelledError):
        evaluate_folder(*folders, SilentProgress(flag))
