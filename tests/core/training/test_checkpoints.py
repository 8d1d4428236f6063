import dataclasses
import errno
import os
import random

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from core.errors import InputError, NotSavedError
from core.progress import SilentProgress
from core.training.checkpoints import (
    CHECKPOINT,
    NETWORK,
    SUMMARY,
    Checkpoint,
    check_same,
    ingredients,
    pack_optimiser,
    random_state,
    read_checkpoint,
    remove_checkpoint,
    restore_optimiser,
    restore_random_state,
    write_checkpoint,
)
from core.training.feature_cache import FeatureCache
from core.training.fitted import FitTask
from core.training.recipe import Recipe
from core.training.training_data import gather
from tests.core.training.scenes import scene, write_pair, write_scenes


def checkpoint(**state):
    network = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}
    best = {"a.weight": torch.zeros(2, 3), "b": torch.ones(2)}
    return Checkpoint({"best": best, NETWORK: network}, {"epoch": 3, **state}, {"seed": 1})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    written = checkpoint(rate=0.1)
    write_checkpoint(tmp_path, written, {"epoch": 3})
    read = read_checkpoint(tmp_path)
    assert (read.state, read.made_of) == (written.state, written.made_of)
    for part in ("best", NETWORK):
        assert all(torch.equal(read.parts[part][name], tensor) for name, tensor in written.parts[part].items())
    assert (tmp_path / SUMMARY).read_text() == '{\n  "epoch": 3\n}\n'


def test_what_two_parts_share_is_written_once(tmp_path):
    write_checkpoint(tmp_path, checkpoint(), {})
    with safe_open(tmp_path / CHECKPOINT, framework="pt") as file:
        assert sorted(file.keys()) == ["best/a.weight", "network/a.weight", "network/b"]


def test_there_may_be_none_and_a_foreign_one_is_refused(tmp_path):
    assert read_checkpoint(tmp_path) is None
    save_file({"a": torch.ones(1)}, tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match=r"cannot be read.*train anew"):
        read_checkpoint(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(tmp_path)
    remove_checkpoint(tmp_path)
    assert read_checkpoint(tmp_path) is None


def test_a_full_disk_leaves_the_last_one_whole(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, checkpoint(), {})
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotSavedError, match="No space left"):
        write_checkpoint(tmp_path, checkpoint(epoch=4), {})
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert sorted(f.name for f in tmp_path.iterdir()) == [SUMMARY, CHECKPOINT]


@pytest.mark.parametrize("make", [torch.optim.AdamW, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9)])
def test_an_optimiser_goes_on_as_if_nothing_had_been(make):
    def trained(parameter, optimiser, steps):
        for _ in range(steps):
            optimiser.zero_grad()
            (parameter**3).sum().backward()
            optimiser.step()

    one = torch.nn.Parameter(torch.arange(1.0, 4.0))
    first = make([one], lr=0.1)
    trained(one, first, 3)
    other = torch.nn.Parameter(one.detach().clone())
    second = make([other], lr=0.7)
    restore_optimiser(second, *pack_optimiser(first))
    for parameter, optimiser in ((one, first), (other, second)):
        trained(parameter, optimiser, 3)
    assert torch.equal(one, other)


def test_random_numbers_go_on_where_they_were():
    tensors, state = random_state()
    drawn = torch.rand(3), np.random.rand(3).tolist(), random.random()
    restore_random_state(tensors, state)
    assert torch.equal(torch.rand(3), drawn[0])
    assert (np.random.rand(3).tolist(), random.random()) == drawn[1:]


@pytest.fixture
def task(tmp_path):
    folder = write_scenes(tmp_path / "data")
    recipe = Recipe(train="decoder")
    return FitTask(
        recipe=recipe,
        tiles=gather(folder, None, recipe),
        out=tmp_path / "run",
        seed=0,
        device="cpu",
        cache=FeatureCache(tmp_path / "cache"),
        progress=SilentProgress(),
    )


def of(task):
    return Checkpoint({NETWORK: {}}, {}, ingredients(task))


def test_a_checkpoint_serves_the_same_fit(task):
    check_same(of(task), task)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": Recipe(train="decoder", epochs=7)}, r"epochs = 40, not 7; fit with what it began with"),
        ({"seed": 4}, "seed 0, not 4"),
    ],
)
def test_another_recipe_or_seed_is_refused(task, changes, said):
    with pytest.raises(InputError, match=said):
        check_same(of(task), dataclasses.replace(task, **changes))


@pytest.mark.parametrize("what", ["images", "labels"])
def test_other_pixels_or_labels_are_refused(task, tmp_path, what):
    image, raster = scene(1)
    if what == "images":
        image[:8] = 0
    else:
        raster[:8] = 5
    write_pair(tmp_path / "data", "2", image, raster)
    changed = dataclasses.replace(task, tiles=gather(tmp_path / "data", None, task.recipe))
    with pytest.raises(InputError, match=f"made with other {what} of tile 2"):
        check_same(of(task), changed)


def test_other_tiles_are_refused(task, tmp_path):
    write_pair(tmp_path / "data", "4", *scene(7))
    changed = dataclasses.replace(task, tiles=gather(tmp_path / "data", None, task.recipe))
    with pytest.raises(InputError, match="made with other tiles"):
        check_same(of(task), changed)
