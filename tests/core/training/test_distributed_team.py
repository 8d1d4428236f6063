"""Two processes train one network as one would; they are started once, and each test looks at what they saw."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.training.distributed_team import Ranks
from core.training.patch_sampling import Draw
from tests.core.training import two_ranks
from tests.core.training.scenes import write_scenes
from tests.core.training.two_ranks import LABELS, STEPS

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    data = write_scenes(folder / "data")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", two_ranks.__name__, str(port), str(data), str(folder)]
    both = [subprocess.Popen([*command, str(rank)], cwd=PROJECT) for rank in (0, 1)]
    try:
        assert [one.wait(timeout=600) for one in both] == [0, 0]
    finally:
        for one in both:
            one.kill()
    return folder


@pytest.fixture(scope="module")
def seen(folder):
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def assert_as_alone(found):
    for compared in found.values():
        assert compared["loss"][1] == pytest.approx(compared["loss"][0], rel=1e-5, abs=1e-7)
        assert compared["patches"][1] == pytest.approx(compared["patches"][0], rel=1e-5, abs=1e-6)
        assert compared["unused"][0] == compared["unused"][1]
        assert compared["difference"] <= 1e-4 * compared["size"]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_two_has_the_gradient_of_the_joined_batch(seen, name):
    for rank in seen:
        assert_as_alone(rank["steps"][name])
        assert rank["steps"][name]["1"]["size"] > 0
    assert (seen[0]["steps"][name]["1"]["unused"][0] > 0) == (name == "unused weights")


@pytest.mark.parametrize("labels", LABELS)
def test_a_process_with_few_labels_or_none_neither_distorts_the_step_nor_stops_it(seen, labels):
    for rank in seen:
        assert_as_alone(rank["labels"][labels])
        assert (rank["labels"][labels]["1"]["size"] > 0) == (labels != "none")


def test_a_loss_that_is_no_number_stops_all_processes_in_the_same_step(seen):
    assert [rank["not finite"] for rank in seen] == ["not finite", "not finite"]


def test_two_fits_of_two_processes_are_equal_bit_for_bit_and_both_have_the_same_model(seen, folder):
    models = [(folder / f"{name}-{rank}.safetensors").read_bytes() for name in ("whole", "again") for rank in (0, 1)]
    assert len(set(models)) == 1
    assert seen[0]["whole"] == seen[0]["again"]
    assert len(seen[0]["whole"]["metrics"]) == 3
    assert seen[1]["whole"]["metrics"] == []
    assert seen[0]["whole"]["validation"] == seen[1]["whole"]["validation"]
    assert seen[0]["whole"]["tile_losses"] == seen[1]["whole"]["tile_losses"]


def test_a_cancel_stops_all_together_and_keeps_the_best_and_a_resume_goes_on_to_the_same_end(seen, folder):
    assert [rank["cut early"]["ended"] for rank in seen] == ["cancelled", "cancelled"]
    assert [rank["cut"]["ended"] for rank in seen] == ["kept", "kept"]
    assert [rank["resumed"]["ended"] for rank in seen] == ["whole", "whole"]
    assert seen[0]["cut"]["metrics"] + seen[0]["resumed"]["metrics"] == seen[0]["whole"]["metrics"]
    assert seen[0]["resumed"]["validation"] == seen[0]["whole"]["validation"]
    assert (folder / "cut-0.safetensors").read_bytes() == (folder / "whole-0.safetensors").read_bytes()


def test_a_process_without_room_asks_that_all_begin_anew_with_half_as_many_patches_at_once(seen):
    assert seen[1]["out of memory"] == 1


class _Third(Ranks):
    def __init__(self, limit=None):
        self.rank, self.size, self._limit = 2, 3, limit


def test_each_process_takes_its_equal_share_of_every_batch_in_order():
    draws = [Draw(0, 0, 0, seed) for seed in range(12)]
    assert [draw.seed for draw in _Third().own(draws, batch_size=6)] == [4, 5, 10, 11]
    assert [_Third().patches_at_once(6), _Third(limit=1).patches_at_once(6), _Third(limit=9).patches_at_once(6)] == [
        2,
        1,
        2,
    ]
