from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.progress import SilentProgress
from core.training import network_course
from core.training.network_course import Course
from core.training.team import Alone


class Rank(Alone):
    """One of several processes, whose own matrices stand in for the sum of all."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size
        self.own = None

    def total(self, matrix):
        self.own = matrix
        return matrix


def judged_by(rank, size, tiles, monkeypatch):
    """The matrices ``(tiles, 6, 7)`` that a process adds to the sum; each tile's is of its own number."""
    monkeypatch.setattr(
        network_course, "judge_network", lambda _network, tile, **_: np.full((6, 7), tile.number, np.int64)
    )
    monkeypatch.setattr(network_course, "validation_scores", lambda matrices: matrices)
    course = object.__new__(Course)
    course._team = Rank(rank, size)
    course._task = SimpleNamespace(tiles=SimpleNamespace(validation=tiles), progress=SilentProgress())
    course._recipe, course._device = SimpleNamespace(epochs=1), torch.device("cpu")
    course._epoch, course._step, course._steps = 0, 0, 1
    course._judge(torch.nn.Identity())
    return course._team.own


@pytest.mark.parametrize(("count", "size"), [(1, 2), (2, 2), (3, 2), (5, 4), (2, 3)])
def test_the_processes_judge_every_validation_tile_once_between_them_however_they_split(count, size, monkeypatch):
    tiles = [SimpleNamespace(name=str(number), number=number) for number in range(1, count + 1)]
    together = sum(judged_by(rank, size, tiles, monkeypatch) for rank in range(size))
    assert together[:, 0, 0].tolist() == list(range(1, count + 1))
