"""Scores from a confusion matrix."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, precision_score, recall_score

from core.classes import CLASS_NAMES
from core.evaluation.confusion import count
from core.evaluation.scores import class_ious, from_confusion, mean_iou


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
