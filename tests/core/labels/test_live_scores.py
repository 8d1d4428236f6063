import numpy as np
import pytest

from core.evaluation.intervals import interval_of_miou
from core.labels import journal, live_scores
from core.labels.live_scores import HeldOutScore
from tests.core.labels.painting import brush, new_workspace


def matrix(right, wrong):
    counted = np.zeros((6, 7), np.int64)
    counted[0, 0], counted[1, 1], counted[0, 1] = right, right, wrong
    return counted


def test_the_score_and_its_interval_are_those_of_evaluate():
    matrices = [matrix(100, 10), matrix(80, 40), matrix(90, 0)]
    made = live_scores.score(matrices)
    assert made.tiles == 3
    assert made.miou == pytest.approx((270 / 320 + 270 / 320) / 2)
    assert (made.low, made.high) == interval_of_miou(matrices)
    assert "3 tiles only" in made.note


def test_nothing_to_judge_by_is_no_score():
    assert live_scores.score([]) is None
    assert live_scores.score([np.zeros((6, 7), np.int64)]) is None


def test_one_tile_says_nothing_of_others():
    made = live_scores.score([matrix(100, 10)])
    assert (made.low, made.high) == (0, 1)


def test_the_curve_goes_by_labelled_minutes_and_is_thinned_with_its_ends(tmp_path, monkeypatch):
    workspace, [tile] = new_workspace(tmp_path)
    journal.apply(workspace, tile.id, brush([(10, 10)]))
    spent = iter(range(0, 6000, 60))
    monkeypatch.setattr(live_scores, "labelled_seconds", lambda *_: float(next(spent)))
    for number in range(100):
        live_scores.append(workspace, tile.collection_id, HeldOutScore(number / 100, 0, 1, 2))
    whole = live_scores.curve(workspace, tile.collection_id)
    assert whole[3] == (3, 0.03, 0, 1)
    assert len(whole) == 100
    monkeypatch.setattr(live_scores, "MAX_POINTS", 10)
    thin = live_scores.curve(workspace, tile.collection_id)
    assert (len(thin), thin[0], thin[-1]) == (10, whole[0], whole[-1])
    assert live_scores.latest(workspace, tile.collection_id) == HeldOutScore(0.99, 0, 1, 2)


def test_a_collection_without_a_score_has_an_empty_curve(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    assert live_scores.curve(workspace, tile.collection_id) == []
    assert live_scores.latest(workspace, tile.collection_id) is None
