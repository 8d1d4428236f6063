"""Scores from a confusion matrix."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from core.catalog.images import read_mask
from core.classes import CLASS_NAMES
from core.evaluation.confusion import count
from core.evaluation.scores import class_ious, from_confusion, mean_iou
from models.torchvision_import import ensure_torchvision

SHARED = Path(__file__).resolve().parents[4] / "shared"


def random_rasters(classes, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.choice(np.array(classes, np.uint8), (60, 80))
    prediction = np.where(generator.random(truth.shape) < 0.6, truth, generator.integers(0, 6, truth.shape))
    return truth, prediction.astype(np.uint8)


@pytest.mark.parametrize("classes", [[0, 1, 2, 3, 4, 5], [1, 3], [5]])
def test_scores_equal_those_of_scikit_learn_over_the_classes_in_the_truth(classes):
    truth, prediction = random_rasters(classes)
    scores = from_confusion(count(truth, prediction))
    references = {"iou": jaccard_score, "f1": f1_score, "precision": precision_score, "recall": recall_score}
    for figure, reference in references.items():
        expected = reference(truth.ravel(), prediction.ravel(), labels=classes, average=None, zero_division=0)
        ours = getattr(scores, figure)
        assert list(ours) == [CLASS_NAMES[c] for c in classes]
        np.testing.assert_allclose(list(ours.values()), expected, rtol=0, atol=1e-12)
    assert scores.accuracy == pytest.approx(accuracy_score(truth.ravel(), prediction.ravel()), abs=1e-12)
    assert scores.miou == pytest.approx(np.mean(list(scores.iou.values())), abs=1e-12)
    assert scores.mf1 == pytest.approx(np.mean(list(scores.f1.values())), abs=1e-12)


def test_a_class_absent_from_the_truth_has_no_score_but_its_false_alarms_cost_the_others():
    scores = from_confusion(count(np.array([[1, 1, 1, 1]], np.uint8), np.array([[1, 1, 1, 4]], np.uint8)))
    assert scores.iou == {"agriculture": 0.75}
    assert scores.miou == 0.75


def test_a_class_that_occurs_but_was_never_predicted_scores_zero():
    scores = from_confusion(count(np.array([[1, 4]], np.uint8), np.array([[1, 1]], np.uint8)))
    assert scores.iou["water"] == scores.precision["water"] == scores.recall["water"] == scores.f1["water"] == 0


def test_a_pixel_predicted_as_unlabelled_is_a_miss_but_no_false_alarm():
    scores = from_confusion(count(np.array([[2, 2]], np.uint8), np.array([[2, 255]], np.uint8)))
    assert scores.accuracy == scores.recall["rangeland"] == scores.iou["rangeland"] == 0.5
    assert scores.precision["rangeland"] == 1


def test_without_a_labelled_pixel_there_is_no_score():
    scores = from_confusion(np.zeros((6, 7), np.int64))
    assert scores.accuracy is scores.miou is scores.mf1 is None
    assert scores.iou == {}
    assert json.loads(json.dumps(scores.as_dict()))["miou"] is None


def test_many_matrices_at_once_score_like_each_alone():
    matrices = np.random.default_rng(0).integers(0, 50, (5, 6, 7))
    matrices[2, 3] = 0
    together = mean_iou(class_ious(matrices))
    np.testing.assert_allclose(together, [from_confusion(one).miou for one in matrices])


def degenerate_cases():
    unknown = np.full((8, 8), 255, np.uint8)
    one_pixel = unknown.copy()
    one_pixel[3, 3] = 4
    absent, _ = random_rasters([1, 3], seed=5)
    return {
        "a class that the prediction lacks": (absent, np.ones_like(absent)),
        "a class that the truth lacks": (np.ones_like(absent), absent),
        "one pixel, right": (one_pixel, np.full((8, 8), 4, np.uint8)),
        "one pixel, wrong": (one_pixel, np.full((8, 8), 2, np.uint8)),
        "all right": (absent, absent),
    }


def kappa_of_scikit_learn(truth, prediction):
    with np.errstate(all="ignore"):
        return cohen_kappa_score(truth, prediction, labels=[0, 1, 2, 3, 4, 5, 255])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", degenerate_cases())
def test_degenerate_cases_equal_scikit_learn(case):
    truth, prediction = degenerate_cases()[case]
    scores = from_confusion(count(truth, prediction))
    known = truth != 255
    classes = sorted(np.unique(truth[known]))
    expected = jaccard_score(truth[known], prediction[known], labels=classes, average=None, zero_division=0)
    np.testing.assert_allclose(list(scores.iou.values()), expected, rtol=0, atol=1e-12)
    assert scores.accuracy == pytest.approx(accuracy_score(truth[known], prediction[known]), abs=1e-12)
    kappa = kappa_of_scikit_learn(truth[known], prediction[known])
    assert (scores.kappa is None) if np.isnan(kappa) else scores.kappa == pytest.approx(kappa, abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kappa_equals_scikit_learn_over_all_and_for_each_class(seed):
    truth, prediction = (one.ravel() for one in random_rasters([0, 1, 2, 3, 4, 5], seed=seed))
    prediction[::9] = 255
    scores = from_confusion(count(truth[None], prediction[None]))
    assert scores.kappa == pytest.approx(kappa_of_scikit_learn(truth, prediction), abs=1e-12)
    for index, name in enumerate(CLASS_NAMES):
        expected = cohen_kappa_score(truth == index, prediction == index)
        assert scores.class_kappa[name] == pytest.approx(expected, abs=1e-12)


def test_left_out_equals_scikit_learn_without_the_pixels_predicted_unlabelled():
    truth, prediction = (one.ravel() for one in random_rasters([0, 1, 2, 3, 4, 5]))
    prediction[::7] = 255
    scores = from_confusion(count(truth[None], prediction[None]), "left out")
    said = prediction != 255
    expected = jaccard_score(truth[said], prediction[said], labels=range(6), average=None)
    np.testing.assert_allclose(list(scores.iou.values()), expected, rtol=0, atol=1e-12)
    assert scores.mrecall == pytest.approx(balanced_accuracy_score(truth[said], prediction[said]), abs=1e-12)
    assert scores.kappa == pytest.approx(cohen_kappa_score(truth[said], prediction[said]), abs=1e-12)


def test_a_class_of_which_nothing_is_predicted_is_absent_where_that_is_left_out():
    matrix = count(np.array([[1, 4]], np.uint8), np.array([[1, 255]], np.uint8))
    assert from_confusion(matrix).iou == {"agriculture": 1.0, "water": 0.0}
    assert from_confusion(matrix, "left out").iou == {"agriculture": 1.0}


@pytest.mark.parametrize("seed", [0, 1])
def test_scores_equal_those_of_torchmetrics(seed):
    if importlib.util.find_spec("torchmetrics") is None:
        pytest.skip("torchmetrics is absent: requirements-bench.txt has it")
    ensure_torchvision()  # torchmetrics imports it
    import torchmetrics.functional.classification as torchmetrics

    truth, prediction = random_rasters([0, 1, 2, 3, 4, 5], seed=seed)
    truth[:3] = 255
    scores = from_confusion(count(truth, prediction))
    given = torch.from_numpy(prediction.astype(np.int64)), torch.from_numpy(truth.astype(np.int64))
    options = {"num_classes": 6, "ignore_index": 255, "average": None}
    iou = torchmetrics.multiclass_jaccard_index(*given, **options)
    recall = torchmetrics.multiclass_accuracy(*given, **options)
    f1 = torchmetrics.multiclass_f1_score(*given, **options)
    for ours, theirs in ((scores.iou, iou), (scores.recall, recall), (scores.f1, f1)):  # torchmetrics is in float32
        np.testing.assert_allclose(list(ours.values()), theirs.numpy(), rtol=0, atol=1e-6)
    pixels = torchmetrics.multiclass_confusion_matrix(*given, num_classes=6, ignore_index=255).numpy()
    np.testing.assert_array_equal(count(truth, prediction)[:, :6], pixels)
    exact = np.diag(pixels) / (pixels.sum(axis=1) + pixels.sum(axis=0) - np.diag(pixels))
    np.testing.assert_allclose(list(scores.iou.values()), exact, rtol=0, atol=1e-12)


@pytest.mark.real
def test_a_foreign_prediction_of_real_tiles_scores_as_scikit_learn_says():
    predictions = SHARED / "data/fcn-predictions"
    if not predictions.is_dir():
        pytest.skip("the real tiles beside the project are absent")
    found = sorted(predictions.rglob("*.png"))
    assert found
    for path in found:
        name = re.match(r"\d+", path.name).group()
        truth = read_mask(SHARED / f"data/deepglobe/land-train/{name}_mask.png", shape=(2448, 2448)).raster
        prediction = read_mask(path, shape=(2000, 2000)).raster
        whole, prediction = truth[:2000:2, :2000:2].copy(), prediction[::2, ::2].copy()  # theirs takes seconds in full
        matrix = confusion_matrix(whole.ravel(), prediction.ravel(), labels=[0, 1, 2, 3, 4, 5, 255])
        np.testing.assert_array_equal(count(whole, prediction), matrix[:6])
        cut, said = whole[::3, ::3].copy(), prediction[::3, ::3].copy()
        known = cut != 255
        scores = from_confusion(count(cut, said))
        classes = np.unique(cut[known])
        expected = jaccard_score(cut[known], said[known], labels=classes, average=None, zero_division=0)
        np.testing.assert_allclose(list(scores.iou.values()), expected, rtol=0, atol=1e-12)
        assert scores.accuracy == pytest.approx(accuracy_score(cut[known], said[known]), abs=1e-12)
        assert scores.kappa == pytest.approx(cohen_kappa_score(cut[known], said[known]), abs=1e-12)
