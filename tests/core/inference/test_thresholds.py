"""Offsets between the classes, fitted on validation tiles, and abstaining."""

import json

import numpy as np
import pytest

from core.errors import InputError
from core.inference import thresholds
from core.inference.thresholds import (
    OFFSETS,
    Sample,
    abstain_below,
    apply_offsets,
    fit_offsets,
    fit_run_offsets,
    read_offsets,
)


def skewed(seed=0, n=4000, against=2, by=1.5):
    """A sample whose model is right but for a class that it holds back by ``by``."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 4, n).astype(np.uint8)
    logits = generator.normal(0, 1, (n, 6)) + 3 * (truth[:, None] == np.arange(6))
    logits[:, against] -= by
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return Sample(logits.astype(np.float32), truth)


def miou(scores, truth):
    predicted = scores.argmax(axis=1)
    occurring = np.unique(truth)
    return np.mean(
        [((predicted == c) & (truth == c)).sum() / ((predicted == c) | (truth == c)).sum() for c in occurring]
    )


def test_a_class_that_is_held_back_is_let_forward_and_the_mean_iou_rises():
    sample = skewed()
    fitted = fit_offsets(sample)
    others = np.mean([fitted.offsets[c] for c in (0, 1, 3)])
    assert fitted.offsets[2] - others == pytest.approx(1.5, abs=0.4)
    assert fitted.after > fitted.before + 0.03


def test_what_is_said_of_the_fit_is_what_the_offsets_give():
    sample = skewed(seed=3)
    fitted = fit_offsets(sample)
    assert fitted.before == pytest.approx(miou(sample.log_probabilities, sample.truth))
    assert fitted.after == pytest.approx(miou(sample.log_probabilities + np.array(fitted.offsets), sample.truth))


def test_no_single_offset_on_the_ladder_would_be_better():
    sample = skewed(seed=5, n=600)
    fitted = fit_offsets(sample)
    for index in range(4):
        for step in np.arange(-2, 2, 0.05):
            tried = np.array(fitted.offsets)
            tried[index] += step
            assert miou(sample.log_probabilities + tried, sample.truth) <= fitted.after + 0.004


def test_a_model_that_is_right_keeps_offsets_of_zero_as_do_classes_without_labels():
    truth = np.arange(6).repeat(50).astype(np.uint8)
    sure = Sample(np.log(np.where(truth[:, None] == np.arange(6), 0.95, 0.01)).astype(np.float32), truth)
    assert fit_offsets(sure).offsets == (0,) * 6
    assert fit_offsets(skewed()).offsets[4:] == (0, 0)


def test_the_same_sample_gives_the_same_offsets():
    assert fit_offsets(skewed(seed=1)) == fit_offsets(skewed(seed=1))


def test_a_sample_leaves_unlabelled_pixels_out_and_is_evenly_spread():
    probabilities = np.full((6, 100, 200), 1 / 6, np.float32)
    truth = np.full((100, 200), 255, np.uint8)
    truth[:, 100:] = 3
    sample = Sample.of_tile(probabilities, truth, pixels=800)
    assert sample.truth.tolist() == [3] * 400
    np.testing.assert_allclose(sample.log_probabilities, np.log(1 / 6), rtol=1e-6)


def test_offsets_move_the_choice_and_probabilities_still_sum_to_one():
    probabilities = np.array([0.4, 0.35, 0.25, 0, 0, 0], np.float32).reshape(6, 1, 1)
    moved = apply_offsets(probabilities, (0, 0.5, 0, 0, 0, 0))
    assert moved.argmax(axis=0)[0, 0] == 1
    assert moved.sum() == pytest.approx(1)
    np.testing.assert_allclose(apply_offsets(probabilities, (0.7,) * 6), probabilities, rtol=1e-6)


def test_abstaining_leaves_only_what_is_sure():
    probabilities = np.array([[[0.9, 0.4]], [[0.1, 0.35]], [[0, 0.25]], [[0, 0]], [[0, 0]], [[0, 0]]], np.float32)
    raster = probabilities.argmax(axis=0).astype(np.uint8)
    assert abstain_below(raster, probabilities, 0.5).tolist() == [[0, 255]]
    assert raster.tolist() == [[0, 0]]


class _Run:
    def __init__(self, validation):
        self.card = type("Card", (), {"validation_tiles": validation})


def test_offsets_are_kept_beside_the_run_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(thresholds, "read_run", lambda _: _Run({"a": "f1", "b": "f2"}))
    assert read_offsets(tmp_path) is None
    fitted = fit_run_offsets(tmp_path, {"a": skewed(0), "b": skewed(1)}, switches="plain")
    assert read_offsets(tmp_path) == fitted
    assert json.loads((tmp_path / OFFSETS).read_text())["tiles"] == {"a": "f1", "b": "f2"}


@pytest.mark.parametrize(
    ("validation", "samples", "sentence"),
    [
        ({}, {"a": skewed()}, "without validation tiles"),
        ({"a": "f"}, {"b": skewed()}, "b is no validation tile"),
        ({"a": "f"}, {}, "there are none"),
        ({"a": "f"}, {"a": Sample(np.zeros((0, 6), np.float32), np.zeros(0, np.uint8))}, "there are none"),
    ],
)
def test_offsets_are_refused_without_labelled_validation_tiles(tmp_path, monkeypatch, validation, samples, sentence):
    monkeypatch.setattr(thresholds, "read_run", lambda _: _Run(validation))
    with pytest.raises(InputError, match=sentence):
        fit_run_offsets(tmp_path, samples, switches="plain")
    assert not (tmp_path / OFFSETS).exists()


def test_spoilt_offsets_are_told(tmp_path):
    (tmp_path / OFFSETS).write_text('{"offsets": [1]}')
    with pytest.raises(InputError, match="fit the offsets anew"):
        read_offsets(tmp_path)
