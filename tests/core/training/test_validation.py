import json

import numpy as np
import pytest

from core.evaluation.evaluate import tile_confusion
from core.evaluation.intervals import score_intervals
from core.training.validation import validation_scores


@pytest.fixture
def matrices():
    generator = np.random.default_rng(0)
    return {str(tile): generator.integers(0, 50, (6, 7)) + 100 * np.eye(6, 7, dtype=np.int64) for tile in range(4)}


def test_the_matrix_of_every_tile_is_kept_so_that_any_of_them_can_be_scored_later(matrices):
    told = json.loads(json.dumps(validation_scores(matrices)))
    assert told["tiles"] == list(matrices)
    assert all(np.array_equal(tile_confusion(row), matrices[row["tile"]]) for row in told["per_tile"])
    assert np.array_equal(told["confusion"], np.sum(list(matrices.values()), axis=0))


def test_the_interval_is_that_over_tiles_and_few_of_them_are_told(matrices):
    told = validation_scores(matrices)
    assert tuple(told["interval"]["miou"]) == score_intervals(list(matrices.values())).miou
    assert "Measured on 4 tiles only" in told["note"]
    assert validation_scores({"1": matrices["1"]})["interval"]["miou"] == [0.0, 1.0]
